import NIOCore
import SteleBase
import SteleWire

/// Whoever a ``Connection`` belongs to. All calls are made on the event loop.
protocol ConnectionOwner: AnyObject {
    func opened(_ connection: Connection)

    /// - Throws: why the connection is to be closed.
    func received(_ message: WireMessage, on connection: Connection) throws(ConnectionFailure)

    /// Called once, whoever closed it; `reason` says why.
    func closed(_ connection: Connection, reason: String)
}

/// Why a connection cannot go on.
struct ConnectionFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }

    static func unexpected(_ message: WireMessage) -> ConnectionFailure {
        ConnectionFailure("a message of kind \(message.kind) is out of place")
    }
}

/// One TCP connection: turns bytes into messages and back, and bounds what waits to be written.
///
/// Malformed bytes close it. After the close nothing is delivered any more.
final class Connection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Bytes that may wait for a slow reader before the connection is given up: more than the
    /// longest message, so that one alone never exceeds it.
    static let bufferLimit = Limits.messageBytes + (4 << 20)

    /// The reason for a close that nothing on this side asked for.
    static let remoteClosed = "the other side closed it"

    /// Stays until the connection is closed.
    var owner: (any ConnectionOwner)?
    /// Whether reading stops while too much waits to be written, as is right for requests.
    var pausesReading = false
    private var context: ChannelHandlerContext?
    private var decoder = FrameDecoder()
    private var reason: String?
    private var isFlushScheduled = false
    private let bufferLimit: Int
    /// Where it counts what the connection holds; nil while it is no client's.
    var account: HeldBytes?
    private var counted = 0
    /// The other side, for log lines.
    private(set) var remote = "?"

    init(owner: any ConnectionOwner, bufferLimit: Int = Connection.bufferLimit) {
        self.owner = owner
        self.bufferLimit = bufferLimit
    }

    var isOpen: Bool { context != nil && reason == nil }

    /// What the network has not taken yet, if that is more than a little.
    var backlog: Int {
        guard isOpen, let context, !context.channel.isWritable else { return 0 }
        return bufferedBytes(context)
    }

    /// Lets messages of full size pass, once the other side is known.
    func raiseLimits(messages: Int) { decoder.raiseLimits(messages: messages) }

    /// Sends `bytes` at once.
    func send(_ bytes: [UInt8]) {
        guard write(bytes) else { return }
        context?.flush()
    }

    /// Sends `bytes` together with what else is written before the loop goes on.
    func sendSoon(_ bytes: [UInt8]) {
        guard write(bytes), !isFlushScheduled, let loop = context?.eventLoop else { return }
        isFlushScheduled = true
        loop.assumeIsolated().execute {
            self.isFlushScheduled = false
            self.context?.flush()
        }
    }

    private func write(_ bytes: [UInt8]) -> Bool {
        guard isOpen, let context else { return false }
        if !context.channel.isWritable, bufferedBytes(context) > bufferLimit {
            close("it does not read what it is sent")
            return false
        }
        if account != nil, !context.channel.isWritable {
            count()
            guard isOpen else { return false }
        }
        var buffer = context.channel.allocator.buffer(capacity: bytes.count)
        buffer.writeBytes(bytes)
        context.write(wrapOutboundOut(buffer), promise: nil)
        return true
    }

    /// Tells what the connection holds by now, and ends it if that is too much.
    private func count() {
        guard let account, let context else { return }
        let unsent = context.channel.isWritable ? 0 : bufferedBytes(context)
        let bytes = decoder.bufferedBytes + unsent
        let before = counted
        counted = bytes
        if let excess = account.change(before, to: bytes) { close(excess) }
    }

    private func bufferedBytes(_ context: ChannelHandlerContext) -> Int {
        (try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
    }

    /// Sends `bytes` as the last thing, then closes.
    func close(after bytes: [UInt8], _ reason: String) {
        guard isOpen, let context else { return }
        self.reason = reason
        var buffer = context.channel.allocator.buffer(capacity: bytes.count)
        buffer.writeBytes(bytes)
        context.writeAndFlush(wrapOutboundOut(buffer)).assumeIsolated().whenComplete { _ in
            context.close(promise: nil)
        }
    }

    func close(_ reason: String) {
        guard isOpen else { return }
        self.reason = reason
        context?.close(promise: nil)
    }

    // MARK: ChannelInboundHandler

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if context.channel.isActive { open(context) }
    }

    func channelActive(context: ChannelHandlerContext) { open(context) }

    private func open(_ context: ChannelHandlerContext) {
        if let address = context.channel.remoteAddress, let ip = address.ipAddress,
            let port = address.port
        {
            remote = NetworkAddress(host: ip, port: port).description
        }
        owner?.opened(self)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard isOpen else { return }
        decoder.feed(unwrapInboundIn(data).readableBytesView)
        do {
            while isOpen, let message = try decoder.next() {
                switch message.kind {
                case .ping where message.payload.isEmpty: sendSoon(Frame.encode(.pong) { _ in })
                default: try owner?.received(message, on: self)
                }
            }
        } catch {
            close("\(error)")
        }
        count()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        count()
        guard pausesReading else { return }
        try? context.channel.syncOptions?.setOption(.autoRead, value: context.channel.isWritable)
    }

    func channelInactive(context: ChannelHandlerContext) { finish(Connection.remoteClosed) }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        close(error.connectionTrouble)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        finish("the connection was shut down")
        self.context = nil
    }

    private func finish(_ reason: String) {
        guard let owner else { return }
        self.owner = nil
        _ = account?.change(counted, to: 0)
        account = nil
        let reason = self.reason ?? reason
        self.reason = reason
        owner.closed(self, reason: reason)
    }
}
