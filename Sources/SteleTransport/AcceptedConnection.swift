import Logging
import NIOCore
import SteleAPI
import SteleBase
import SteleCluster
import SteleWire

/// The accepting side of a connection: judges the hello, then delivers what a peer or client sends.
///
/// Until the hello is accepted nothing but a small hello is read, and only for a limited time.
final class AcceptedConnection: ConnectionOwner {
    /// Unanswered requests of one client before more are refused with a retryable error.
    private static let requestLimit = Limits.openRequests
    /// Unanswered requests, steps of transactions included, before the connection is given up.
    private static let hardRequestLimit = 8 * Limits.openRequests

    private let transport: Transport
    private var state = State.opening(timeout: nil)
    private var connection: Connection?
    private var unanswered = 0

    private enum State {
        case opening(timeout: Scheduled<Void>?)
        case peer(PeerLink)
        case client(ClientConnection)
        case closed
    }

    init(transport: Transport) { self.transport = transport }

    // MARK: ConnectionOwner

    func opened(_ connection: Connection) {
        guard self.connection == nil else { return }
        self.connection = connection
        if let reason = transport.admit(self) { return connection.close(reason) }
        let timeout = transport.loop.assumeIsolated().scheduleTask(
            in: transport.settings.handshakeTimeout
        ) {
            connection.close("it did not introduce itself in time")
        }
        state = .opening(timeout: timeout)
    }

    func received(_ message: WireMessage, on connection: Connection) throws(ConnectionFailure) {
        switch (state, message.kind) {
        case (.opening, .hello): greet(message, connection)
        case (.peer(let link), .peerMessages):
            link.deliver(try PeerMessage.decodeAll(message.payload), from: connection)
        case (.client(let client), .request): try request(message, client)
        default: throw .unexpected(message)
        }
    }

    func closed(_ connection: Connection, reason: String) {
        let state = self.state
        self.state = .closed
        transport.dismiss(self, isClient: isClient(state))
        switch state {
        case .opening(let timeout):
            timeout?.cancel()
            transport.logger.notice(
                "connection refused: \(reason)", metadata: ["remote": "\(connection.remote)"])
        case .peer(let link): link.inboundClosed(connection, reason: reason)
        case .client(let client):
            if reason != Connection.remoteClosed {
                transport.logger.notice(
                    "client connection closed: \(reason)",
                    metadata: ["remote": "\(connection.remote)"])
            }
            transport.delegate?.closed(client)
        case .closed: break
        }
    }

    private func isClient(_ state: State) -> Bool {
        if case .client = state { true } else { false }
    }

    // MARK: The handshake

    private func greet(_ message: WireMessage, _ connection: Connection) {
        do throws(Refusal) {
            let hello = try Hello(decoding: message.payload)
            let me = transport.introduce()
            if let refusal = hello.refusal(by: me) ?? transport.refusal(of: hello) { throw refusal }
            connection.send(Welcome(sender: me).frame())
            admit(hello, connection)
        } catch {
            connection.close(after: error.frame(), error.message)
        }
    }

    private func admit(_ hello: Hello, _ connection: Connection) {
        if case .opening(let timeout) = state { timeout?.cancel() }
        switch hello.role {
        case .peer:
            connection.raiseLimits(messages: Limits.messageBytes)
            let link = transport.link(to: hello.sender.node)
            state = .peer(link)
            link.accepted(connection, hello.sender)
        case .client:
            // A client splits what does not fit a frame, so nobody can make the node hold more.
            connection.raiseLimits(messages: Limits.frameBytes)
            connection.pausesReading = true
            connection.account = transport.clientBytes
            state = .client(transport.makeClient(self))
        }
    }

    // MARK: Clients

    private func request(
        _ message: WireMessage, _ client: ClientConnection
    ) throws(ConnectionFailure) {
        let request: ClientRequest
        do {
            request = try ClientRequest(decoding: message.payload)
        } catch {
            throw ConnectionFailure("a request cannot be read: \(error)")
        }
        guard unanswered < Self.hardRequestLimit else {
            let excess = LimitExceeded(
                .openRequests, count: unanswered + 1, allowed: Self.hardRequestLimit)
            throw ConnectionFailure(excess.description)
        }
        unanswered += 1
        if unanswered > Self.requestLimit, !request.isTransactionStep {
            let error = SteleError(LimitExceeded(.openRequests, count: unanswered))
            return client.send(ClientReply(id: request.id, body: .failed(error)))
        }
        transport.delegate?.request(request, from: client)
    }

    var isOpen: Bool { connection?.isOpen ?? false }

    func answer(_ bytes: [UInt8]) {
        unanswered -= 1
        connection?.sendSoon(bytes)
    }

    func close(_ reason: String) { connection?.close(reason) }
}

extension ClientRequest {
    /// Steps are never refused for load alone: the end of a transaction must get through.
    fileprivate var isTransactionStep: Bool {
        if case .database(_, .transaction) = body { true } else { false }
    }
}
