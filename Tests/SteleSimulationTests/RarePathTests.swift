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
            "cluster: a replica is outrun",
            "cluster: a request waits for the next turn",
            "cluster: apply little",
            "cluster: flush early",
            "cluster: the logs of a node exceed its budget",
            "cluster: leadership is handed on",
            "cluster: the physical clock is set",
            "cluster: a node stops standing by one that does not lead any more",
            "raft: a vote is withheld by the owner",
            "tablet: a large command",
            "tablet: a repeated commit finds itself",
        ]

        private func run(seed: UInt64, _ probes: Probes) throws -> SimulationResult {
            let names = ["swarm", "clocks", "pause", "crash", "absent", "jumps"]
            let name = names[Int(seed) % names.count]
            var scenario = try #require(Scenario.named(name, seed: seed))
            scenario.duration = 2_500_000
            scenario.thinkTime += 40_000
            return probes.observe { Simulation.run(seed: seed, scenario: scenario) }
        }

        @Test func everyRarePathIsTakenWithinFewSeeds() throws {
            var missing = Set(Self.paths)
            for seed in 1...240 as ClosedRange<UInt64> where !missing.isEmpty {
                let probes = Probes(faultOdds: 8, seed: seed)
                let result = try run(seed: seed, probes)
                #expect(result.failure == nil, "seed \(seed)")
                missing.subtract(probes.places)
            }
            #expect(missing.isEmpty)
        }

        @Test func aSeedRepeatsExactlyWithItsFaultPoints() throws {
            let probes = (0..<2).map { _ in Probes(faultOdds: 8, seed: 9) }
            let results = try probes.map { try run(seed: 9, $0) }
            #expect(results[0].traceHash == results[1].traceHash)
            #expect(probes[0].places == probes[1].places)
            for place in probes[0].places { #expect(probes[0].hits(place) == probes[1].hits(place)) }
            let without = try run(seed: 9, Probes())
            #expect(without.traceHash != results[0].traceHash)
        }
    }
#endif
