import Logging
import NIOCore
import NIOPosix
import SteleAPI
import SteleBase
import SteleCluster
import SteleWire

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// A node's connections: one listener for peers, clients and administration, and one connection
/// dialled to each peer. Everything happens on the one event loop that the node owns.
///
/// Each node sends on the connections that it dialled and receives on those that it accepted. A
/// peer counts as connected while both stand, and as disconnected as soon as either closes, so a
/// killed process is noticed at once. Messages to a peer that cannot be reached are dropped: Raft
/// and the forwarding of requests are made for that.
///
/// Bytes from outside never do more than close the connection that they came on.
package final class Transport: @unchecked Sendable {
    // Safety: all that can change is touched on `loop` only; the async methods go there first.
    package let loop: any EventLoop
    let logger: Logger
    let settings: Settings
    private(set) weak var delegate: (any TransportDelegate)?
    private let introduction: () -> Introduction
    private var random: SeededRandom
    private var listener: (any Channel)?
    private var links: [NodeID: PeerLink] = [:]
    private var accepted: [ObjectIdentifier: AcceptedConnection] = [:]
    let clientBytes: HeldBytes
    private var clients = 0
    private var lastClient: UInt64 = 0
    private(set) var isStopped = false

    /// What only tests change.
    package struct Settings: Sendable {
        package var handshakeTimeout: TimeAmount
        package var connectTimeout: TimeAmount
        /// Connections of clients; peers come on top.
        package var connections: Int
        /// Bytes that may wait for one reader.
        package var bufferBytes: Int
        /// Bytes that the connections of all clients may hold.
        package var connectionBytes: Int

        package init(
            handshakeTimeout: TimeAmount = .seconds(10), connectTimeout: TimeAmount = .seconds(1),
            connections: Int = Limits.connections, bufferBytes: Int = Connection.bufferLimit,
            connectionBytes: Int = Limits.connectionBytes
        ) {
            self.handshakeTimeout = handshakeTimeout
            self.connectTimeout = connectTimeout
            self.connections = connections
            self.bufferBytes = bufferBytes
            self.connectionBytes = connectionBytes
        }
    }

    /// - Parameters:
    ///   - introduction: who this node is at the moment; called on the loop at every handshake.
    ///   - delegate: held weakly.
    package init(
        loop: any EventLoop, random: SeededRandom, logger: Logger,
        delegate: any TransportDelegate, settings: Settings = Settings(),
        introduction: @escaping () -> Introduction
    ) {
        self.loop = loop
        self.random = random
        self.logger = logger
        self.delegate = delegate
        self.settings = settings
        clientBytes = HeldBytes(limit: settings.connectionBytes)
        self.introduction = introduction
    }

    // MARK: What the node calls

    /// Accepts connections on `address`; port 0 takes any.
    ///
    /// - Returns: the address with the port that was taken.
    /// - Throws: ``SteleError/Code/configuration`` if the address is in use or not of this machine.
    package func listen(on address: NetworkAddress) async throws(SteleError) -> NetworkAddress {
        do {
            let channel = try await bind(address).get()
            try await loop.submit { self.listener = channel }.get()
            let port = channel.localAddress?.port ?? address.port
            return NetworkAddress(host: address.host, port: port)
        } catch let error as IOError where error.errnoCode == EADDRINUSE {
            throw SteleError(.configuration, "the address \(address) is in use")
        } catch {
            throw SteleError(.configuration, "cannot listen on \(address): \(error)")
        }
    }

    /// Names the nodes to keep connections to; all others are dropped. This node may be among them.
    /// On the loop.
    package func setPeers(_ peers: [(node: NodeID, address: String)]) {
        loop.assertInEventLoop()
        guard !isStopped else { return }
        let me = introduction().node
        for (node, address) in peers where node != me {
            do {
                link(to: node).dial(try NetworkAddress(parsing: address))
            } catch {
                logger.error(
                    "a peer has no address that can be used",
                    metadata: ["peer": "\(node.rawValue)", "reason": "\(error.message)"])
            }
        }
        let kept = Set(peers.map(\.node))
        for node in links.keys.filter({ !kept.contains($0) || $0 == me }).sorted() {
            links.removeValue(forKey: node)?.close()
        }
    }

    /// Sends what a turn has for one peer, as one message. On the loop.
    package func send(_ outbox: PeerOutbox) { send(outbox.messages, to: outbox.node) }

    /// Sends `messages` to `node`, or drops them if it is not connected. On the loop.
    package func send(_ messages: [PeerMessage], to node: NodeID) {
        loop.assertInEventLoop()
        guard !messages.isEmpty else { return }
        links[node]?.send(messages)
    }

    /// What waits for the network on the way to `node`. On the loop.
    package func backlog(of node: NodeID) -> Int { links[node]?.backlog ?? 0 }

    /// Asks the node at `address`, which need not belong to a cluster yet, for one thing.
    ///
    /// - Returns: the answer, and who gave it.
    package func call(
        _ address: String, _ request: ClientRequest.Body, timeout: TimeAmount = .seconds(5)
    ) async throws(SteleError) -> (from: Introduction, reply: ClientReply.Body) {
        let address = try NetworkAddress(parsing: address)
        do {
            return try await loop.flatSubmit {
                OneCall.make(self, address, request, timeout: timeout)
            }.get()
        } catch let error as SteleError {
            throw error
        } catch {
            throw SteleError(
                .unavailable, "\(address) cannot be reached: \(error.connectionTrouble)")
        }
    }

    /// Closes everything. The delegate hears of closed clients but of nothing else any more.
    package func shutdown() async {
        let closed = loop.flatSubmit { () -> EventLoopFuture<Void> in
            self.isStopped = true
            for node in self.links.keys.sorted() { self.links[node]?.close() }
            self.links = [:]
            for connection in self.accepted.values { connection.close(Self.stopping) }
            return self.listener?.close() ?? self.loop.makeSucceededVoidFuture()
        }
        try? await closed.get()
    }

    // MARK: What connections call

    static let stopping = "the node stops"

    func introduce() -> Introduction { introduction() }

    func refusal(of hello: Hello) -> Refusal? {
        if isStopped { return Refusal(.stopping, Self.stopping) }
        if hello.role == .client, clients >= settings.connections {
            let excess = LimitExceeded(
                .connections, count: clients + 1, allowed: settings.connections)
            return Refusal(.tooManyConnections, excess.description)
        }
        return delegate?.refusal(of: hello)
    }

    /// Takes a new connection in, or tells why not.
    func admit(_ connection: AcceptedConnection) -> String? {
        if isStopped { return Self.stopping }
        let allowed = settings.connections + Self.spareConnections
        guard accepted.count < allowed else {
            return LimitExceeded(.connections, count: accepted.count + 1, allowed: allowed)
                .description
        }
        accepted[ObjectIdentifier(connection)] = connection
        return nil
    }

    func dismiss(_ connection: AcceptedConnection, isClient: Bool) {
        accepted[ObjectIdentifier(connection)] = nil
        if isClient { clients -= 1 }
    }

    func makeClient(_ owner: AcceptedConnection) -> ClientConnection {
        clients += 1
        lastClient += 1
        return ClientConnection(id: lastClient, loop: loop, owner: owner)
    }

    func link(to node: NodeID) -> PeerLink {
        if let link = links[node] { return link }
        let link = PeerLink(node: node, transport: self)
        links[node] = link
        return link
    }

    /// Between half of `delay` and all of it, so that nodes do not dial in step.
    func jittered(_ delay: TimeAmount) -> TimeAmount {
        let half = UInt64(delay.nanoseconds / 2)
        return .nanoseconds(Int64(half + random.uniform(0...half)))
    }

    /// Room for peers and handshakes above the limit of clients.
    private static let spareConnections = 256

    private func bind(_ address: NetworkAddress) -> EventLoopFuture<any Channel> {
        ServerBootstrap(group: loop)
            .serverChannelOption(.backlog, value: 1_024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            // A client whose machine has vanished keeps its locks for a minute, not for ever.
            .childChannelOption(.socketOption(.so_keepalive), value: 1)
            .childChannelOption(.tcpOption(.keepAliveIdle), value: 30)
            .childChannelOption(.tcpOption(.keepAliveInterval), value: 10)
            .childChannelOption(.tcpOption(.keepAliveCount), value: 3)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let owner = AcceptedConnection(transport: self)
                    try channel.pipeline.syncOperations.addHandler(
                        Connection(owner: owner, bufferLimit: self.settings.bufferBytes))
                }
            }
            .bind(host: address.host, port: address.port)
    }
}

extension NIOBSDSocket.Option {
    #if canImport(Darwin)
        private static var idle: CInt { TCP_KEEPALIVE }
    #else
        private static var idle: CInt { TCP_KEEPIDLE }
    #endif

    /// Seconds of silence before a peer is asked whether it is there.
    fileprivate static var keepAliveIdle: Self { Self(rawValue: idle) }
    /// Seconds between two such questions, and how many go unanswered before the connection ends.
    fileprivate static var keepAliveInterval: Self { Self(rawValue: TCP_KEEPINTVL) }
    fileprivate static var keepAliveCount: Self { Self(rawValue: TCP_KEEPCNT) }
}
