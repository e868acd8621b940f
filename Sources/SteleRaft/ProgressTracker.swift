import SteleBase

/// The members of a group, what the leader knows of each, and the votes of an election.
///
/// Invariant: exactly the members have a progress, in ascending order, so that whatever walks over
/// them does so in the same order everywhere.
package struct ProgressTracker: Sendable {
    /// Who belongs to the group.
    package var membership = Membership()
    /// One for each member, ascending.
    package var progress: [Progress] = []
    /// The votes cast in this election, in order of arrival.
    private var votes: [(voter: ReplicaID, granted: Bool)] = []
    private let maxInflightMessages: Int
    private let maxInflightBytes: Int

    package init(maxInflightMessages: Int, maxInflightBytes: Int) {
        self.maxInflightMessages = maxInflightMessages
        self.maxInflightBytes = maxInflightBytes
    }

    /// Where the member's progress is; nil for others.
    func slot(of id: ReplicaID) -> Int? { progress.firstIndex { $0.id == id } }

    /// What is known of a member; nil for others.
    package subscript(id: ReplicaID) -> Progress? { slot(of: id).map { progress[$0] } }

    func makeProgress(_ id: ReplicaID, next: LogIndex, isLearner: Bool) -> Progress {
        let inflights = Inflights(maxMessages: maxInflightMessages, maxBytes: maxInflightBytes)
        return Progress(id: id, next: next, inflights: inflights, isLearner: isLearner)
    }

    /// Forgets all progress, as at the start of a term: nothing matches but the own log.
    mutating func resetProgress(own: ReplicaID, lastIndex: LogIndex) {
        for slot in progress.indices {
            let old = progress[slot]
            progress[slot] = makeProgress(
                old.id, next: lastIndex + 1, isLearner: old.isLearner)
            if old.id == own { progress[slot].match = lastIndex }
        }
    }

    /// The highest index that is durable on a quorum.
    var committedIndex: LogIndex {
        // Not through `self`, of which the closure would hold a copy.
        let progress = progress
        return membership.voters.committedIndex { id in
            for member in progress where member.id == id { return member.match }
            return nil
        }
    }

    /// The newest read round that a quorum confirmed the leadership for.
    var confirmedRead: UInt64 {
        membership.voters.committedIndex { id in
            self.slot(of: id).map { self.progress[$0].acknowledgedRead }
        }
    }

    /// Whether a quorum was heard from since the last check.
    var isQuorumActive: Bool {
        let result = membership.voters.voteResult { id in
            self.slot(of: id).map { self.progress[$0].recentlyActive }
        }
        return result == .won
    }

    mutating func resetVotes() { votes.removeAll(keepingCapacity: true) }

    /// Notes the first vote of a replica; later ones do not count.
    mutating func recordVote(of id: ReplicaID, granted: Bool) {
        if !votes.contains(where: { $0.voter == id }) { votes.append((id, granted)) }
    }

    /// What the votes cast so far decide.
    var voteResult: VoteResult {
        membership.voters.voteResult { id in votes.first { $0.voter == id }?.granted }
    }
}
