import SteleSimulation
import Testing

/// Old versions go, and with them deletions; nobody reads where they were.
struct HistoryTests {
    /// Stores hold in the end what can be read and no more, every read was of what the whole history
    /// says, and no reader that its node knew of was refused: each run judges that of itself.
    @Test func `what nobody can read goes, and what somebody reads stays`() async {
        await run("history", retention: nil)
    }

    /// The same with nodes that fail, where a reader may not be known in time.
    @Test func `a leader that falls leaves no hole and no leftover`() async {
        await run("swarm", retention: 300_000)
    }

    private func run(_ name: String, retention: UInt64?) async {
        await withTaskGroup { group in
            for seed in 1...12 as ClosedRange<UInt64> {
                group.addTask(executorPreference: SimulationThreads.shared) {
                    var scenario = Scenario.named(name, seed: seed) ?? Scenario(name: "none")
                    scenario.duration = 3_000_000
                    if let retention { scenario.retention = retention }
                    let result = Simulation.run(seed: seed, scenario: scenario)
                    #expect(result.failure == nil, "seed \(seed)")
                }
            }
        }
    }
}
