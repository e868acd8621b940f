import NIOCore
import SteleBase
import SteleWire

/// One attempt to connect to a peer, and the connection that comes of it.
///
/// Invariant: reports its end to the link exactly once.
final class PeerDial: ConnectionOwner {
    private weak var link: PeerLink?
    private let address: NetworkAddress
    private let transport: Transport
    private let hello: Hello
    private var connection: Connection?
    private var timeout: Scheduled<Void>?
    private var hasEnded = false
    private(set) var isWelcomed = false

    init(link: PeerLink, address: NetworkAddress, transport: Transport) {
        self.link = link
        self.address = address
        self.transport = transport
        hello = Hello(role: .peer, receiver: link.node, sender: transport.introduce())
    }

    func start() {
        let bound = NIOLoopBound(self, eventLoop: transport.loop)
        transport.connect(to: address, owner: self).whenFailure { error in
            bound.value.end(error.connectionTrouble)
        }
    }

    func send(_ bytes: [UInt8]) { connection?.send(bytes) }

    /// What the network has not taken yet.
    var backlog: Int { connection?.backlog ?? 0 }

    /// Closes the connection, or sees to it that it closes as soon as it stands.
    func close(_ reason: String) {
        end(reason)
        connection?.close(reason)
    }

    private func end(_ reason: String) {
        guard !hasEnded else { return }
        hasEnded = true
        isWelcomed = false
        timeout?.cancel()
        link?.ended(self, reason: reason)
    }

    // MARK: ConnectionOwner

    func opened(_ connection: Connection) {
        guard self.connection == nil else { return }
        self.connection = connection
        guard !hasEnded else { return connection.close("it is not needed any more") }
        connection.send(hello.frame())
        timeout = transport.loop.assumeIsolated().scheduleTask(
            in: transport.settings.handshakeTimeout
        ) {
            connection.close("it did not answer in time")
        }
    }

    func received(_ message: WireMessage, on connection: Connection) throws(ConnectionFailure) {
        switch message.kind {
        case .welcome where !isWelcomed: try receive(welcome: message)
        case .refusal where !isWelcomed:
            let refusal = try? Refusal(decoding: message.payload)
            throw ConnectionFailure(refusal?.message ?? "it refuses without a reason")
        case .pong: break
        default: throw .unexpected(message)
        }
    }

    private func receive(welcome message: WireMessage) throws(ConnectionFailure) {
        do throws(Refusal) {
            let welcome = try Welcome(decoding: message.payload)
            if let refusal = welcome.refusal(by: hello) { throw refusal }
            timeout?.cancel()
            isWelcomed = true
            link?.welcomed(self, welcome)
        } catch {
            throw ConnectionFailure(error.message)
        }
    }

    func closed(_ connection: Connection, reason: String) { end(reason) }
}
