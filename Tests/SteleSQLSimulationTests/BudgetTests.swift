import CAllocationHooks
import SteleBase
import SteleSimulation
import Testing

@testable import SteleSimulation

/// What common statements cost a cluster of three, counted in a simulation of it, where nothing depends
/// on the machine: whoever makes one of them dearer finds out here.
///
/// A statement comes alone, through the leader's Postgres front, which is the dearest way: nothing of
/// its turns, records and frames is shared. A record is written and synced, a frame is sent by one
/// system call and received by another. Allocations are those of all nodes, of the simulation around
/// them and of its client, in a debug build. Some heartbeats and ticks are counted as well.
@Suite(.serialized)
struct BudgetTests {
    /// What one statement may cost, on average, on all nodes together.
    struct Budget {
        var turns: Double
        var records: Double
        var frames: Double
        var frameBytes: Double
        var loggedBytes: Double
        var allocations: Double
        var allocatedBytes: Double
    }

    struct Work: Sendable, CustomTestStringConvertible {
        var name: String
        var statements: [String]
        var budget: Budget

        var testDescription: String { name }
    }

    static let works = [
        Work(
            name: "point read", statements: ["select v from t where k = $1"],
            budget: Budget(
                turns: 0.8, records: 0.05, frames: 0.5, frameBytes: 30, loggedBytes: 0,
                allocations: 500, allocatedBytes: 26_000)),
        Work(
            name: "range read of 100 rows",
            statements: ["select v from t where k between $1 and $1 + 99"],
            budget: Budget(
                turns: 1.7, records: 0.05, frames: 0.8, frameBytes: 45, loggedBytes: 0,
                allocations: 4_800, allocatedBytes: 340_000)),
        Work(
            name: "update of one row", statements: ["update t set v = v + 1 where k = $1"],
            budget: Budget(
                turns: 9.7, records: 3.1, frames: 4.8, frameBytes: 330, loggedBytes: 200,
                allocations: 1_700, allocatedBytes: 94_000)),
        Work(
            name: "block that changes a row, reads it and inserts one",
            statements: [
                "begin", "update t set v = v + 1 where k = $1", "select v from t where k = $1",
                "insert into h (k, v) values ($1, 1)", "commit",
            ],
            budget: Budget(
                turns: 13.3, records: 3.2, frames: 6.9, frameBytes: 550, loggedBytes: 340,
                allocations: 3_150, allocatedBytes: 177_000)),
    ]

    private static let repetitions = 100

    private final class Measured: @unchecked Sendable {
        // Safety: used in the thread that runs the simulation only.
        var cost: Budget?
        var failure: (any Error)?
    }

    @Test(arguments: works)
    func statementsKeepTheirBudget(work: Work) throws {
        var scenario = try #require(Scenario.named("calm", seed: 7))
        scenario.network.maximumDelay = 300
        scenario.disk.maximumSync = 200
        scenario.turnDelay = 20
        let cluster = SimulatedCluster(seed: 7, scenario: scenario, defect: .none, observer: nil)
        for node in cluster.nodes { cluster.start(node) }
        let measured = Measured()
        cluster.after(2_000_000) {
            cluster.spawn {
                do { measured.cost = try await Self.cost(of: work, cluster) } catch {
                    measured.failure = error
                }
                cluster.isDone = true
            }
        }
        cluster.runToEnd()
        if let failure = measured.failure { throw failure }
        let cost = try #require(measured.cost)
        let isCounted = stele_allocations_supported() != 0
        for (what, found, most) in [
            ("turns", cost.turns, work.budget.turns), ("records", cost.records, work.budget.records),
            ("frames", cost.frames, work.budget.frames),
            ("bytes of frames", cost.frameBytes, work.budget.frameBytes),
            ("bytes of entries", cost.loggedBytes, work.budget.loggedBytes),
            ("allocations", cost.allocations, work.budget.allocations),
            ("allocated bytes", cost.allocatedBytes, work.budget.allocatedBytes),
        ] {
            #expect(found <= most, "\(what) of a \(work.name)")
            // Else nobody would notice how far it may rise.
            #expect(
                found >= most / 2 || most < 1 || what.hasPrefix("alloc") && !isCounted,
                "the budget for \(what) of a \(work.name) is too large")
        }
    }

    private static func cost(of work: Work, _ cluster: SimulatedCluster) async throws -> Budget {
        let leader = cluster.nodes.first { $0.replica(of: .firstData)?.isServing ?? false }
        let node = try #require(leader)
        let front = SQLFront(cluster: cluster, node: node)
        let connection = try await SQLConnection.open(front, node, in: cluster)
        _ = try await connection.query("create table t (k int primary key, v int)")
        _ = try await connection.query("create table h (k int, v int)")
        _ = try await connection.query("insert into t select x, 0 from generate_series(1, 400) as g(x)")
        func run(_ times: Int) async throws {
            for time in 0..<times {
                for statement in work.statements {
                    let values = statement.contains("$1") ? ["\(1 + time * 3)"] : []
                    _ = try await connection.execute(statement, values)
                }
            }
        }
        // Tables are known and memory is reserved from here on.
        try await run(20)
        let before = cluster.result.counts
        stele_allocations_start()
        try await run(repetitions)
        let allocations = stele_allocations_of_thread()
        let bytes = stele_allocated_bytes_of_thread()
        stele_allocations_stop()
        let after = cluster.result.counts
        func each(_ count: Int) -> Double { Double(count) / Double(repetitions) }
        return Budget(
            turns: each(after.turns - before.turns),
            records: each(after.logRecords - before.logRecords),
            frames: each(after.frames - before.frames),
            frameBytes: each(after.frameBytes - before.frameBytes),
            loggedBytes: each(after.loggedBytes - before.loggedBytes),
            allocations: each(Int(allocations)), allocatedBytes: each(Int(bytes)))
    }
}
