import NIOCore
import NIOPosix
import SteleWire
import Synchronization

/// A bare TCP connection that sends whatever a test wants and notes what comes back.
final class RawSocket: Sendable {
    private let channel: any Channel
    private let state: State

    private final class State: Sendable {
        let bytes = Mutex<[UInt8]>([])
        let isClosed = Mutex(false)
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        let state: State

        init(_ state: State) { self.state = state }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let buffer = unwrapInboundIn(data)
            state.bytes.withLock { $0.append(contentsOf: buffer.readableBytesView) }
        }

        func channelInactive(context: ChannelHandlerContext) {
            state.isClosed.withLock { $0 = true }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            context.close(promise: nil)
        }
    }

    private init(_ channel: any Channel, _ state: State) {
        self.channel = channel
        self.state = state
    }

    static func connect(
        to address: NetworkAddress, reads: Bool = true
    ) async throws -> RawSocket {
        let state = State()
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.autoRead, value: reads)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Handler(state))
                }
            }
            .connect(host: address.host, port: address.port).get()
        return RawSocket(channel, state)
    }

    /// Accepts connections on a free port and hands each to `accept`.
    static func listen(
        reads: Bool, _ accept: @escaping @Sendable (RawSocket) -> Void
    ) async throws -> (any Channel, NetworkAddress) {
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelOption(.autoRead, value: reads)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let state = State()
                    try channel.pipeline.syncOperations.addHandler(Handler(state))
                    accept(RawSocket(channel, state))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let port = listener.localAddress?.port ?? 0
        return (listener, NetworkAddress(host: "127.0.0.1", port: port))
    }

    func send(_ bytes: [UInt8]) {
        channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil)
    }

    func close() { channel.close(promise: nil) }

    var isClosed: Bool { state.isClosed.withLock { $0 } }

    /// All messages that came back.
    var received: [WireMessage] {
        var decoder = FrameDecoder(frameLimit: 1 << 24, messageLimit: 1 << 27)
        decoder.feed(state.bytes.withLock { $0 })
        var messages: [WireMessage] = []
        while let message = try? decoder.next() { messages.append(message) }
        return messages
    }
}
