import Logging
import NIOCore
import SteleBase
import SteleCluster
import SteleWire

/// Everything that connects this node with one peer: the connection dialled to it, on which this
/// node sends, and the one accepted from it, on which this node receives.
///
/// Invariants:
/// - `isConnected`, and what the delegate was told last, is whether both stand.
/// - The loss of either is told, also when it shows only by the peer's dialling again: answers may
///   have been lost with it that this node waits for.
/// - Nothing is delivered from a connection once a later one of the peer's was accepted, so what a
///   peer sends arrives in the order in which it was sent.
final class PeerLink {
    let node: NodeID
    private unowned let transport: Transport
    private var address: NetworkAddress?
    /// The present attempt to send to the peer; anything an earlier one reports is ignored.
    private var outbound: PeerDial?
    private var inbound: Connection?
    /// What the peer said of itself on the inbound connection.
    private var sender: Introduction?
    private var isConnected = false
    private var redial: Scheduled<Void>?
    private var delay = PeerLink.shortestDelay
    /// What has been logged already since the last success.
    private var trouble: String?
    private var isClosed = false

    private static let shortestDelay = TimeAmount.milliseconds(20)
    private static let longestDelay = TimeAmount.milliseconds(500)

    init(node: NodeID, transport: Transport) {
        self.node = node
        self.transport = transport
    }

    // MARK: Sending

    /// Dials `address` and keeps dialling until ``close()``.
    func dial(_ address: NetworkAddress) {
        guard address != self.address else { return }
        self.address = address
        dropOutbound("its address has changed")
        delay = Self.shortestDelay
        dialNow()
    }

    func send(_ messages: [PeerMessage]) {
        guard let outbound, outbound.isWelcomed else { return }
        var rest = messages[...]
        // Each leaves before the next is made, which may take a while.
        while !rest.isEmpty { outbound.send(PeerMessage.nextFrames(&rest)) }
    }

    /// What was sent and the network has not taken yet.
    var backlog: Int { outbound?.backlog ?? 0 }

    private func dialNow() {
        redial?.cancel()
        redial = nil
        guard let address, !isClosed, outbound == nil else { return }
        outbound = PeerDial(link: self, address: address, transport: transport)
        outbound?.start()
    }

    func welcomed(_ dial: PeerDial, _ welcome: Welcome) {
        guard dial === outbound else { return dial.close("it is not needed any more") }
        delay = Self.shortestDelay
        trouble = nil
        transport.delegate?.peerInfo(welcome.sender.info, of: node)
        update()
    }

    func ended(_ dial: PeerDial, reason: String) {
        guard dial === outbound else { return }
        outbound = nil
        if reason != trouble {
            trouble = reason
            transport.logger.info(
                "a peer cannot be reached",
                metadata: [
                    "peer": "\(node.rawValue)", "address": "\(address.map { "\($0)" } ?? "?")",
                    "reason": "\(reason)",
                ])
        }
        update()
        guard !isClosed else { return }
        let bound = NIOLoopBound(self, eventLoop: transport.loop)
        redial = transport.loop.scheduleTask(in: transport.jittered(delay)) {
            bound.value.dialNow()
        }
        delay = min(delay * 2, Self.longestDelay)
    }

    private func dropOutbound(_ reason: String) {
        let dial = outbound
        outbound = nil
        dial?.close(reason)
        update()
    }

    // MARK: Receiving

    /// A connection from the peer has passed the handshake. It takes the place of an earlier one.
    func accepted(_ connection: Connection, _ sender: Introduction) {
        guard !isClosed else { return connection.close(Transport.stopping) }
        if let earlier = inbound {
            let isRestarted = self.sender.map { !$0.isSameRun(as: sender) } ?? false
            inbound = nil
            // The peer dials again when it has lost a connection that here still seems to stand.
            update()
            if isRestarted { dropOutbound("the node was restarted") }
            earlier.close("the node has dialled again")
        }
        inbound = connection
        self.sender = sender
        transport.delegate?.peerInfo(sender.info, of: node)
        // It is up: no reason to wait.
        delay = Self.shortestDelay
        dialNow()
        update()
    }

    func deliver(_ messages: [PeerMessage], from connection: Connection) {
        guard !isClosed, connection === inbound else { return }
        transport.delegate?.received(messages, from: node)
    }

    func inboundClosed(_ connection: Connection, reason: String) {
        guard connection === inbound else { return }
        inbound = nil
        transport.logger.info(
            "a peer's connection is closed",
            metadata: ["peer": "\(node.rawValue)", "reason": "\(reason)"])
        update()
    }

    // MARK: Both

    private func update() {
        let stands = inbound != nil && outbound?.isWelcomed == true
        guard stands != isConnected, !isClosed else { return }
        isConnected = stands
        if stands {
            transport.logger.info("connected", metadata: ["peer": "\(node.rawValue)"])
            transport.delegate?.connected(to: node)
        } else {
            transport.delegate?.disconnected(from: node)
        }
    }

    /// Ends both connections for good; tells the delegate unless the whole transport stops.
    func close() {
        if transport.isStopped { isClosed = true }
        let connection = inbound
        inbound = nil
        dropOutbound("the node is no peer any more")
        isClosed = true
        redial?.cancel()
        connection?.close("the node is no peer any more")
    }
}

extension Introduction {
    /// Whether `other` was said by the same process.
    fileprivate func isSameRun(as other: Introduction) -> Bool {
        instance == other.instance && info.pid == other.info.pid
            && info.bootTime == other.info.bootTime
    }
}
