import NIOCore
import SteleAPI
import SteleBase
import SteleWire

/// The event loop's side of a ``Link``: introduces the client, sends requests, hands out replies.
///
/// While requests wait and nothing arrives, it asks whether the node is still there, so that a
/// machine that has vanished without a word is noticed within seconds.
///
/// Invariant: each request that was taken gets exactly one outcome.
final class LinkHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer
    typealias Outcome = Result<ClientReply.Body, LinkFailure>

    private static let handshakeTimeout = TimeAmount.seconds(5)
    private static let silenceTimeout = TimeAmount.seconds(2)

    private let address: NetworkAddress
    private let hello: Hello
    /// Fulfilled when the node has let the client in, failed when it has not.
    private var promise: EventLoopPromise<Link>?
    private var context: ChannelHandlerContext?
    private var decoder = FrameDecoder()
    private var link: Link?
    private var waiting: [UInt64: Waiter] = [:]
    private var timer: Scheduled<Void>?
    /// Goes off at `alarm`, the earliest deadline that was waited for when it was set or since: one for
    /// all, because most requests are answered long before theirs.
    private var alarmTimer: Scheduled<Void>?
    private var alarm = Deadline.never
    private var isFlushScheduled = false
    /// Whether anything arrived since the timer last fired.
    private var hasHeard = true
    private var hasAsked = false
    private var reason: String?

    init(address: NetworkAddress, cluster: UniqueID, promise: EventLoopPromise<Link>) {
        self.address = address
        self.promise = promise
        hello = Hello(role: .client, sender: .client(of: cluster))
    }

    /// Who waits for a reply, and until when.
    private struct Waiter {
        let continuation: CheckedContinuation<Outcome, Never>
        let deadline: Deadline

        func resume(_ outcome: Outcome) { continuation.resume(returning: outcome) }
    }

    // MARK: Requests

    func send(
        _ bytes: [UInt8], _ ticket: Link.Ticket,
        _ continuation: CheckedContinuation<Outcome, Never>
    ) {
        if ticket.isCancelled.load(ordering: .acquiring) {
            return continuation.resume(returning: .failure(.cancelled(isSent: false)))
        }
        if ticket.deadline.timeLeft(from: RemoteDatabase.clock()) == nil {
            return continuation.resume(returning: .failure(.timedOut(isSent: false)))
        }
        guard link != nil, reason == nil, let context else {
            return continuation.resume(
                returning: .failure(.notSent(reason ?? "the connection is closed")))
        }
        if waiting.isEmpty {
            hasHeard = true
            hasAsked = false
        }
        waiting[ticket.id] = Waiter(continuation: continuation, deadline: ticket.deadline)
        if ticket.deadline < alarm { setAlarm(ticket.deadline, context) }
        write(bytes, context)
    }

    func post(_ bytes: [UInt8]) {
        guard link != nil, reason == nil, let context else { return }
        write(bytes, context)
    }

    func cancel(_ ticket: Link.Ticket) {
        waiting.removeValue(forKey: ticket.id)?.resume(.failure(.cancelled(isSent: true)))
    }

    func close(_ reason: String) {
        guard self.reason == nil else { return }
        self.reason = reason
        link?.markClosed()
        context?.close(promise: nil)
    }

    /// Writes now and flushes once for all that is written before the loop goes on.
    private func write(_ bytes: [UInt8], _ context: ChannelHandlerContext) {
        var buffer = context.channel.allocator.buffer(capacity: bytes.count)
        buffer.writeBytes(bytes)
        context.write(wrapOutboundOut(buffer), promise: nil)
        guard !isFlushScheduled else { return }
        isFlushScheduled = true
        context.eventLoop.assumeIsolated().execute {
            self.isFlushScheduled = false
            self.context?.flush()
        }
    }

    // MARK: ChannelInboundHandler

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if context.channel.isActive { greet(context) }
    }

    func channelActive(context: ChannelHandlerContext) { greet(context) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard reason == nil else { return }
        hasHeard = true
        hasAsked = false
        decoder.feed(unwrapInboundIn(data).readableBytesView)
        do {
            while reason == nil, let message = try decoder.next() {
                try receive(message, context)
            }
        } catch {
            close("\(address) breaks the protocol: \(error)")
        }
    }

    func channelInactive(context: ChannelHandlerContext) { finish("the connection was closed") }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        close(error.connectionTrouble)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        // Of a connection that was never made the dialler knows better why.
        if timer != nil { finish("the connection was closed") }
        self.context = nil
    }

    private func greet(_ context: ChannelHandlerContext) {
        guard timer == nil else { return }
        write(hello.frame(), context)
        schedule(context, in: Self.handshakeTimeout)
    }

    private func receive(_ message: WireMessage, _ context: ChannelHandlerContext) throws {
        switch message.kind {
        case .welcome where link == nil:
            let welcome = try Welcome(decoding: message.payload)
            if let refusal = welcome.refusal(by: hello) { throw refusal }
            decoder.raiseLimits(messages: Limits.messageBytes)
            let link = Link(
                address: address, node: welcome.sender, loop: context.eventLoop, handler: self)
            self.link = link
            schedule(context, in: Self.silenceTimeout)
            promise?.succeed(link)
            promise = nil
        case .refusal where link == nil: close(try Refusal(decoding: message.payload).message)
        case .reply where link != nil:
            let reply = try ClientReply(decoding: message.payload)
            waiting.removeValue(forKey: reply.id)?.resume(.success(reply.body))
        case .pong: break
        default: throw DecodingError("a message of kind \(message.kind) is out of place")
        }
    }

    // MARK: Deadlines

    private func setAlarm(_ deadline: Deadline, _ context: ChannelHandlerContext) {
        alarmTimer?.cancel()
        alarm = deadline
        guard deadline != .never else { return alarmTimer = nil }
        let left = deadline.timeLeft(from: RemoteDatabase.clock()) ?? .zero
        alarmTimer = context.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(left)) {
            self.endLateRequests()
        }
    }

    private func endLateRequests() {
        let now = RemoteDatabase.clock()
        let late = waiting.filter { $0.value.deadline.timeLeft(from: now) == nil }
        for (id, waiter) in late {
            waiting[id] = nil
            waiter.resume(.failure(.timedOut(isSent: true)))
        }
        guard let context else { return }
        setAlarm(waiting.values.lazy.map(\.deadline).min() ?? .never, context)
    }

    // MARK: Silence

    private func schedule(_ context: ChannelHandlerContext, in delay: TimeAmount) {
        timer?.cancel()
        timer = context.eventLoop.assumeIsolated().scheduleTask(in: delay) {
            self.checkSilence()
        }
    }

    private func checkSilence() {
        guard reason == nil, let context else { return }
        guard link != nil else { return close("\(address) does not answer") }
        if !waiting.isEmpty, !hasHeard {
            if hasAsked { return close("\(address) has fallen silent") }
            hasAsked = true
            write(Frame.encode(.ping) { _ in }, context)
        }
        hasHeard = false
        schedule(context, in: Self.silenceTimeout)
    }

    // MARK: The end

    private func finish(_ reason: String) {
        let reason = self.reason ?? reason
        self.reason = reason
        timer?.cancel()
        alarmTimer?.cancel()
        link?.markClosed()
        link = nil
        promise?.fail(SteleError(.unavailable, reason))
        promise = nil
        let lost = waiting
        waiting = [:]
        for waiter in lost.values { waiter.resume(.failure(.lost(reason))) }
    }
}
