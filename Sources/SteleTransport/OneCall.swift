import NIOCore
import SteleAPI
import SteleBase
import SteleWire

/// One question to one node over a connection of its own, closed after the answer.
final class OneCall: ConnectionOwner {
    private let address: NetworkAddress
    private let request: ClientRequest
    private let promise: EventLoopPromise<Answer>
    private var isSent = false
    private var respondent = Introduction.client()

    /// What was answered, and by whom.
    typealias Answer = (from: Introduction, reply: ClientReply.Body)

    private init(
        _ address: NetworkAddress, _ request: ClientRequest.Body,
        _ promise: EventLoopPromise<Answer>
    ) {
        self.address = address
        self.request = ClientRequest(id: 1, body: request)
        self.promise = promise
    }

    /// Asks; the future fails with a ``SteleError`` when no answer comes. On the loop.
    static func make(
        _ transport: Transport, _ address: NetworkAddress, _ request: ClientRequest.Body,
        timeout: TimeAmount
    ) -> EventLoopFuture<Answer> {
        let promise = transport.loop.makePromise(of: Answer.self)
        let call = OneCall(address, request, promise)
        let timer = transport.loop.scheduleTask(in: timeout) {
            promise.fail(
                SteleError(.unavailable, "\(address) has not answered within \(timeout)"))
        }
        promise.futureResult.whenComplete { _ in timer.cancel() }
        let channel = transport.connect(to: address, owner: call)
        channel.cascadeFailure(to: promise)
        promise.futureResult.whenComplete { _ in
            channel.whenSuccess { $0.close(promise: nil) }
        }
        return promise.futureResult
    }

    // MARK: ConnectionOwner

    func opened(_ connection: Connection) {
        guard !isSent else { return }
        isSent = true
        connection.send(Hello(role: .client, sender: .client()).frame())
    }

    func received(_ message: WireMessage, on connection: Connection) throws(ConnectionFailure) {
        do {
            switch message.kind {
            case .welcome:
                respondent = try Welcome(decoding: message.payload).sender
                connection.raiseLimits(messages: Limits.messageBytes)
                connection.send(request.frame())
            case .refusal:
                let refusal = try Refusal(decoding: message.payload)
                promise.fail(SteleError(.configuration, refusal.message))
            case .reply:
                promise.succeed((respondent, try ClientReply(decoding: message.payload).body))
            default: throw ConnectionFailure.unexpected(message)
            }
        } catch {
            throw ConnectionFailure("\(error)")
        }
    }

    func closed(_ connection: Connection, reason: String) {
        promise.fail(
            SteleError(.unavailable, "the connection to \(address) was lost: \(reason)"))
    }
}
