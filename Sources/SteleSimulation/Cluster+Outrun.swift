import SteleBase
import SteleCluster
import SteleRaft

/// What must hold of replicas that were away for longer than the logs of the others reach back.
extension SimulatedCluster {
    /// Whether the leader of a tablet has given up entries that a node's replica lacks: as the disks
    /// have it, whatever the nodes say.
    func isOutrun(_ node: SimulatedNode, _ tablet: Int) -> Bool {
        let id = descriptors[tablet].id
        guard let leader = leader(of: tablet), leader.place != node.place,
            let replica = node.replica(of: id), let log = leader.log.written.replica(of: id)
        else { return false }
        return replica.applied.index < log.compacted.index
    }

    private func leader(of tablet: Int) -> SimulatedNode? {
        nodes.first { $0.replica(of: descriptors[tablet].id)?.isServing ?? false }
    }

    /// Whether the leader, and the replica's own node, say of every outrun replica that it is one,
    /// and of no other.
    func outrunAreMarked(_ tablet: Int) -> Bool {
        guard let leader = leader(of: tablet) else { return false }
        return nodes.allSatisfy { node in
            guard let core = node.core else { return true }
            let isMarked = [core, leader.core].allSatisfy { core in
                core?.outrunReplicas(of: descriptors[tablet].id).contains(node.id) ?? false
            }
            if isOutrun(node, tablet), isMarked { result.counts.outrun += 1 }
            return isMarked == isOutrun(node, tablet)
        }
    }

    /// A log that is longer than its budget allows. That of an outrun replica stays as it is.
    var longLog: String? {
        // What an entry of the workload takes up, and the one that opens the accounts.
        let slack = (Int(scenario.disk.minimumTruncation) + 2) * 200 + 600
        let (ofTablet, ofNode) = (scenario.disk.tabletLogBytes, scenario.disk.nodeLogBytes)
        for node in nodes where node.isUp && descriptors.indices.allSatisfy({ !isOutrun(node, $0) }) {
            let lengths = node.log.written.replicas.map(\.bytes)
            if lengths.contains(where: { $0 > ofTablet + slack })
                || lengths.reduce(0, +) > ofNode + 2 * slack
            {
                return "the logs of \(node.id) have \(lengths) bytes, of \(ofTablet) for each and "
                    + "\(ofNode) together, and \(slack) more"
            }
        }
        return nil
    }
}
