import SteleTablet
import Testing

@testable import SteleSimulation

/// Faults of single links, disks and nodes that last: whoever is healthy and reaches a majority has
/// to be served meanwhile, which each run checks; see `ClusterHealth`.
struct LinkFaultTests {
    private func cluster(
        seed: UInt64, nodes: Int = 3, replicas: Int = 3, duration: UInt64 = 12_000_000
    ) throws -> SimulatedCluster {
        var scenario = try #require(Scenario.named("calm", seed: seed))
        scenario.nodes = nodes
        scenario.replicas = replicas
        scenario.duration = duration
        scenario.thinkTime = 200_000
        // A fast network and fast disks, so that times depend on the nodes alone.
        scenario.network.maximumDelay = 400
        scenario.disk.maximumSync = 1_500
        return SimulatedCluster(seed: seed, scenario: scenario, defect: .none, observer: nil)
    }

    private func leader(of cluster: SimulatedCluster) -> Int? {
        cluster.nodes.first { $0.core?.tablets.contains { $0.isServing } ?? false }?.place
    }

    /// Runs, with `fault` happening after two seconds and `mend` after ten.
    private func run(
        _ cluster: SimulatedCluster, mendAfter: UInt64 = 10_000_000,
        fault: @escaping (Int) -> Void, mend: @escaping () -> Void
    ) {
        cluster.begin()
        cluster.after(2_000_000) {
            guard let leader = leader(of: cluster) else { return cluster.fail("nobody leads") }
            cluster.result.counts.partitions += 1
            fault(leader)
        }
        cluster.after(mendAfter) { mend() }
        cluster.runToEnd()
        cluster.judge()
    }

    @Test(
        arguments: [1, 2, 3] as [UInt64],
        [NetworkChannel.Condition.hanging, .refusing])
    func aLeaderThatCannotBeReached(seed: UInt64, condition: NetworkChannel.Condition) throws {
        let cluster = try cluster(seed: seed)
        var cuts: [Int] = []
        var served = 0
        run(cluster) { leader in
            cuts = cluster.channels.indices.filter { cluster.channels[$0].to == leader }
            for cut in cuts { cluster.setCondition(condition, of: cut) }
            // Whoever stood by it is told at once that it leads no more, over the direction that works.
            cluster.after(900_000) {
                let others = cluster.nodes.filter { $0.place != leader }.compactMap(\.core)
                served = Set(
                    others.flatMap(\.tablets).filter(\.isServing).map(\.descriptor.id)).count
            }
        } mend: {
            for cut in cuts { cluster.setCondition(.open, of: cut) }
        }
        #expect(served == 2)
        #expect(cluster.result.failure == nil)
    }

    @Test(
        arguments: [1, 2, 3] as [UInt64],
        [NetworkChannel.Condition.hanging, .refusing])
    func aLeaderThatCanReachNobody(seed: UInt64, condition: NetworkChannel.Condition) throws {
        let cluster = try cluster(seed: seed)
        var cuts: [Int] = []
        run(cluster) { leader in
            cuts = cluster.channels.indices.filter { cluster.channels[$0].from == leader }
            for cut in cuts { cluster.setCondition(condition, of: cut) }
        } mend: {
            for cut in cuts { cluster.setCondition(.open, of: cut) }
        }
        #expect(cluster.result.failure == nil)
    }

    /// The two others reach each other and the leader does not reach one of them: that one is no
    /// part of a healthy majority with the leader, but of one with the third node.
    @Test(arguments: [1, 2, 3] as [UInt64])
    func aNodeThatReachesTheLeaderOnlyThroughAnother(seed: UInt64) throws {
        let cluster = try cluster(seed: seed)
        var cuts: [Int] = []
        run(cluster) { leader in
            let other = (leader + 1) % 3
            cuts = [
                cluster.channel(from: leader, to: other), cluster.channel(from: other, to: leader),
            ]
            for cut in cuts { cluster.setCondition(.hanging, of: cut) }
        } mend: {
            for cut in cuts { cluster.setCondition(.open, of: cut) }
        }
        #expect(cluster.result.failure == nil)
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func aLeaderWhoseDiskHangs(seed: UInt64) throws {
        let cluster = try cluster(seed: seed)
        var node: SimulatedNode?
        run(cluster) { leader in
            node = cluster.nodes[leader]
            cluster.hangDisk(cluster.nodes[leader], for: 20_000_000)
        } mend: {
            if let node { cluster.endSync(node) }
        }
        #expect(cluster.result.failure == nil)
    }

    /// Longer than any call waits, and than a transaction of a node that is silent is kept.
    @Test(arguments: HalfMinute.allCases)
    private func aStallOfHalfAMinute(_ stall: HalfMinute) throws {
        let cluster = try cluster(seed: 7, duration: 36_000_000)
        var node: SimulatedNode?
        run(cluster, mendAfter: 32_000_000) { leader in
            let stalled = cluster.nodes[stall == .follower ? (leader + 1) % 3 : leader]
            node = stalled
            if stall == .disk {
                cluster.hangDisk(stalled, for: 40_000_000)
            } else {
                stalled.pausedUntil = cluster.now + 30_000_000
            }
        } mend: {
            guard let node else { return }
            if stall == .disk { cluster.endSync(node) }
            cluster.scheduleTurn(node, in: 0)
        }
        #expect(cluster.result.failure == nil)
    }

    /// What stalls.
    private enum HalfMinute: CaseIterable {
        case leader, follower, disk
    }

    /// The nodes that hold nothing serve too, as soon as the others have another leader.
    @Test(arguments: [1, 2, 3] as [UInt64])
    func aLeaderThatHangsBesideANodeWithoutReplicas(seed: UInt64) throws {
        let cluster = try cluster(seed: seed, nodes: 5, replicas: 3)
        run(cluster) { leader in
            cluster.nodes[leader].pausedUntil = cluster.now + 8_000_000
        } mend: {
            for node in cluster.nodes { cluster.scheduleTurn(node, in: 0) }
        }
        #expect(cluster.result.failure == nil)
    }

    /// A node that is stopped in good order leads nothing any more before it is gone, and its
    /// tablets are served again within 50 ms.
    @Test(arguments: [1, 2, 3, 4, 5] as [UInt64])
    func aPlannedStopHandsLeadershipsOver(seed: UInt64) throws {
        let cluster = try cluster(seed: seed)
        var stopped: SimulatedNode?
        run(cluster) { leader in
            let node = cluster.nodes[leader]
            let others = cluster.nodes.filter { $0.place != leader }
            let led = (node.core?.tablets ?? []).filter(\.isServing).map(\.descriptor.id)
            node.core?.handOver()
            cluster.scheduleTurn(node, in: 0)
            cluster.after(50_000) {
                for tablet in led
                where !others.contains(where: { $0.replica(of: tablet)?.isServing ?? false }) {
                    cluster.fail("\(tablet) is not served 50 ms after \(node.id) handed it over")
                }
                if node.core?.hasHandedOver != true { cluster.fail("\(node.id) still leads") }
                stopped = node
                cluster.crash(node)
            }
        } mend: {
            if let stopped { cluster.start(stopped) }
        }
        #expect(cluster.result.failure == nil)
    }

    /// Connections that break at the end that sends, again and again: what was on its way is lost,
    /// and the receiver learns of it by the next connection alone.
    @Test(arguments: [1, 2, 3] as [UInt64])
    func connectionsThatAreLostAtOneEnd(seed: UInt64) throws {
        let cluster = try cluster(seed: seed)
        func breakOne(_ count: Int) {
            guard count > 0, !cluster.isHealed else { return }
            let index = count % cluster.channels.count
            cluster.breakConnection(index, noticedBy: .sender, within: 1_000)
            cluster.after(170_000) { breakOne(count - 1) }
        }
        run(cluster) { _ in breakOne(40) } mend: {}
        #expect(cluster.result.failure == nil)
        #expect(cluster.result.counts.replacedConnections > 20)
    }
}
