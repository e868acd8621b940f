import Testing

@testable import SteleSimulation

/// Nodes whose disks are replaced by older copies of themselves.
struct DiskImageTests {
    @Test func `an old copy of a disk is refused, and harms nothing`() throws {
        var put = 0
        var refused = 0
        for seed in 1...25 as ClosedRange<UInt64> {
            var scenario = try #require(Scenario.named("images", seed: seed))
            scenario.duration = 3_000_000
            scenario.thinkTime += 30_000
            let result = Simulation.run(seed: seed, scenario: scenario)
            try #require(result.failure == nil, "seed \(seed)")
            put += result.counts.images
            refused += result.counts.refusedImages
        }
        // Some nodes crash once more before they have been told.
        #expect(put > 15 && refused > put / 2, "\(put) were put back, \(refused) refused")
    }
}
