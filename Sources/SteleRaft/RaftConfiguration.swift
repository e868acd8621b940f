import SteleBase

/// How a leader makes sure that a read sees every write committed before it.
package enum ReadOnlyOption: UInt8, Sendable {
    /// By hearing from a quorum once per read; does not depend on clocks.
    case safe
    /// By the quorum check alone; needs clocks that drift little, and `checkQuorum`.
    case leaseBased
}

/// For whom a replica may vote, as its owner decides; see ``RaftGroup/votesAllowedFor``.
package enum VotePermission: Hashable, Sendable {
    /// For anyone, as the protocol alone would have it.
    case anyone
    /// For this candidate only.
    case only(ReplicaID)
    /// For nobody.
    case nobody

    func allows(_ candidate: ReplicaID) -> Bool {
        switch self {
        case .anyone: true
        case .only(let id): id == candidate
        case .nobody: false
        }
    }
}

/// What a group is started with; nothing here changes while it runs.
package struct RaftConfiguration: Sendable {
    /// The own replica; neither 0 nor a local target.
    package var id: ReplicaID
    /// Ticks without a leader until a follower campaigns, at least; less than twice that at most.
    package var electionTicks: Int
    /// Ticks between heartbeats; fewer than `electionTicks`.
    package var heartbeatTicks: Int
    /// The last index that the state machine has applied; 0 if it starts from the log's beginning.
    package var applied: LogIndex
    /// The size of entries in one append message; one entry may exceed it.
    package var maxBytesPerMessage: Int
    /// The size of entries handed to the state machine and not acknowledged; one may exceed it.
    package var maxCommittedBytesPerReady: Int
    /// The payload size of proposals that are not applied; beyond it proposals are dropped.
    package var maxUncommittedBytes: Int
    /// Append messages under way to one follower.
    package var maxInflightMessages: Int
    /// Bytes under way to one follower.
    package var maxInflightBytes: Int
    /// Ticks without work after which a group falls asleep, see ``RaftGroup/wake()``; 0 for never.
    /// Needs the quorum check and pre-vote, and reads that are confirmed by hearing from a quorum.
    package var hibernationTicks: Int
    /// Whether storage is a target of messages, instead of something that `advance` waits for.
    package var asyncStorageWrites: Bool
    /// Whether a leader that hears from no quorum steps down, and followers that hear from a leader
    /// ignore candidates.
    package var checkQuorum: Bool
    /// Whether a candidate first asks if it could win.
    package var preVote: Bool
    /// How reads are confirmed.
    package var readOnlyOption: ReadOnlyOption
    /// Whether a follower drops proposals instead of sending them to the leader.
    package var disableProposalForwarding: Bool
    /// Whether the leader takes membership changes that do not fit at proposal time.
    package var disableConfChangeValidation: Bool
    /// Whether a leader steps down when it applies its own removal.
    package var stepDownOnRemoval: Bool
    /// Where randomised election timeouts come from.
    package var seed: UInt64

    package init(
        id: ReplicaID, electionTicks: Int = 10, heartbeatTicks: Int = 1, applied: LogIndex = 0,
        asyncStorageWrites: Bool = false, maxBytesPerMessage: Int = .max,
        maxCommittedBytesPerReady: Int = .max, maxUncommittedBytes: Int = .max,
        maxInflightMessages: Int = 256, maxInflightBytes: Int = .max, checkQuorum: Bool = false,
        preVote: Bool = false, readOnlyOption: ReadOnlyOption = .safe,
        disableProposalForwarding: Bool = false, disableConfChangeValidation: Bool = false,
        stepDownOnRemoval: Bool = false, hibernationTicks: Int = 0, seed: UInt64 = 0
    ) {
        self.id = id
        self.electionTicks = electionTicks
        self.heartbeatTicks = heartbeatTicks
        self.applied = applied
        self.asyncStorageWrites = asyncStorageWrites
        self.maxBytesPerMessage = maxBytesPerMessage
        self.maxCommittedBytesPerReady = maxCommittedBytesPerReady
        self.maxUncommittedBytes = maxUncommittedBytes
        self.maxInflightMessages = maxInflightMessages
        self.maxInflightBytes = maxInflightBytes
        self.checkQuorum = checkQuorum
        self.preVote = preVote
        self.readOnlyOption = readOnlyOption
        self.disableProposalForwarding = disableProposalForwarding
        self.disableConfChangeValidation = disableConfChangeValidation
        self.stepDownOnRemoval = stepDownOnRemoval
        self.hibernationTicks = hibernationTicks
        self.seed = seed
    }

    func check() {
        invariant(id != .none && !id.isLocalTarget, "\(id) cannot be a replica")
        invariant(heartbeatTicks > 0, "heartbeats need an interval")
        invariant(electionTicks > heartbeatTicks, "elections must be rarer than heartbeats")
        invariant(maxInflightMessages > 0 && maxInflightBytes > 0, "no message could be in flight")
        invariant(maxBytesPerMessage >= 0 && maxCommittedBytesPerReady > 0, "limits are negative")
        invariant(
            readOnlyOption == .safe || checkQuorum, "lease-based reads need the quorum check")
        invariant(
            hibernationTicks == 0 || (checkQuorum && preVote && readOnlyOption == .safe),
            "groups that fall asleep need the quorum check, pre-vote and safe reads")
    }
}
