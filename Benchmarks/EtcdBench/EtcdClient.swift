import NIOCore
import NIOHPACK
import NIOHTTP2
import NIOPosix
import SteleBench

/// A connection to one node of etcd, shared by all calls: gRPC over HTTP/2, without a stream object per
/// call, so that this side costs little beside the node.
struct EtcdClient: BenchTarget {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    private let channel: any Channel
    private let calls: NIOLoopBound<EtcdCalls>

    static func connect(to address: String) async throws -> EtcdClient {
        let parts = address.split(separator: ":")
        guard parts.count == 2, let port = Int(parts[1]) else {
            throw Failure(description: "\(address) is no HOST:PORT")
        }
        return try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .connect(host: String(parts[0]), port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    let calls = EtcdCalls(authority: address)
                    // Go measures its connections by pings, as many as answers.
                    var limits = NIOHTTP2Handler.ConnectionConfiguration()
                    limits.controlFrameRateLimit.maximumCount = .max
                    limits.controlFrameRateLimit.windowLength = .milliseconds(1)
                    try channel.pipeline.syncOperations.addHandlers(
                        NIOHTTP2Handler(mode: .client, connectionConfiguration: limits), calls)
                    return EtcdClient(
                        channel: channel, calls: NIOLoopBound(calls, eventLoop: channel.eventLoop))
                }
            }
    }

    func get(_ key: [UInt8]) async throws { try await call("Range", EtcdMessages.range(key)) }

    func put(_ key: [UInt8], _ value: [UInt8]) async throws {
        try await call("Put", EtcdMessages.put(key, value))
    }

    func scan(from start: [UInt8], to end: [UInt8]) async throws {
        try await call("Range", EtcdMessages.range(start, to: end))
    }

    func write(_ pairs: [(key: [UInt8], value: [UInt8])]) async throws {
        try await call("Txn", EtcdMessages.transaction(pairs))
    }

    func close() { channel.close(promise: nil) }

    private func call(_ method: String, _ message: [UInt8]) async throws {
        try await withCheckedThrowingContinuation {
            (continuation: CheckedContinuation<Void, any Error>) in
            channel.eventLoop.execute { calls.value.send(method, message, continuation) }
        }
    }
}

/// The calls of one connection. A frame of data counts as read when it has come; what is in it is not
/// decoded, since only the end of a call tells whether it has succeeded.
final class EtcdCalls: ChannelInboundHandler {
    typealias InboundIn = HTTP2Frame
    typealias OutboundOut = HTTP2Frame

    /// Bytes read after which the other side is told that it may send as many again.
    private static let windowStep = 32 << 10

    private let authority: String
    private var context: ChannelHandlerContext?
    private var waiting: [HTTP2StreamID: CheckedContinuation<Void, any Error>] = [:]
    private var nextStream = HTTP2StreamID(1)
    private var readBytes = 0
    private var isFlushScheduled = false

    init(authority: String) { self.authority = authority }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func send(
        _ method: String, _ message: [UInt8], _ continuation: CheckedContinuation<Void, any Error>
    ) {
        guard let context else {
            return continuation.resume(
                throwing: EtcdClient.Failure(description: "the connection is closed"))
        }
        let stream = nextStream
        nextStream = stream.advanced(by: 2)
        waiting[stream] = continuation
        let headers: HPACKHeaders = [
            ":method": "POST", ":scheme": "http", ":path": "/etcdserverpb.KV/\(method)",
            ":authority": authority, "content-type": "application/grpc", "te": "trailers",
        ]
        // One byte that says it is not compressed, and the length.
        var body = context.channel.allocator.buffer(capacity: message.count + 5)
        body.writeInteger(UInt8(0))
        body.writeInteger(UInt32(message.count))
        body.writeBytes(message)
        write(stream, .headers(.init(headers: headers)), context)
        write(stream, .data(.init(data: .byteBuffer(body), endStream: true)), context)
        flushLater(context)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
        switch frame.payload {
        case .headers(let headers):
            guard headers.endStream else { return }
            let status = headers.headers.first(name: "grpc-status")
            let continuation = waiting.removeValue(forKey: frame.streamID)
            if status == "0" {
                continuation?.resume()
            } else {
                let text = headers.headers.first(name: "grpc-message") ?? "\(headers.headers)"
                continuation?.resume(
                    throwing: EtcdClient.Failure(description: "etcd: \(text)"))
            }
        case .data(let data):
            readBytes += data.data.readableBytes
            guard readBytes >= Self.windowStep else { return }
            write(.rootStream, .windowUpdate(windowSizeIncrement: readBytes), context)
            readBytes = 0
            flushLater(context)
        case .rstStream(let code):
            waiting.removeValue(forKey: frame.streamID)?.resume(
                throwing: EtcdClient.Failure(description: "etcd reset the call: \(code)"))
        default: break
        }
    }

    func channelInactive(context: ChannelHandlerContext) { fail("the connection was closed") }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        fail("\(error)")
        context.close(promise: nil)
    }

    private func fail(_ text: String) {
        let lost = waiting
        waiting = [:]
        for continuation in lost.values {
            continuation.resume(throwing: EtcdClient.Failure(description: text))
        }
    }

    private func write(
        _ stream: HTTP2StreamID, _ payload: HTTP2Frame.FramePayload,
        _ context: ChannelHandlerContext
    ) {
        context.write(
            wrapOutboundOut(HTTP2Frame(streamID: stream, payload: payload)), promise: nil)
    }

    /// Once for all that is written before the loop goes on.
    private func flushLater(_ context: ChannelHandlerContext) {
        guard !isFlushScheduled else { return }
        isFlushScheduled = true
        context.eventLoop.assumeIsolated().execute {
            self.isFlushScheduled = false
            self.context?.flush()
        }
    }
}
