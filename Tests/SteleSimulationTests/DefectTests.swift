import Testing

@testable import SteleSimulation

/// A simulator that finds no planted bug proves nothing: each of these must be found soon.
struct DefectTests {
    /// The first seed, of so many, whose run goes wrong, and how.
    private func find(
        _ defect: HostDefect, in scenario: String, seeds: UInt64
    ) throws -> (seed: UInt64, failure: String)? {
        for seed in 1...seeds {
            var scenario = try #require(Scenario.named(scenario, seed: seed))
            scenario.duration = 3_000_000
            scenario.thinkTime += 20_000
            // As many faults as a run can bear.
            if scenario.crashInterval > 0 { scenario.crashInterval = 500_000 }
            if scenario.partitionInterval > 0 { scenario.partitionInterval = 500_000 }
            if scenario.wrongClockInterval > 0 { scenario.wrongClockInterval = 500_000 }
            if scenario.turnStallOdds > 0 { scenario.turnStallOdds = 60 }
            let result = Simulation.run(seed: seed, scenario: scenario, defect: defect)
            if let failure = result.failure { return (seed, failure) }
        }
        return nil
    }

    /// Those of lost locks show in one seed of thirty, too few for this, and in `TaskTests` at once.
    ///
    /// As many seeds as leave a chance of one in ten thousand to miss the defect, by how often each
    /// showed in 200 of them: so a change that only shifts what a seed does fails nothing.
    @Test(
        "found within so many seeds",
        arguments: [
            (HostDefect.reportsSyncEarly, "crash", 180),
            (.slowMonotonicClock, "partition", 60),
            (.endsTurnsWithOldTime, "pause", 90),
            (.neverFlushes, "crash", 50),
            (.losesNodeRecord, "crash", 5),
            (.hidesPeerClocks, "clocks", 100),
            (.readsOutsideSnapshot, "calm", 12),
            (.forgetsReadKeys, "calm", 9),
            (.forgetsReadRanges, "calm", 14),
            (.forgetsFirstCommitter, "calm", 5),
            (.forgetsExpected, "calm", 50),
        ] as [(HostDefect, String, UInt64)])
    func isFound(defect: HostDefect, scenario: String, seeds: UInt64) async throws {
        let found = try await withTaskExecutorPreference(SimulationThreads.shared) {
            try find(defect, in: scenario, seeds: seeds)
        }
        #expect(found != nil, "\(defect) was not found in \(seeds) seeds")
        #expect(found?.failure.hasPrefix("too little") != true)
    }
}
