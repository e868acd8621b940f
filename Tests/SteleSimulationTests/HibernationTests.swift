import SteleRaft
import Testing

@testable import SteleSimulation

/// Tablets that nobody uses cost nothing, and are there again when somebody does.
struct HibernationTests {
    private func idleCluster(seed: UInt64) throws -> SimulatedCluster {
        var scenario = try #require(Scenario.named("calm", seed: seed))
        scenario.clients = 1
        scenario.duration = 12_000_000
        scenario.thinkTime = 20_000
        return SimulatedCluster(seed: seed, scenario: scenario, defect: .none, observer: nil)
    }

    private func groups(_ cluster: SimulatedCluster) -> [RaftGroup] {
        cluster.nodes.compactMap(\.core).flatMap { $0.tablets.map(\.group) }
    }

    private func areAsleep(_ cluster: SimulatedCluster) -> Bool {
        groups(cluster).allSatisfy(\.isHibernated)
    }

    private func serves(_ node: SimulatedNode) -> Bool {
        node.core?.tablets.contains { $0.isServing } ?? false
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func `without clients all tablets fall asleep, keep their leases, and outlive their leader`(
        seed: UInt64
    ) throws {
        let cluster = try idleCluster(seed: seed)
        cluster.begin()
        var wereAwake = false
        var asleep: [Bool] = []
        var served: [Bool] = []
        var successor: Bool?
        cluster.after(1_500_000) {
            wereAwake = !areAsleep(cluster)
            cluster.workload.isRunning = false
        }
        for time in [5, 6, 7] as [UInt64] {
            cluster.after(time * 1_000_000) {
                asleep.append(areAsleep(cluster))
                served.append(cluster.nodes.contains(where: serves))
            }
        }
        cluster.after(7_100_000) {
            guard let leader = cluster.nodes.first(where: serves) else { return }
            cluster.crash(leader)
            cluster.after(2_500_000) {
                successor = cluster.nodes.contains { $0.id != leader.id && serves($0) }
                // The run ends as all do, with reads that wake what sleeps.
                cluster.workload.isRunning = true
            }
        }
        cluster.runToEnd()
        #expect(cluster.result.failure == nil)
        #expect(wereAwake)
        #expect(asleep == [true, true, true])
        #expect(served == [true, true, true])
        #expect(successor == true)
    }
}
