import SteleBase
import SteleClock
import SteleTablet
import Testing

@testable import SteleSimulation

/// Wall clocks that were wrong when the nodes started, and were set right while they ran.
struct ClockCorrectionTests {
    private func cluster(seed: UInt64, duration: UInt64 = 3_000_000) throws -> SimulatedCluster {
        var scenario = try #require(Scenario.named("calm", seed: seed))
        scenario.duration = duration
        scenario.thinkTime = 40_000
        scenario.clocks = ClockLimits(driftPerMillion: 100, offset: 1_000)
        return SimulatedCluster(seed: seed, scenario: scenario, defect: .none, observer: nil)
    }

    private func areServed(_ cluster: SimulatedCluster) -> Bool {
        cluster.descriptors.indices.allSatisfy { cluster.isServed($0) }
    }

    /// Runs to the end, and notes when all tablets are served for the first time after `begin`.
    private func timeOfService(_ cluster: SimulatedCluster, after begin: UInt64) -> UInt64? {
        var first: UInt64?
        func watch() {
            guard !cluster.isDone, first == nil else { return }
            if cluster.now > begin, areServed(cluster) { first = cluster.now }
            cluster.after(10_000) { watch() }
        }
        watch()
        cluster.begin()
        cluster.runToEnd()
        cluster.judge()
        #expect(cluster.result.failure == nil)
        return first
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func `clocks that are set right after a power failure serve within seconds`(
        seed: UInt64
    ) throws {
        let cluster = try cluster(seed: seed)
        for (node, error) in zip(cluster.nodes, [-7_000_000, 0, 4_000_000] as [Int64]) {
            cluster.set(node, wrongBy: error)
        }
        cluster.after(4_000_000) { for node in cluster.nodes { cluster.setRight(node) } }
        let served = try #require(timeOfService(cluster, after: 0))
        #expect((4_000_000...7_000_000).contains(served))
    }

    @Test(arguments: [20_000_000, -20_000_000] as [Int64])
    func `a node that started far off and was set right stands in for another one`(
        error: Int64
    ) throws {
        let cluster = try cluster(seed: 4)
        cluster.set(cluster.nodes[2], wrongBy: error)
        cluster.after(1_000_000) { cluster.setRight(cluster.nodes[2]) }
        cluster.after(2_500_000) {
            cluster.crash(cluster.nodes[0])
            cluster.after(4_000_000) { cluster.start(cluster.nodes[0]) }
        }
        let served = try #require(timeOfService(cluster, after: 3_000_000))
        #expect(served < 4_500_000)
    }

    /// One is right, one is wrong, and one is gone: nobody can say which is which.
    @Test func `two nodes of three that disagree wait, loudly, until their clocks are set right`()
        throws
    {
        let cluster = try cluster(seed: 6, duration: 9_000_000)
        cluster.set(cluster.nodes[1], wrongBy: 3_000_000)
        for node in cluster.nodes { node.keepsNotices = true }
        cluster.after(2_000_000) { cluster.crash(cluster.nodes[0]) }
        var wasServed = false
        func watch() {
            guard cluster.now < 6_000_000 else { return }
            if areServed(cluster) { wasServed = true }
            cluster.after(10_000) { watch() }
        }
        cluster.after(2_600_000) { watch() }
        cluster.after(6_000_000) { cluster.setRight(cluster.nodes[1]) }
        cluster.after(8_000_000) { cluster.start(cluster.nodes[0]) }
        let served = try #require(timeOfService(cluster, after: 6_000_000))
        #expect(!wasServed && served < 7_500_000)
        for place in [1, 2] {
            let doubters: [[NodeID]] = cluster.nodes[place].notices.compactMap { notice in
                guard case .clockDoubted(let report, _) = notice else { return nil }
                return report.doubters(of: report.node)
            }
            #expect(doubters.contains([NodeID(UInt64(3 - place + 1))]), "node \(place + 1)")
        }
        #expect(cluster.nodes[2].notices.contains(.clockConfirmed))
        let steps: [Int64] = cluster.nodes[1].notices.compactMap {
            if case .clockSet(let step, _) = $0 { step } else { nil }
        }
        #expect(steps.count == 1 && abs((steps.first ?? 0) + 3_000_000) < 10_000)
    }

    @Test(arguments: 1...6 as ClosedRange<UInt64>)
    func `clocks jump and freeze for long, and whoever agrees serves`(seed: UInt64) throws {
        var scenario = try #require(Scenario.named("jumps", seed: seed))
        scenario.duration = 12_000_000
        scenario.thinkTime = 150_000
        scenario.clockJumpInterval = 2_500_000
        if seed.isMultiple(of: 4) { scenario.nodes = 5 }
        let result = Simulation.run(seed: seed, scenario: scenario)
        #expect(result.failure == nil)
    }

    @Test(arguments: [4_000_000, -4_000_000] as [Int64])
    func `clocks that are wrong alike serve, also while they are set right`(error: Int64) throws {
        let cluster = try cluster(seed: 5)
        for node in cluster.nodes { cluster.set(node, wrongBy: error) }
        cluster.after(2_000_000) { for node in cluster.nodes { cluster.setRight(node) } }
        var gaps = 0
        func watch() {
            guard !cluster.isDone else { return }
            if !areServed(cluster) { gaps += 1 }
            cluster.after(10_000) { watch() }
        }
        cluster.after(1_500_000) { watch() }
        _ = try #require(timeOfService(cluster, after: 0))
        #expect(gaps == 0)
    }
}
