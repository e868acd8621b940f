import NIOCore
import NIOPosix
import SteleFuzzing
import StelePostgres
import SteleSQL
import Synchronization

/// The Postgres front over a database in memory, on a port of its own.
struct ComparedServer {
    private let server: PostgresServer
    private let group: MultiThreadedEventLoopGroup

    static func start() async throws -> ComparedServer {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let database = FuzzDatabase()
        let catalog = SQLCatalogCache()
        let workers = StatementWorkers()
        let numbers = Numbers()
        let loop = group.next()
        let zones = SystemZones.database()
        let service = PostgresService(secret: { 1 }) { request throws(SQLError) in
            try SQLSession(
                database: database, catalog: catalog,
                environment: SQLEnvironment(
                    clock: { 800_000_000_000_000 }, nextRowID: { numbers.next() },
                    random: { numbers.next() },
                    schedule: { milliseconds, action in
                        let task = loop.scheduleTask(in: .milliseconds(Int64(milliseconds)), action)
                        return { task.cancel() }
                    }, offload: workers.run, user: request.user, database: request.database,
                    zones: zones),
                startupParameters: request.settings.map { ($0.name, $0.value) })
        }
        let server = try await PostgresServer.bind(
            group: group, host: "127.0.0.1", port: 0, service: service,
            executor: { ComparedExecutor($0) })
        return ComparedServer(server: server, group: group)
    }

    var port: Int? { server.port }

    func stop() async {
        await server.shutDown()
        try? await group.shutdownGracefully()
    }

    private final class Numbers: Sendable {
        private let last = Atomic<UInt64>(0)

        func next() -> UInt64 { last.add(1, ordering: .relaxed).newValue }
    }
}

/// Runs tasks on an event loop.
private final class ComparedExecutor: TaskExecutor {
    private let loop: any EventLoop

    init(_ loop: any EventLoop) { self.loop = loop }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        loop.execute { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}
