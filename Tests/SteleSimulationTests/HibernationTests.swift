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

    /// Nothing is written that others could be ahead with; its own record of the clock hangs.
    @Test(arguments: [1, 2, 3] as [UInt64])
    func `a leader whose disk hangs while nobody writes hands on`(seed: UInt64) throws {
        let cluster = try idleCluster(seed: seed)
        cluster.begin()
        cluster.after(1_500_000) { cluster.workload.isRunning = false }
        var hasSuccessor = false
        var hung: SimulatedNode?
        cluster.after(5_000_000) {
            guard let leader = cluster.nodes.first(where: serves) else {
                return cluster.fail("nobody leads")
            }
            hung = leader
            leader.keepsNotices = true
            cluster.hangDisk(leader, for: 20_000_000)
            cluster.after(3_000_000) {
                hasSuccessor = cluster.nodes.contains { $0.id != leader.id && serves($0) }
                // Who wants to write now is served, before the disk goes on.
                cluster.workload.isRunning = true
            }
            cluster.after(6_000_000) { cluster.endSync(leader) }
        }
        cluster.runToEnd()
        cluster.judge()
        #expect(cluster.result.failure == nil)
        #expect(hasSuccessor)
        let told = hung?.notices.filter { if case .diskHangs = $0 { true } else { false } }
        #expect(told?.count == 1)
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func `where all disks hang nobody resigns`(seed: UInt64) throws {
        let cluster = try idleCluster(seed: seed)
        cluster.begin()
        cluster.after(1_500_000) { cluster.workload.isRunning = false }
        cluster.after(5_000_000) {
            guard let leader = cluster.nodes.first(where: serves) else {
                return cluster.fail("nobody leads")
            }
            let terms = groups(cluster).map(\.term)
            for node in cluster.nodes { cluster.hangDisk(node, for: 3_000_000) }
            cluster.after(2_900_000) {
                #expect(groups(cluster).map(\.term) == terms)
                #expect(leader.core?.tablets.allSatisfy { !$0.group.isLeader } == false)
            }
            cluster.after(4_000_000) {
                #expect(serves(leader))
                cluster.workload.isRunning = true
            }
        }
        cluster.runToEnd()
        #expect(cluster.result.failure == nil)
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
