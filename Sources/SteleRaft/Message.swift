import SteleBase

/// The kinds of messages; numbers are part of the wire format.
package enum MessageType: UInt8, Sendable, CaseIterable {
    /// Local: start an election.
    case hup = 0
    /// Local: the leader's heartbeat is due.
    case beat = 1
    /// Entries to append, on their way to the leader.
    case propose = 2
    /// Entries from the leader.
    case append = 3
    /// Acknowledges or rejects `append`.
    case appendResponse = 4
    /// Asks for a vote.
    case vote = 5
    /// Grants or refuses a vote.
    case voteResponse = 6
    /// A snapshot from the leader.
    case snapshot = 7
    /// A sign of life from the leader.
    case heartbeat = 8
    /// Answers `heartbeat`.
    case heartbeatResponse = 9
    /// Local: a peer could not be reached.
    case unreachable = 10
    /// Local: the sending of a snapshot ended.
    case snapshotStatus = 11
    /// Local: the leader checks that a quorum is active.
    case checkQuorum = 12
    /// Asks the leader to hand leadership to the message's sender.
    case transferLeader = 13
    /// Tells the target of a transfer to campaign at once.
    case timeoutNow = 14
    /// Asks for an index at which a read is linearizable.
    case readIndex = 15
    /// Answers `readIndex`.
    case readIndexResponse = 16
    /// Asks whether a vote would be granted.
    case preVote = 17
    /// Answers `preVote`.
    case preVoteResponse = 18
    /// To the append thread: make hard state, entries and snapshot durable.
    case storageAppend = 19
    /// From the append thread: entries or a snapshot are durable.
    case storageAppendResponse = 20
    /// To the apply thread: apply committed entries.
    case storageApply = 21
    /// From the apply thread: entries are applied.
    case storageApplyResponse = 22
    /// Local: a follower forgets its leader, without an election.
    case forgetLeader = 23

    /// Whether the type never crosses the network.
    package var isLocal: Bool {
        switch self {
        case .hup, .beat, .unreachable, .snapshotStatus, .checkQuorum, .storageAppend,
            .storageAppendResponse, .storageApply, .storageApplyResponse, .forgetLeader:
            true
        default: false
        }
    }

    /// Whether the type answers another one, so that its sender must be a known member.
    var isResponse: Bool {
        switch self {
        case .appendResponse, .voteResponse, .heartbeatResponse, .unreachable,
            .readIndexResponse, .preVoteResponse, .storageAppendResponse, .storageApplyResponse:
            true
        default: false
        }
    }

    /// Whether only a term above 0 makes sense of the message.
    var needsTerm: Bool {
        switch self {
        case .append, .appendResponse, .vote, .voteResponse, .snapshot, .heartbeat,
            .heartbeatResponse, .timeoutNow, .readIndexResponse, .preVote, .preVoteResponse:
            true
        default: false
        }
    }
}

/// What replicas of a group tell each other, and what a replica tells its own storage.
///
/// One type for all kinds; a kind uses the fields that it needs and leaves the others alone.
package struct Message: Hashable, Sendable {
    /// What the message is.
    package var type: MessageType
    /// The replica that sent it.
    package var from: ReplicaID
    /// The replica that it is meant for.
    package var to: ReplicaID
    /// The sender's term; the term of the election in votes and pre-votes.
    package var term: Term
    /// The term of the entry at `index`; in rejections, the term at `rejectHint`.
    package var logTerm: Term
    /// The index before `entries`, the last index of a candidate, or the index acknowledged.
    package var index: LogIndex
    /// Entries to append, apply or propose.
    package var entries: [Entry]
    /// The sender's commit index.
    package var commit: LogIndex
    /// The vote, in requests to the append thread.
    package var vote: ReplicaID
    /// Where the snapshot is: few messages have one, so it must not make all of them large.
    private var snapshotBox: SnapshotBox
    /// Whether the answer is no.
    package var reject: Bool
    /// Where the follower's log may agree with the leader's.
    package var rejectHint: LogIndex
    /// Tells reads apart, and elections that a leader asked for.
    package var context: ArraySlice<UInt8>
    /// In granted votes: the highest hybrid-time bound that the voter ever granted.
    package var bound: UInt64
    /// To be sent once a local target has done its part.
    package var responses: [Message]

    package init(
        type: MessageType, from: ReplicaID = .none, to: ReplicaID = .none, term: Term = 0,
        logTerm: Term = 0, index: LogIndex = 0, entries: [Entry] = [], commit: LogIndex = 0,
        vote: ReplicaID = .none, snapshot: Snapshot? = nil, reject: Bool = false,
        rejectHint: LogIndex = 0, context: ArraySlice<UInt8> = [], bound: UInt64 = 0,
        responses: [Message] = []
    ) {
        self.type = type
        self.from = from
        self.to = to
        self.term = term
        self.logTerm = logTerm
        self.index = index
        self.entries = entries
        self.commit = commit
        self.vote = vote
        snapshotBox = SnapshotBox(snapshot)
        self.reject = reject
        self.rejectHint = rejectHint
        self.context = context
        self.bound = bound
        self.responses = responses
    }

    /// A snapshot to restore, or the one that became durable.
    package var snapshot: Snapshot? {
        get { snapshotBox.content }
        set { snapshotBox = SnapshotBox(newValue) }
    }

    /// The context of votes in an election that the old leader itself asked for.
    static let transferContext: ArraySlice<UInt8> = ArraySlice("CampaignTransfer".utf8)

    /// Whether this vote request belongs to a leadership transfer.
    package var isTransfer: Bool { context == Message.transferContext }
}
