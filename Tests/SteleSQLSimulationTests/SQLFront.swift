import SteleAPI
import SteleBase
import StelePostgres
import SteleSQL
import SteleTransaction

@testable import SteleSimulation

/// The Postgres front of one run of a simulated node: the service, its sessions and their catalogue,
/// as `stele start` assembles them, on the node's executor, clock and numbers.
final class SQLFront: Sendable {
    let service: PostgresService
    private let cluster: SimulatedCluster
    private let node: SimulatedNode

    init(cluster: SimulatedCluster, node: SimulatedNode) {
        self.cluster = cluster
        self.node = node
        let catalog = SQLCatalogCache()
        let database = node.backend(.sql, in: cluster)
        service = PostgresService(
            secret: { UInt32(truncatingIfNeeded: cluster.taskRandom.next()) }
        ) { request throws(SQLError) in
            var environment = SQLEnvironment(
                clock: { Int64(node.clock.wall(at: cluster.now)) - Self.epoch },
                nextRowID: {
                    node.nextTransaction += 1
                    return TransactionID(node: node.id, sequence: node.nextTransaction).rawValue
                },
                random: { cluster.taskRandom.next() },
                schedule: { Self.schedule($0, $1, on: node, in: cluster) },
                offload: { work in
                    // Also after a crash: whose session it is goes on, but reaches nobody.
                    cluster.after(cluster.taskRandom.below(500)) { work() }
                },
                processID: request.processID, user: request.user, database: request.database)
            // So little that ordinary statements go to a worker now and then.
            environment.turnBudget = 20_000
            return try SQLSession(
                database: database, catalog: catalog, environment: environment,
                startupParameters: request.settings.map { ($0.name, $0.value) })
        }
    }

    /// 2000-01-01 in microseconds since 1970.
    private static let epoch: Int64 = 946_684_800_000_000

    private final class Alarm: @unchecked Sendable {
        // Safety: used in the thread that runs the simulation only.
        var isOff = false
    }

    private static func schedule(
        _ milliseconds: Int, _ action: @escaping @Sendable () -> Void, on node: SimulatedNode,
        in cluster: SimulatedCluster
    ) -> @Sendable () -> Void {
        let alarm = Alarm()
        cluster.after(UInt64(milliseconds) * 1_000, on: node) {
            if !alarm.isOff { action() }
        }
        return { alarm.isOff = true }
    }

    /// Serves a connection in a task of the node until it ends.
    func serve(_ inbox: PostgresInbox, _ transport: any PostgresTransport) {
        cluster.spawn(on: node) { [service] in
            await PostgresConnection(inbox: inbox, transport: transport, service: service).run()
        }
    }
}
