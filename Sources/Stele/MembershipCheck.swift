import SteleAPI
import SteleBase
import SteleRaft
import SteleTablet
import SteleWire

/// What a membership must be before a node takes it on.
///
/// It comes from whoever reaches the node before it belongs to a cluster, and is then kept on disk:
/// one that the node cannot serve would keep it from ever starting again.
extension ClusterMembership {
    /// The tablets' descriptors.
    ///
    /// - Throws: ``SteleError/Code/configuration`` if the membership describes no cluster.
    func checkedTablets() throws(SteleError) -> [TabletDescriptor] {
        try checkNodes()
        let descriptors: [TabletDescriptor]
        do {
            descriptors = try tabletDescriptors()
        } catch {
            throw Self.refusal("a tablet cannot be read: \(error)")
        }
        for descriptor in descriptors { try check(descriptor) }
        let ids = descriptors.map(\.id).sorted()
        for (id, next) in zip(ids, ids.dropFirst()) where id == next {
            throw Self.refusal("it names tablet \(id) twice")
        }
        let ranges = descriptors.map(\.range).sorted { $0.start.precedes($1.start) }
        for (range, next) in zip(ranges, ranges.dropFirst()) where range.overlaps(next) {
            throw Self.refusal("two tablets hold \(next)")
        }
        return descriptors
    }

    private func checkNodes() throws(SteleError) {
        guard !nodes.isEmpty else { throw Self.refusal("it names no nodes") }
        for member in nodes where member.node == .none || !member.node.fitsTransactionIDs {
            throw Self.refusal("\(member.node) is no number of a node")
        }
        for (member, next) in zip(nodes, nodes.dropFirst()) where member.node >= next.node {
            throw Self.refusal("its nodes do not ascend")
        }
        guard Set(nodes.map(\.instance)).count == nodes.count else {
            throw Self.refusal("it names one directory twice")
        }
    }

    private func check(_ tablet: TabletDescriptor) throws(SteleError) {
        let replicas = tablet.replicas
        guard ConfState(voters: replicas.map(\.id)).isValid else {
            throw Self.refusal("the replicas of tablet \(tablet.id) do not ascend")
        }
        let members = Set(nodes.map(\.node))
        guard Set(replicas.map(\.node)).count == replicas.count,
            replicas.allSatisfy({ members.contains($0.node) })
        else {
            throw Self.refusal("tablet \(tablet.id) is not on different members")
        }
        guard !tablet.range.isEmpty else {
            throw Self.refusal("tablet \(tablet.id) holds no keys")
        }
    }

    private static func refusal(_ reason: String) -> SteleError {
        SteleError(.configuration, "this is no membership of a cluster: \(reason)")
    }
}
