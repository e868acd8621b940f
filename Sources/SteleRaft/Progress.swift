import SteleBase

/// How the leader sends entries to a follower.
package enum ReplicationState: UInt8, Sendable {
    /// One message per heartbeat interval, until the logs are known to agree somewhere.
    case probe
    /// A stream of messages, ahead of their acknowledgements.
    case replicate
    /// Nothing, while a snapshot is under way.
    case snapshot
}

/// What the leader knows about one member.
///
/// Invariant: `match < next`. Entries through `match` are durable at the follower and equal to the
/// leader's; entries from `next` on were not sent yet.
package struct Progress: Hashable, Sendable {
    /// The member.
    package let id: ReplicaID
    /// The highest index known to be durable at the follower.
    package internal(set) var match: LogIndex = 0
    /// The index of the next entry to send.
    package internal(set) var next: LogIndex
    /// The index of the snapshot that is under way, else 0.
    package internal(set) var pendingSnapshot: LogIndex = 0
    /// The highest commit index that is under way to the follower.
    private var sentCommit: LogIndex = 0
    /// The newest read round that the member confirmed this leadership for.
    var acknowledgedRead: UInt64 = 0
    // The small ones last, where they fit behind the others without a gap.
    /// The messages that are under way.
    package internal(set) var inflights: Inflights
    /// How entries are sent.
    package private(set) var state = ReplicationState.probe
    /// Whether anything was heard since the last quorum check.
    package internal(set) var recentlyActive = false
    /// Whether the member fell asleep at the end of the log, as it said since the last heartbeat.
    var isAsleep = false
    /// Whether the member receives the log and does not vote.
    package internal(set) var isLearner: Bool
    /// Whether sending waits for an answer or a heartbeat's answer.
    package internal(set) var isFlowPaused = false

    init(id: ReplicaID, next: LogIndex, inflights: Inflights, isLearner: Bool) {
        self.id = id
        self.next = next
        self.inflights = inflights
        self.isLearner = isLearner
    }

    /// Whether no entries may be sent now.
    package var isPaused: Bool { state == .snapshot || isFlowPaused }

    /// Starts over, from the snapshot if one was just delivered.
    mutating func becomeProbe() {
        next = state == .snapshot ? max(match, pendingSnapshot) + 1 : match + 1
        reset(to: .probe)
        sentCommit = min(sentCommit, next - 1)
    }

    /// Streams entries from behind `match` on.
    mutating func becomeReplicate() {
        reset(to: .replicate)
        next = match + 1
    }

    /// Stops while the snapshot at `index` is under way.
    mutating func becomeSnapshot(at index: LogIndex) {
        reset(to: .snapshot)
        pendingSnapshot = index
        next = index + 1
        sentCommit = index
    }

    /// Notes that an append message with these entries was sent.
    mutating func sent(entries: Int, bytes: Int) {
        switch state {
        case .replicate:
            if entries > 0 {
                next += UInt64(entries)
                inflights.add(next - 1, bytes: bytes)
            }
            // A message into a full window counts as a probe: one, then wait.
            isFlowPaused = inflights.isFull
        case .probe:
            if entries > 0 { isFlowPaused = true }
        case .snapshot:
            invariant(false, "entries were sent to a follower that waits for a snapshot")
        }
    }

    /// Notes that the commit index was sent.
    mutating func sent(commit: LogIndex) { sentCommit = commit }

    /// Whether sending this commit index would tell the follower anything new.
    func wouldAdvance(commit: LogIndex) -> Bool {
        commit > sentCommit && sentCommit < next - 1
    }

    /// Notes that everything through `index` is durable; false if that was known.
    mutating func update(match index: LogIndex) -> Bool {
        guard index > match else { return false }
        match = index
        next = max(next, index + 1)
        isFlowPaused = false
        return true
    }

    /// Steps back after the follower rejected an append at `rejected`; false if that is stale.
    ///
    /// A rejection of what the follower has acknowledged is, unless its disk lost what it had synced.
    /// Then there is nothing to step back to: it is asked again at the pace of heartbeats, not as
    /// fast as it rejects.
    mutating func decrease(rejected: LogIndex, hint: LogIndex) -> Bool {
        if state == .replicate {
            guard rejected > match else { return false }
            next = match + 1
            sentCommit = min(sentCommit, next - 1)
            return true
        }
        guard next - 1 == rejected, rejected > match else { return false }
        let behindHint = hint == .max ? hint : hint + 1
        next = max(min(rejected, behindHint), match + 1)
        sentCommit = min(sentCommit, next - 1)
        isFlowPaused = false
        return true
    }

    private mutating func reset(to state: ReplicationState) {
        isFlowPaused = false
        pendingSnapshot = 0
        self.state = state
        inflights.reset()
    }
}

extension Progress: CustomStringConvertible {
    package var description: String {
        var text: String
        switch state {
        case .probe: text = "StateProbe"
        case .replicate: text = "StateReplicate"
        case .snapshot: text = "StateSnapshot"
        }
        text += " match=\(match) next=\(next)"
        if isLearner { text += " learner" }
        if isPaused { text += " paused" }
        if pendingSnapshot > 0 { text += " pendingSnap=\(pendingSnapshot)" }
        if !recentlyActive { text += " inactive" }
        if inflights.count > 0 {
            text += " inflight=\(inflights.count)"
            if inflights.isFull { text += "[full]" }
        }
        return text
    }
}
