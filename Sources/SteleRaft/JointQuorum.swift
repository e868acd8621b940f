import SteleBase

/// Two quorums that must both agree; the second is empty unless a joint configuration is in force.
package struct JointQuorum: Hashable, Sendable {
    /// The voters of the configuration that is coming, or of the only one.
    package var incoming: Quorum
    /// The voters of the configuration that is going.
    package var outgoing: Quorum

    package init(incoming: Quorum = Quorum(), outgoing: Quorum = Quorum()) {
        self.incoming = incoming
        self.outgoing = outgoing
    }

    /// Whether two configurations are in force.
    package var isJoint: Bool { !outgoing.voters.isEmpty }

    /// The highest index that both quorums committed.
    package func committedIndex(_ acknowledged: (ReplicaID) -> LogIndex?) -> LogIndex {
        min(incoming.committedIndex(acknowledged), outgoing.committedIndex(acknowledged))
    }

    /// Won if both quorums agree, lost as soon as one refuses.
    package func voteResult(_ vote: (ReplicaID) -> Bool?) -> VoteResult {
        let first = incoming.voteResult(vote)
        let second = outgoing.voteResult(vote)
        if first == second { return first }
        return first == .lost || second == .lost ? .lost : .pending
    }

    /// Whether the replica votes in either of them.
    package func contains(_ id: ReplicaID) -> Bool {
        incoming.contains(id) || outgoing.contains(id)
    }

    /// The voters of both, ascending.
    package var ids: [ReplicaID] {
        guard isJoint else { return incoming.voters }
        return (incoming.voters + outgoing.voters.filter { !incoming.contains($0) }).sorted()
    }
}

extension JointQuorum: CustomStringConvertible {
    package var description: String { isJoint ? "\(incoming)&&\(outgoing)" : "\(incoming)" }
}
