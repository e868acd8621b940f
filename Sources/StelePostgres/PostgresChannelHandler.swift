import NIOCore
import SteleSQL

// A socket on one side, a connection's inbox on the other. Everything that a client may ask for
// happens in the connection; here bytes are only carried, counted, and held back when one side
// is slower than the other.

/// Carries the bytes of one connection between its channel and its task.
///
/// The task normally runs on the channel's own event loop. Calls from elsewhere are handed over.
// Safety: mutable state is touched on the channel's event loop only; each entry point that may be
// called from elsewhere checks that and hands itself over if need be.
final class PostgresChannelHandler: ChannelDuplexHandler, PostgresTransport, @unchecked Sendable {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let channel: any Channel
    private let eventLoop: any EventLoop
    private let inbox = PostgresInbox()
    private let timeouts: PostgresServer.Timeouts
    private let start: @Sendable (PostgresInbox, PostgresChannelHandler) -> Void
    private var context: ChannelHandlerContext?
    /// Answers that leave at the end of the turn.
    private var gathered = ByteBuffer()
    private var isFlushScheduled = false
    private var isReadingPaused = false
    private var isReadHeldBack = false
    private var openingDeadline: Scheduled<Void>?

    /// - Parameter start: starts the task of the connection.
    init(
        channel: any Channel, timeouts: PostgresServer.Timeouts,
        start: @escaping @Sendable (PostgresInbox, PostgresChannelHandler) -> Void
    ) {
        self.channel = channel
        self.eventLoop = channel.eventLoop
        self.timeouts = timeouts
        self.start = start
    }

    // MARK: From the client

    func channelActive(context: ChannelHandlerContext) {
        self.context = context
        openingDeadline = eventLoop.scheduleTask(in: timeouts.opening) { [inbox, channel] in
            if !inbox.isOpen { channel.close(promise: nil) }
        }
        start(inbox, self)
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = Self.unwrapInboundIn(data)
        if !inbox.receive(bytes.readableBytesView) { isReadingPaused = true }
    }

    /// Asks the socket for more, unless enough is waiting already.
    func read(context: ChannelHandlerContext) {
        if isReadingPaused {
            isReadHeldBack = true
        } else {
            context.read()
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .some(.inputClosed) = event as? ChannelEvent { inbox.endInput() }
        context.fireUserInboundEventTriggered(event)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        inbox.setWritable(channel.isWritable)
        context.fireChannelWritabilityChanged()
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.context = nil
        openingDeadline?.cancel()
        inbox.close()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    // MARK: To the client

    func send(_ bytes: [UInt8], now: Bool) {
        guard eventLoop.inEventLoop else {
            // Until the event loop has taken the bytes nobody counts them.
            inbox.setWritable(false)
            return eventLoop.execute {
                self.write(bytes, now: now)
                self.inbox.setWritable(self.channel.isWritable)
            }
        }
        write(bytes, now: now)
    }

    func resumeReading() {
        onEventLoop { handler in
            handler.isReadingPaused = false
            guard handler.isReadHeldBack else { return }
            handler.isReadHeldBack = false
            handler.context?.read()
        }
    }

    func close() {
        onEventLoop { handler in
            guard handler.context != nil else { return }
            handler.flush()
            // An empty write is done when all writes before it are. A client that does not read
            // them is not waited for much longer.
            let written = handler.eventLoop.makePromise(of: Void.self)
            let channel = handler.channel
            let deadline = handler.eventLoop.scheduleTask(in: handler.timeouts.closing) {
                channel.close(promise: nil)
            }
            written.futureResult.whenComplete { _ in
                deadline.cancel()
                channel.close(promise: nil)
            }
            channel.writeAndFlush(ByteBuffer(), promise: written)
        }
    }

    private func write(_ bytes: [UInt8], now: Bool) {
        gathered.writeBytes(bytes)
        if now {
            flush()
        } else if !isFlushScheduled {
            isFlushScheduled = true
            eventLoop.execute {
                self.isFlushScheduled = false
                self.flush()
            }
        }
    }

    private func flush() {
        guard gathered.readableBytes > 0 else { return }
        context?.writeAndFlush(Self.wrapOutboundOut(gathered), promise: nil)
        gathered = ByteBuffer()
    }

    private func onEventLoop(_ body: @escaping @Sendable (PostgresChannelHandler) -> Void) {
        guard !eventLoop.inEventLoop else { return body(self) }
        eventLoop.execute { body(self) }
    }
}
