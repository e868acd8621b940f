import Foundation
import Logging
import NIOCore
import Stele
import SteleAPI
import SteleSQL
import StelePostgres
import SteleTransport
import SteleWire

/// A node's Postgres front: sessions run on the node's own event loops, one of which is its
/// kernel's.
struct PostgresFront {
    private let server: PostgresServer

    /// Begins to listen on `address`; nil does nothing.
    ///
    /// - Throws: ``SteleError/Code/configuration`` if the address is in use.
    static func start(on node: Node, address: String?) async throws -> PostgresFront? {
        guard let address = try address.map({ try NetworkAddress(parsing: $0) }) else { return nil }
        let catalog = SQLCatalogCache()
        let database = node.sqlBackend
        let loop = node.eventLoop
        let zones = SystemZones.database()
        let schedule: SQLEnvironment.Schedule = { milliseconds, action in
            let task = loop.scheduleTask(in: .milliseconds(Int64(milliseconds)), action)
            return { task.cancel() }
        }
        let workers = StatementWorkers()
        let service = PostgresService(
            PostgresService.Configuration(), secret: { .random(in: 0 ... .max) }
        ) { request throws(SQLError) in
            try SQLSession(
                database: database, catalog: catalog,
                environment: SQLEnvironment(
                    clock: { Node.wallClock() - epoch }, nextRowID: { node.uniqueNumber() },
                    random: { .random(in: 0 ... .max) }, schedule: schedule,
                    offload: workers.run, processID: request.processID, user: request.user,
                    database: request.database,
                    zones: zones),
                startupParameters: request.settings.map { ($0.name, $0.value) })
        }
        return PostgresFront(
            server: try await PostgresServer.bind(
                group: node.eventLoops, host: address.host, port: address.port,
                service: service, executor: { node.executor(of: $0) }))
    }

    /// - Throws: ``SteleError/Code/configuration`` if nobody can listen on `address` now.
    static func checkIsFree(_ address: String?) throws {
        if let address { try NetworkAddress(parsing: address).checkIsFree() }
    }

    /// Ends all sessions; returns when they are closed.
    func stop() async { await server.shutDown() }

    /// 2000-01-01 in microseconds since 1970: where Postgres begins to count.
    private static let epoch: Int64 = 946_684_800_000_000
}
