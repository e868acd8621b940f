import Foundation
import SteleSimulation
import Testing

@testable import SteleSimulation

/// SQL over the simulated cluster, from the wire's bytes down: sessions of the Postgres front on
/// nodes that crash, pause and lose each other; each level keeps what it promises.
///
/// `STELE_SQL_SEEDS=n` runs n seeds instead of 16, `STELE_SIMULATION_SEED=n` replays one.
@Suite(.serialized)
struct SQLSeedTests {
    private static func environment(_ name: String) -> UInt64? {
        ProcessInfo.processInfo.environment[name].flatMap(UInt64.init)
    }

    private func run(
        seed: UInt64, defect: HostDefect = .none, scenario name: String? = nil,
        observer: ((String) -> Void)? = nil
    ) throws -> (result: SimulationResult, counts: [Int]) {
        let names = ["swarm", "crash", "partition", "pause", "reset", "swarm", "calm", "clocks"]
        let name = name ?? names[Int(seed) % names.count]
        var scenario = try #require(Scenario.named(name, seed: seed))
        scenario.duration = 2_500_000
        scenario.thinkTime += 10_000
        scenario.clients = 1
        let cluster = SimulatedCluster(
            seed: seed, scenario: scenario, defect: defect, observer: observer)
        let workload = SQLWorkload(clients: 5)
        cluster.fronts = [workload]
        cluster.begin()
        cluster.runToEnd()
        cluster.judge()
        return (cluster.result, workload.counts)
    }

    static var blocks: [UInt64] {
        if environment("STELE_SIMULATION_SEED") != nil { return [] }
        return (0..<((environment("STELE_SQL_SEEDS") ?? 16) + 3) / 4).map { 1 + $0 * 4 }
    }

    @Test(arguments: blocks)
    func fourSeeds(from first: UInt64) async throws {
        try await withTaskExecutorPreference(SimulationThreads.shared) {
            var acknowledged = 0
            for seed in first..<first + 4 {
                let (result, counts) = try run(seed: seed)
                acknowledged += counts[0]
                #expect(result.failure == nil, "seed \(seed) of \(result.scenario.name)")
            }
            #expect(acknowledged > 40)
        }
    }

    @Test func replay() throws {
        guard let seed = Self.environment("STELE_SIMULATION_SEED") else { return }
        let (result, counts) = try run(seed: seed) { print($0) }
        print("trace hash \(String(result.traceHash, radix: 16)), \(counts), \(result.counts)")
        #expect(result.failure == nil)
    }

    @Test(arguments: [5, 6] as [UInt64])
    func sameSeedSameTrace(seed: UInt64) throws {
        let one = try run(seed: seed)
        let other = try run(seed: seed)
        #expect(one.result.traceHash == other.result.traceHash)
        #expect(one.counts == other.counts)
        #expect(one.counts[0] > 10)
    }

    /// What a coordinator gets wrong shows in what SQL's clients read.
    @Test(arguments: [HostDefect.forgetsReadKeys, .readsOutsideSnapshot])
    func defectsShow(defect: HostDefect) throws {
        var failure: String?
        for seed in 1...12 as ClosedRange<UInt64> where failure == nil {
            failure = try run(seed: seed, defect: defect, scenario: "calm").result.failure
        }
        print("\(defect): \(failure ?? "")")
        #expect(failure?.hasPrefix("SQL: not ") == true)
    }
}
