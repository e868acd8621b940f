import SteleBase
import StelePostgres
import SteleVerify

@testable import SteleSimulation

/// Clients that append to lists and read them in SQL, through wire bytes, at the three isolation
/// levels that the front offers: one table for each.
final class SQLWorkload: SimulatedWorkload, @unchecked Sendable {
    // Safety: used in the thread that runs the simulation only.
    private let clients: Int
    private var fronts: [Int: (life: Int, front: SQLFront)] = [:]
    private var histories: [AppendChecker.Level: History] = [:]
    private var lists: [AppendChecker.Level: Set<Int>] = [:]
    private var transactions = 0
    private var lastProcess = 0
    private var unexpected: String?
    /// How transactions ended: acknowledged, failed, unknown.
    private(set) var counts = [0, 0, 0]

    private static let levels: [AppendChecker.Level] = [
        .readCommitted, .snapshotIsolation, .serializable,
    ]
    private static let transactionsPerWindow = 40

    init(clients: Int) { self.clients = clients }

    // MARK: SimulatedWorkload

    func start(_ cluster: SimulatedCluster) {
        cluster.workload.busyClients += 1
        cluster.spawn { [self] in
            for level in Self.levels { await create(level, cluster) }
            for _ in 0..<clients {
                cluster.workload.busyClients += 1
                cluster.spawn { [self] in
                    await work(cluster)
                    cluster.workload.busyClients -= 1
                }
            }
            cluster.workload.busyClients -= 1
        }
    }

    func finish(_ cluster: SimulatedCluster) async throws {
        let connection = try await connect(cluster)
        defer { connection.close() }
        for level in Self.levels {
            let process = newProcess()
            let keys = (lists[level] ?? []).sorted()
            histories[level, default: History()].invoke(
                .transaction(keys.map { .readList(key: $0, values: nil) }), process: process,
                time: cluster.now * 1_000)
            let rows: [[String?]]
            do {
                rows = try await connection.query("SELECT k, v FROM \(Self.table(level))").rows
            } catch {
                histories[level]?.complete(.fail, process: process, time: cluster.now * 1_000)
                throw error
            }
            let found = Self.lists(rows)
            histories[level]?.complete(
                .ok, .transaction(keys.map { .readList(key: $0, values: found[$0] ?? []) }),
                process: process, time: cluster.now * 1_000)
        }
    }

    func failure() -> String? {
        if let unexpected { return unexpected }
        for level in Self.levels {
            let checker = AppendChecker(level: level, order: .realTime)
            if case .violated(let anomalies) = checker.check(histories[level] ?? History()) {
                let text = anomalies.map(\.description).joined(separator: "\n")
                return "SQL: not \(level): \(text)"
            }
        }
        return nil
    }

    // MARK: Clients

    private func newProcess() -> Int {
        lastProcess += 1
        return lastProcess
    }

    private static func table(_ level: AppendChecker.Level) -> String { "lists_\(level.rawValue)" }

    private static func lists(_ rows: [[String?]]) -> [Int: [Int]] {
        var lists: [Int: [Int]] = [:]
        for row in rows where row.count == 2 {
            guard let key = row[0].flatMap({ Int($0) }) else { continue }
            lists[key] = (row[1] ?? "").split(separator: " ").compactMap { Int($0) }
        }
        return lists
    }

    private func connect(_ cluster: SimulatedCluster) async throws -> SQLConnection {
        let node = cluster.nodes[Int(cluster.clientRandom.below(UInt64(cluster.nodes.count)))]
        guard node.isUp else { throw ConnectionLost() }
        let connection = try await SQLConnection.open(front(of: node, cluster), node, in: cluster)
        _ = try await connection.query("SET statement_timeout = 3000")
        return connection
    }

    private func front(of node: SimulatedNode, _ cluster: SimulatedCluster) -> SQLFront {
        if let known = fronts[node.place], known.life == node.life { return known.front }
        let front = SQLFront(cluster: cluster, node: node)
        fronts[node.place] = (node.life, front)
        return front
    }

    private func create(_ level: AppendChecker.Level, _ cluster: SimulatedCluster) async {
        while true {
            do {
                let connection = try await connect(cluster)
                defer { connection.close() }
                _ = try await connection.query(
                    "CREATE TABLE IF NOT EXISTS \(Self.table(level)) "
                        + "(k int PRIMARY KEY, v text NOT NULL)")
                return
            } catch {
                await cluster.sleep(50_000)
            }
        }
    }

    /// A client reconnects whenever its connection is lost, and now and then of itself.
    private func work(_ cluster: SimulatedCluster) async {
        var connection: SQLConnection?
        var process = newProcess()
        while cluster.workload.isRunning {
            let pause = cluster.clientRandom.uniform(
                cluster.scenario.thinkTime / 4...cluster.scenario.thinkTime * 7 / 4)
            await cluster.sleep(pause)
            if connection?.isLost ?? true || cluster.clientRandom.oneIn(20) {
                connection?.close()
                connection = try? await connect(cluster)
            }
            guard let connection else { continue }
            let isKnown = await run(as: process, over: connection, cluster)
            if !isKnown { process = newProcess() }
        }
        connection?.close()
    }

    // MARK: Transactions

    private enum Statement {
        case append(Int, Int)
        case read(Int)
        case scan(ClosedRange<Int>)

        var steps: [History.Step] {
            switch self {
            case .append(let key, let value): [.append(key: key, value: value)]
            case .read(let key): [.readList(key: key, values: nil)]
            case .scan(let keys): keys.map { .readList(key: $0, values: nil) }
            }
        }
    }

    /// - Returns: false if nobody knows whether the transaction was committed.
    private func run(
        as process: Int, over connection: SQLConnection, _ cluster: SimulatedCluster
    ) async -> Bool {
        transactions += 1
        let level = Self.levels[Int(cluster.clientRandom.below(3))]
        let window = transactions / Self.transactionsPerWindow * 2
        let statements = (0...cluster.clientRandom.below(4)).map { _ -> Statement in
            let key = window + Int(cluster.clientRandom.below(3))
            lists[level, default: []].insert(key)
            switch cluster.clientRandom.below(6) {
            case 0:
                lists[level, default: []].insert(key + 1)
                return .scan(key...key + 1)
            case 1, 2: return .read(key)
            default: return .append(key, cluster.newValue())
            }
        }
        histories[level, default: History()].invoke(
            .transaction(statements.flatMap(\.steps)), process: process,
            time: cluster.now * 1_000)
        let (ending, steps) = await run(statements, at: level, over: connection, cluster)
        counts[ending == .ok ? 0 : ending == .fail ? 1 : 2] += 1
        cluster.trace.note(
            .client, at: cluster.now, UInt64(process), UInt64(counts[0]),
            "SQL process \(process): \(ending.rawValue) \(steps)")
        histories[level]?.complete(
            ending, ending == .ok ? .transaction(steps) : nil, process: process,
            time: cluster.now * 1_000)
        return ending != .info
    }

    private func run(
        _ statements: [Statement], at level: AppendChecker.Level, over connection: SQLConnection,
        _ cluster: SimulatedCluster
    ) async -> (History.EventType, [History.Step]) {
        var steps: [History.Step] = []
        var isCommitting = false
        do {
            let name =
                switch level {
                case .readCommitted: "READ COMMITTED"
                case .snapshotIsolation: "REPEATABLE READ"
                default: "SERIALIZABLE"
                }
            _ = try await connection.query("BEGIN ISOLATION LEVEL \(name)")
            for statement in statements {
                if cluster.clientRandom.oneIn(20) { cancelSoon(connection, cluster) }
                steps += try await run(statement, at: level, over: connection, cluster)
            }
            isCommitting = true
            let tag = try await connection.query("COMMIT").tag
            return (tag == "COMMIT" ? .ok : .fail, steps)
        } catch let error as ServerError {
            let isUnknown = isCommitting && ["40003", "57014"].contains(error.state)
            expect(error)
            if connection.status != "I" { _ = try? await connection.query("ROLLBACK") }
            return (isUnknown ? .info : .fail, steps)
        } catch {
            return (isCommitting ? .info : .fail, steps)
        }
    }

    private func run(
        _ statement: Statement, at level: AppendChecker.Level, over connection: SQLConnection,
        _ cluster: SimulatedCluster
    ) async throws -> [History.Step] {
        let table = Self.table(level)
        switch statement {
        case .append(let key, let value):
            _ = try await connection.execute(
                "INSERT INTO \(table) VALUES ($1, $2) "
                    + "ON CONFLICT (k) DO UPDATE SET v = \(table).v || excluded.v",
                ["\(key)", " \(value)"])
            return [.append(key: key, value: value)]
        case .read(let key):
            let lock = cluster.clientRandom.oneIn(5) ? " FOR UPDATE" : ""
            let rows = try await connection.execute(
                "SELECT k, v FROM \(table) WHERE k = $1\(lock)", ["\(key)"]
            ).rows
            return [.readList(key: key, values: Self.lists(rows)[key] ?? [])]
        case .scan(let keys):
            let order = cluster.clientRandom.oneIn(2) ? " ORDER BY k DESC" : ""
            let rows = try await connection.query(
                "SELECT k, v FROM \(table) WHERE k BETWEEN \(keys.lowerBound) AND "
                    + "\(keys.upperBound)\(order)"
            ).rows
            let found = Self.lists(rows)
            return keys.map { .readList(key: $0, values: found[$0] ?? []) }
        }
    }

    /// Another connection asks for an end of what this one does, some time from now.
    private func cancelSoon(_ connection: SQLConnection, _ cluster: SimulatedCluster) {
        cluster.after(cluster.clientRandom.below(30_000)) { [self] in
            guard !connection.isLost, connection.node.isUp else { return }
            SQLConnection.cancel(
                connection.key, front(of: connection.node, cluster), connection.node, in: cluster)
        }
    }

    /// Errors that come from conflicts, cancelling, and nodes that cannot be reached.
    private func expect(_ error: ServerError) {
        let known = [
            "40001", "40P01", "40003", "55P03", "57014", "57P01", "57P03", "53000", "53200", "53300",
            "25P02", "58000", "72000",
        ]
        if !known.contains(error.state) {
            unexpected = unexpected ?? "a client was told \(error.state): \(error.message)"
        }
    }
}
