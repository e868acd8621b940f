import NIOCore
import NIOPosix
import SteleAPI
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

// Listens for Postgres clients. Each connection has one task, which runs on the executor that the
// node chooses for the connection's event loop, so that an answer need not change threads.

/// A listening socket and the connections that came through it.
package final class PostgresServer: Sendable {
    /// How long clients may take where they could take for ever.
    package struct Timeouts: Sendable {
        /// Between connecting and the end of the opening.
        package var opening = TimeAmount.seconds(60)
        /// Between the last answer and its arrival at the client.
        package var closing = TimeAmount.seconds(5)
        /// Between the beginning of ``PostgresServer/shutDown()`` and its end.
        package var shutdown = TimeAmount.seconds(1)

        package init() {}
    }

    /// The service that the connections belong to.
    package let service: PostgresService
    private let listener: any Channel
    private let connections: OpenChannels
    private let timeouts: Timeouts

    private init(
        service: PostgresService, listener: any Channel, connections: OpenChannels,
        timeouts: Timeouts
    ) {
        self.service = service
        self.timeouts = timeouts
        self.listener = listener
        self.connections = connections
    }

    /// Listens on `host` and `port`; port 0 takes a free one, which ``port`` then tells.
    ///
    /// - Parameters:
    ///   - group: the event loops that connections are spread over.
    ///   - executor: runs the tasks of an event loop's connections, normally on that loop.
    package static func bind(
        group: any EventLoopGroup, host: String, port: Int, service: PostgresService,
        timeouts: Timeouts = Timeouts(),
        executor: @escaping @Sendable (any EventLoop) -> any TaskExecutor
    ) async throws(SteleError) -> PostgresServer {
        let connections = OpenChannels()
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 4096)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.socketOption(.so_keepalive), value: 1)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(
                .writeBufferWaterMark, value: .init(low: 1 << 15, high: 1 << 17)
            )
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    connections.add(channel)
                    let executor = executor(channel.eventLoop)
                    let handler = PostgresChannelHandler(channel: channel, timeouts: timeouts) {
                        inbox, transport in
                        Task(executorPreference: executor) {
                            await PostgresConnection(
                                inbox: inbox, transport: transport, service: service
                            ).run()
                        }
                    }
                    try channel.pipeline.syncOperations.addHandler(handler)
                }
            }
        do {
            let listener = try await bootstrap.bind(host: host, port: port).get()
            return PostgresServer(
                service: service, listener: listener, connections: connections,
                timeouts: timeouts)
        } catch let error as IOError where error.errnoCode == EADDRINUSE {
            throw SteleError(.configuration, "the address \(host):\(port) is in use")
        } catch {
            throw SteleError(
                .configuration,
                "cannot listen for Postgres clients on \(host):\(port): \(error)")
        }
    }

    /// The port that the server listens on.
    package var port: Int? { listener.localAddress?.port }

    /// Stops listening, ends every connection with 57P01, and waits until all of them are closed. A
    /// client that does not read its answers is not waited for beyond ``Timeouts/shutdown``.
    package func shutDown() async {
        let deadline = listener.eventLoop.scheduleTask(in: timeouts.shutdown) { [connections] in
            for channel in connections.all { channel.close(promise: nil) }
        }
        defer { deadline.cancel() }
        listener.close(promise: nil)
        try? await listener.closeFuture.get()
        await service.shutDown()
        for channel in connections.all { try? await channel.closeFuture.get() }
    }
}

/// The channels of a server that are not closed yet.
private final class OpenChannels: Sendable {
    private let channels = Mutex<[ObjectIdentifier: any Channel]>([:])

    var all: [any Channel] { channels.withLock { Array($0.values) } }

    func add(_ channel: any Channel) {
        let id = ObjectIdentifier(channel)
        channels.withLock { $0[id] = channel }
        channel.closeFuture.whenComplete { [weak self] _ in
            self?.remove(id)
        }
    }

    private func remove(_ id: ObjectIdentifier) {
        channels.withLock { $0[id] = nil }
    }
}
