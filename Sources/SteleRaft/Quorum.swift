import SteleBase

/// The outcome of a vote, as far as the votes cast so far decide it.
package enum VoteResult: Sendable {
    /// Neither side has a majority yet.
    case pending
    /// A majority can no longer be reached.
    case lost
    /// A majority is in favour.
    case won
}

/// A set of voters that decides by majority; the identifiers ascend and are distinct.
///
/// An empty set agrees to everything, which makes it the neutral half of a joint quorum.
package struct Quorum: Hashable, Sendable {
    /// The voters.
    package var voters: [ReplicaID]

    package init(_ voters: [ReplicaID] = []) { self.voters = voters }

    /// The highest index that a majority acknowledged; the largest of all if there are no voters.
    package func committedIndex(_ acknowledged: (ReplicaID) -> LogIndex?) -> LogIndex {
        let count = voters.count
        if count == 0 { return .max }
        if count == 1 { return acknowledged(voters[0]) ?? 0 }
        return withUnsafeTemporaryAllocation(of: LogIndex.self, capacity: count) { sorted in
            for (filled, voter) in voters.enumerated() {
                let index = acknowledged(voter) ?? 0
                var slot = filled
                while slot > 0, sorted[slot - 1] > index {
                    sorted[slot] = sorted[slot - 1]
                    slot -= 1
                }
                sorted[slot] = index
            }
            return sorted[count - (count / 2 + 1)]
        }
    }

    /// Whether a vote is decided; `vote` answers nil for those who did not vote yet.
    package func voteResult(_ vote: (ReplicaID) -> Bool?) -> VoteResult {
        if voters.isEmpty { return .won }
        var granted = 0
        var missing = 0
        for voter in voters {
            switch vote(voter) {
            case true?: granted += 1
            case false?: break
            case nil: missing += 1
            }
        }
        let majority = voters.count / 2 + 1
        if granted >= majority { return .won }
        return granted + missing >= majority ? .pending : .lost
    }

    package func contains(_ id: ReplicaID) -> Bool { voters.contains(id) }
}

extension Quorum: CustomStringConvertible {
    package var description: String { describe(voters) }
}

/// Identifiers in parentheses, as they appear in the text form of a configuration.
func describe(_ ids: [ReplicaID]) -> String {
    "(\(ids.map { String($0.rawValue) }.joined(separator: " ")))"
}
