import Foundation
import SteleSimulation
import Testing

/// Many seeds over all scenarios: what the clients saw and what the nodes did must be right.
///
/// `STELE_SIMULATION_SEEDS=n` runs n seeds instead of 200, `STELE_SIMULATION_FIRST=n` begins
/// elsewhere, and `STELE_SIMULATION_SEED=n` replays a single one and prints all that happens in it.
struct SeedTests {
    private static func environment(_ name: String) -> UInt64? {
        ProcessInfo.processInfo.environment[name].flatMap(UInt64.init)
    }

    /// Every second seed mixes all kinds of faults; the others have one kind each.
    static func scenario(of seed: UInt64) -> Scenario {
        let names = Scenario.names
        let name = seed % 2 == 0 ? "swarm" : names[Int(seed / 2) % names.count]
        guard var scenario = Scenario.named(name, seed: seed) else {
            return Scenario(name: "calm")
        }
        // A debug build has to get through all of them in a minute or so. One in eleven, of every
        // kind, lasts longer than a healthy majority may take to serve, so that faults do too.
        let isLong = seed % 11 == 0
        scenario.duration = isLong ? 9_000_000 : 1_700_000
        scenario.thinkTime = (isLong ? 200_000 : 40_000) + scenario.thinkTime
        return scenario
    }

    /// Blocks of ten, so that a crash of the process itself is found to within ten seeds.
    static var blocks: [UInt64] {
        if environment("STELE_SIMULATION_SEED") != nil { return [] }
        let first = environment("STELE_SIMULATION_FIRST") ?? 1
        let count = environment("STELE_SIMULATION_SEEDS") ?? 200
        return (0..<(count + 9) / 10).map { first + $0 * 10 }
    }

    @Test(arguments: blocks)
    func tenSeeds(from first: UInt64) async {
        await withTaskGroup { group in
            for seed in first..<first + 10 {
                group.addTask(executorPreference: SimulationThreads.shared) {
                    let scenario = Self.scenario(of: seed)
                    let failure = Simulation.run(seed: seed, scenario: scenario).failure
                    #expect(
                        failure == nil,
                        "scenario \(scenario.name): replay with STELE_SIMULATION_SEED=\(seed)")
                }
            }
        }
    }

    @Test func replay() {
        guard let seed = Self.environment("STELE_SIMULATION_SEED") else { return }
        let result = Simulation.run(seed: seed, scenario: Self.scenario(of: seed)) { print($0) }
        print("trace hash \(String(result.traceHash, radix: 16)), \(result.counts)")
        #expect(result.failure == nil)
    }

    @Test(arguments: Scenario.names)
    func sameSeedSameTrace(name: String) throws {
        var scenario = try #require(Scenario.named(name, seed: 77))
        scenario.duration = 1_500_000
        scenario.thinkTime += 40_000
        let one = Simulation.run(seed: 77, scenario: scenario)
        let other = Simulation.run(seed: 77, scenario: scenario)
        #expect(one.traceHash == other.traceHash)
        #expect(one.counts == other.counts)
        #expect(one.history.events == other.history.events)
        let third = Simulation.run(seed: 78, scenario: scenario)
        #expect(third.traceHash != one.traceHash)
    }
}
