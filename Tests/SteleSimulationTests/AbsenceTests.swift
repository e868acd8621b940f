import SteleSimulation
import Testing

/// A node that is away for longer than its peers keep their logs for it, or for ever.
struct AbsenceTests {
    /// All logs stay within their budgets, the others go on, and who comes back too late says so and
    /// does no harm: each run judges that of itself.
    @Test func `logs are bounded and who lacks what they held says so`() throws {
        var outrun = 0
        for seed in 1...40 as ClosedRange<UInt64> {
            var scenario = try #require(Scenario.named("absent", seed: seed))
            scenario.duration = 3_000_000
            let result = Simulation.run(seed: seed, scenario: scenario)
            #expect(result.failure == nil, "seed \(seed)")
            outrun += result.counts.outrun
        }
        #expect(outrun > 0)
    }
}
