import SteleAPI
import SteleTablet
import Testing

@testable import SteleSimulation

/// Reads between turns, where chance seldom leads.
struct ReadPermitTests {
    private func leader(of cluster: SimulatedCluster) -> SimulatedNode? {
        cluster.nodes.first { $0.replica(of: .firstData)?.isServing ?? false }
    }

    private final class Notes: @unchecked Sendable {
        // Safety: used in the thread that runs the simulation only.
        var answersBefore = false
        var answersAfter = true
        var isOvertaken = false
    }

    /// Another leads by then, and what it acknowledged would be missing.
    @Test func `a leader that stood still for longer than its lease reads nothing at once`() throws {
        let scenario = try #require(Scenario.named("calm", seed: 3))
        let cluster = SimulatedCluster(seed: 3, scenario: scenario, defect: .none, observer: nil)
        for node in cluster.nodes { cluster.start(node) }
        let notes = Notes()
        let read = TabletRequest(transaction: .none, body: .read(keys: [[0x10, 1]], at: nil))
        cluster.after(2_000_000) { [self] in
            guard let node = leader(of: cluster) else { return }
            notes.answersBefore = cluster.answerAtOnce(read, by: node) != nil
            node.pausedUntil = cluster.now + 5_000_000
            cluster.after(4_900_000) {
                notes.isOvertaken = cluster.nodes.contains {
                    $0 !== node && $0.replica(of: .firstData)?.isServing ?? false
                }
                // It runs again, and reads before it takes a turn.
                node.pausedUntil = cluster.now
                notes.answersAfter = cluster.answerAtOnce(read, by: node) != nil
                cluster.isDone = true
            }
        }
        cluster.runToEnd()
        #expect(notes.answersBefore && notes.isOvertaken)
        #expect(!notes.answersAfter)
    }
}
