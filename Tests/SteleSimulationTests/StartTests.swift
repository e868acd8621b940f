import Testing

@testable import SteleSimulation

/// Clusters that start while something is broken.
struct StartTests {
    private func cluster(seed: UInt64) throws -> SimulatedCluster {
        let scenario = try #require(Scenario.named("calm", seed: seed))
        return SimulatedCluster(seed: seed, scenario: scenario, defect: .none, observer: nil)
    }

    /// With the disks of a majority hanging there is nothing to come up with, until they go on.
    @Test(arguments: [1, 2, 3] as [UInt64])
    func `a cluster comes up when the disks of a majority sync again`(seed: UInt64) throws {
        let cluster = try cluster(seed: seed)
        cluster.begin()
        let hung = cluster.nodes.prefix(cluster.nodes.count / 2 + 1)
        cluster.after(150_000) { for node in hung { cluster.hangDisk(node, for: 20_000_000) } }
        cluster.after(19_000_000) { #expect(!cluster.workload.isRunning) }
        cluster.runToEnd()
        cluster.judge()
        #expect(cluster.result.failure == nil)
    }

    @Test
    func `a cluster that does not come up fails the run`() throws {
        let cluster = try cluster(seed: 1)
        cluster.begin()
        for index in cluster.channels.indices { cluster.setCondition(.hanging, of: index) }
        cluster.runToEnd()
        #expect(cluster.result.failure == "liveness: the cluster never came up")
    }
}
