import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

// A client over a real socket, that says exactly the bytes it is told to, and an executor that
// runs a connection's task on the connection's event loop, as a node does.

/// Runs tasks on an event loop.
final class LoopExecutor: TaskExecutor {
    private let loop: any EventLoop

    init(_ loop: any EventLoop) { self.loop = loop }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        loop.execute { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}

final class SocketClient: Sendable {
    private let channel: any Channel
    private let received: NIOLockedValueBox<[UInt8]>

    private init(channel: any Channel, received: NIOLockedValueBox<[UInt8]>) {
        self.channel = channel
        self.received = received
    }

    static func connect(
        _ port: Int, reads: Bool = true, sending bytes: [UInt8] = []
    ) async throws -> SocketClient {
        let received = NIOLockedValueBox<[UInt8]>([])
        let channel = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .channelOption(.autoRead, value: reads)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Collector(received))
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
        let client = SocketClient(channel: channel, received: received)
        client.send(bytes)
        return client
    }

    var lines: [String] { ServerMessages(received.withLockedValue { $0 }).lines }
    var byteCount: Int { received.withLockedValue { $0.count } }

    /// The key in BackendKeyData, which is the message before the first ReadyForQuery.
    var key: (Int32, Int32)? {
        let bytes = received.withLockedValue { $0 }
        guard let kind = bytes.firstIndex(of: UInt8(ascii: "K")), bytes.count > kind + 12 else {
            return nil
        }
        func integer(_ start: Int) -> Int32 {
            bytes[start..<(start + 4)].reduce(0) { $0 << 8 | Int32($1) }
        }
        return (integer(kind + 5), integer(kind + 9))
    }

    func send(_ bytes: [UInt8]) {
        channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil)
    }

    /// Says that nothing more will come, and still listens.
    func endOutput() { channel.close(mode: .output, promise: nil) }

    func close() { channel.close(promise: nil) }

    /// Closes so that the other side is told of a broken connection.
    func reset() async throws {
        let options = channel as? any SocketOptionProvider
        try await options?.setSoLinger(linger(l_onoff: 1, l_linger: 0)).get()
        channel.close(promise: nil)
    }

    /// Waits until the other side has ended the connection.
    func ended() async throws { try await channel.closeFuture.get() }

    /// Waits until `count` messages of `kind` have arrived.
    func wait(for kind: String, count: Int = 1) async throws {
        try await wait { lines in lines.filter { $0.hasPrefix(kind) }.count >= count }
    }

    private func wait(_ isDone: ([String]) -> Bool) async throws {
        for _ in 0..<2_000 {
            if isDone(lines) { return }
            try await Task.sleep(for: .milliseconds(5))
        }
        throw TimedOut()
    }

    struct TimedOut: Error {}

    private final class Collector: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let received: NIOLockedValueBox<[UInt8]>

        init(_ received: NIOLockedValueBox<[UInt8]>) { self.received = received }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let bytes = Self.unwrapInboundIn(data)
            received.withLockedValue { $0.append(contentsOf: bytes.readableBytesView) }
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if case .some(.inputClosed) = event as? ChannelEvent { context.close(promise: nil) }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            context.close(promise: nil)
        }
    }
}
