import SteleBase
import SteleSimulation
import Testing

#if DEBUG || STELE_PROBES
    /// Runs that also strike at fault points are good, repeat exactly, and take every rare path: a
    /// path that they never took would be one that no seed has tested.
    struct RarePathTests {
        private static let paths = [
            "cluster: a grant to an earlier run is void",
            "cluster: a read is withheld because the lease ran out",
            "cluster: entries leave memory because of all tablets' together",
            "cluster: a read between turns",
            "cluster: a commit notice is held back",
            "cluster: a replica is outrun",
            "cluster: a request has travelled in parts",
            "cluster: a request waits for the next turn",
            "cluster: locks are granted between turns",
            "cluster: locks of a transaction that is over are found and given up",
            "cluster: apply little",
            "cluster: flush early",
            "cluster: the logs of a node exceed its budget",
            "cluster: leadership is handed on",
            "cluster: the physical clock is set",
            "cluster: a node stops standing by one that does not lead any more",
            "raft: a vote is withheld by the owner",
            "tablet: a commit is answered before it is applied",
            "tablet: a release waits for the transaction's command",
            "tablet: a large command",
            "tablet: a request waits for the disk",
            "tablet: a lock is asked for before its release was looked at",
            "tablet: a repeated commit finds itself",
            "tablet: a request that came again keeps its place in the queue",
            "tablet: all parts of a command are in the log",
            "tablet: an entry is applied beside a large one",
            "tablet: parts of a command are in vain",
            "tablet: parts of an earlier term are dropped",
        ]

        private static func run(seed: UInt64, _ probes: Probes) -> SimulationResult? {
            let names = ["swarm", "clocks", "pause", "crash", "absent", "jumps"]
            guard var scenario = Scenario.named(names[Int(seed) % names.count], seed: seed) else {
                return nil
            }
            scenario.duration = 2_500_000
            scenario.thinkTime += 40_000
            return probes.observe { Simulation.run(seed: seed, scenario: scenario) }
        }

        @Test func everyRarePathIsTakenWithinFewSeeds() async throws {
            var missing = Set(Self.paths)
            for first in stride(from: 1, to: 500, by: 8) as StrideTo<UInt64> where !missing.isEmpty {
                await withTaskGroup { group in
                    for seed in first..<first + 8 {
                        group.addTask(executorPreference: SimulationThreads.shared) {
                            let probes = Probes(faultOdds: 8, seed: seed)
                            let result = Self.run(seed: seed, probes)
                            #expect(
                                result != nil && result?.failure == nil,
                                "seed \(seed): \(result?.failure ?? "")")
                            return probes.places
                        }
                    }
                    for await places in group { missing.subtract(places) }
                }
            }
            #expect(missing.isEmpty)
        }

        @Test func aSeedRepeatsExactlyWithItsFaultPoints() throws {
            let probes = (0..<2).map { _ in Probes(faultOdds: 8, seed: 9) }
            let results = try probes.map { try #require(Self.run(seed: 9, $0)) }
            #expect(results[0].traceHash == results[1].traceHash)
            #expect(probes[0].places == probes[1].places)
            for place in probes[0].places { #expect(probes[0].hits(place) == probes[1].hits(place)) }
            let without = try #require(Self.run(seed: 9, Probes()))
            #expect(without.traceHash != results[0].traceHash)
        }
    }
#endif
