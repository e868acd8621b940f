import SteleBase

/// Who belongs to a group, and in which part.
///
/// Invariants: no replica is voter and learner of the same configuration; `learnersNext` holds only
/// voters of the outgoing configuration; a configuration that is not joint has no `learnersNext`
/// and no `autoLeave`. All lists ascend.
package struct Membership: Hashable, Sendable {
    /// The voters of the one or two configurations in force.
    package var voters = JointQuorum()
    /// Replicas that receive the log and do not vote.
    package var learners: [ReplicaID] = []
    /// Outgoing voters that become learners when the joint configuration is left.
    package var learnersNext: [ReplicaID] = []
    /// Whether the leader leaves the joint configuration by itself.
    package var autoLeave = false

    package init() {}

    /// The same as it is stored and sent.
    package var confState: ConfState {
        ConfState(
            voters: voters.incoming.voters, votersOutgoing: voters.outgoing.voters,
            learners: learners, learnersNext: learnersNext, autoLeave: autoLeave)
    }
}

extension Membership: CustomStringConvertible {
    package var description: String {
        var text = "voters=\(voters)"
        if !learners.isEmpty { text += " learners=\(describe(learners))" }
        if !learnersNext.isEmpty { text += " learners_next=\(describe(learnersNext))" }
        if autoLeave { text += " autoleave" }
        return text
    }
}

extension [ReplicaID] {
    /// Adds an identifier to an ascending list that may hold it already.
    mutating func insertSorted(_ id: ReplicaID) {
        let slot = firstIndex { $0 >= id } ?? endIndex
        if slot == endIndex || self[slot] != id { insert(id, at: slot) }
    }

    /// Removes an identifier from a list that may not hold it.
    mutating func removeValue(_ id: ReplicaID) {
        if let slot = firstIndex(of: id) { remove(at: slot) }
    }
}
