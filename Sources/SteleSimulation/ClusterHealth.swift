import SteleAPI
import SteleBase
import SteleTablet
import SteleTransaction

/// What a cluster owes its users **during** faults: nodes that are healthy and reach each other, and
/// are a majority, serve whatever happens to the rest.
///
/// A node is healthy while it runs, its disk syncs, its clock is right and not far behind what it
/// promised while it was wrong, and its replicas were not away for longer than the others' logs
/// reach back. The check looks for
/// majorities that have been healthy, with all channels between them open, for ``patience``. Each of
/// their nodes must have written to every tablet within that time: a probe locks a key of its own,
/// waiting for as long as it takes, and commits. So a request that is never answered is a stall too,
/// although a second one would be.
struct ClusterHealth {
    /// How long a healthy majority may take to serve, in microseconds of true time.
    static let patience: UInt64 = 3_000_000

    /// When each node last wrote to each tablet; by place, then in the order of the tablets.
    var progress: [[UInt64]]

    init(nodes: Int, tablets: Int) {
        progress = Array(repeating: Array(repeating: 0, count: tablets), count: nodes)
    }
}

extension SimulatedCluster {
    private static let interval: UInt64 = 50_000

    /// Begins to probe and to check.
    func watchHealth() {
        for node in nodes {
            for tablet in descriptors.indices {
                health.progress[node.place][tablet] = now
                probeHealth(node, tablet)
            }
        }
        checkHealth()
    }

    private func checkHealth() {
        guard workload.isRunning, result.failure == nil else { return }
        for node in nodes where isFaulty(node) { node.lastFault = now }
        for index in channels.indices where channels[index].condition != .open {
            channels[index].lastFault = now
        }
        for members in healthyMajorities() {
            for place in members {
                for (tablet, descriptor) in descriptors.enumerated() {
                    let stall = now - max(health.progress[place][tablet], healthySince(members))
                    result.longestStall = max(result.longestStall, stall)
                    guard stall > ClusterHealth.patience else { continue }
                    let names = members.map { "\(nodes[$0].id)" }.joined(separator: ", ")
                    return fail(
                        "liveness: \(names) are healthy and reach each other for "
                            + "\((now - healthySince(members)) / 1000) ms, but \(nodes[place].id) "
                            + "has not written to \(descriptor.id) for \(stall / 1000) ms")
                }
            }
        }
        after(Self.interval) { [self] in checkHealth() }
    }

    private func isFaulty(_ node: SimulatedNode) -> Bool {
        !node.isUp || node.pausedUntil > now || node.isTurnOpen || node.diskStallsUntil > now
            || node.properDisk != nil || node.clock.isWrong
            || (node.core?.clockWait ?? 0) > 1_000_000
            || descriptors.indices.contains { isOutrun(node, $0) }
    }

    /// Since when all of some nodes have been healthy and reached each other.
    private func healthySince(_ members: [Int]) -> UInt64 {
        var since: UInt64 = 0
        for one in members {
            since = max(since, nodes[one].lastFault)
            for other in members where other != one {
                since = max(since, channels[channel(from: one, to: other)].lastFault)
            }
        }
        return since
    }

    /// The sets of nodes that have been healthy for a moment, and are a majority of all nodes and of
    /// every tablet's replicas.
    private func healthyMajorities() -> [[Int]] {
        (1..<UInt64(1) << UInt64(nodes.count)).compactMap { mask in
            let members = nodes.indices.filter { mask >> UInt64($0) & 1 == 1 }
            guard members.count > nodes.count / 2, healthySince(members) < now else { return nil }
            let isMajority = descriptors.allSatisfy { descriptor in
                descriptor.replicas.count { members.contains(Int($0.node.rawValue) - 1) }
                    > descriptor.replicas.count / 2
            }
            return isMajority ? members : nil
        }
    }

    // MARK: Probes

    /// Locks and writes a key of this node's own, again and again.
    private func probeHealth(_ node: SimulatedNode, _ tablet: Int) {
        guard workload.isRunning else { return }
        guard node.isUp else { return after(20_000) { [self] in probeHealth(node, tablet) } }
        let keyspace = descriptors[tablet].id == .system ? Keyspace.system : .user
        workload.busyClients += 1
        spawn(on: node) { [self] in
            let rest: UInt64
            do {
                try await writeProbe(node.backend(keyspace, in: self), of: node)
                health.progress[node.place][tablet] = now
                rest = clientRandom.uniform(100_000...300_000)
            } catch {
                rest = 20_000
            }
            workload.busyClients -= 1
            after(rest) { [self] in probeHealth(node, tablet) }
        }
    }

    private func writeProbe(_ backend: KernelBackend, of node: SimulatedNode) async throws {
        let transaction = try backend.begin(TransactionOptions(isolation: .readCommitted))
        defer { transaction.rollback() }
        let key = Key("health", node.place).keyBytes
        _ = try await transaction.lock([key], .exclusive, .wait)
        try transaction.write(key, [1])
        try await transaction.commit()
    }
}
