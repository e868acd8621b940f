import SteleBase

/// The state of one replica, and everything that it does; see ``RaftGroup`` for how it is driven.
///
/// A value: within a call nothing else can look at it or change it, and the compiler knows.
///
/// Invariants: the term never falls; at most one vote per term; a committed entry is never replaced;
/// what is promised to others (votes, acknowledgements) leaves only after it is durable.
struct RaftCore: ~Copyable {
    /// What the group was started with.
    let configuration: RaftConfiguration

    var log: RaftLog
    var tracker: ProgressTracker

    /// The latest term seen.
    var term: Term = 0
    /// Whom this replica voted for in the term.
    var vote: ReplicaID = .none
    /// The leader of the term, if known.
    var lead: ReplicaID = .none
    /// To whom this leader is handing leadership, if to anyone.
    var leadTransferee: ReplicaID = .none

    /// For whom this replica may vote now; the owner sets it before `tick`, `step` and `campaign`.
    ///
    /// Requests that it refuses are ignored without a change of term, like those that arrive within
    /// the quorum check's lease, and the replica campaigns only if it may vote for itself.
    /// Elections that the old leader asked for by a transfer are exempt.
    var votesAllowedFor: VotePermission = .anyone
    /// Whether this replica may campaign now, also when a leader asks it to; the owner sets it.
    var mayLead = true
    // Small ones together, where they leave no gaps.
    /// The part this replica plays.
    var role: Role = .follower
    /// Whether anything was handed out since the last tick.
    var isBusy = false
    /// Whether the clock of this replica stands, see RaftCore+Hibernation.swift.
    var isHibernated = false
    /// Ticks since this leader was last asked for anything.
    var idleTicks = 0
    /// The highest hybrid-time bound that this replica granted; every granted vote names it.
    var voteBound: UInt64 = 0
    /// The highest bound named by the votes, the own among them, that elected this leader.
    var electionBound: UInt64 = 0
    /// What was refused since the start.
    var refusals = Refusals()

    /// No further configuration change is proposed until this index is applied.
    var pendingConfIndex: LogIndex = 0
    /// The index of the snapshot that the membership came with, if any did.
    var membershipIndex: LogIndex = 0
    /// Payload bytes proposed by this leader and not applied yet.
    var uncommittedBytes = 0
    var readQueue = ReadIndexQueue()
    /// Reads that wait for the leader's first commit of its term.
    var postponedReads: [Message] = []

    var electionElapsed = 0
    var heartbeatElapsed = 0
    var randomizedElectionTimeout = 0
    var random: SeededRandom

    /// What may leave at once.
    var messages: [Message] = []
    /// What may leave only after the state of now is durable.
    var messagesAfterAppend: [Message] = []
    var readStates: [ReadState] = []
    /// Empty arrays that the owner is done with, to be filled again.
    var spareEntries: [[Entry]] = []
    var spareResponses: [[Message]] = []
    var previousSoftState = SoftState(lead: .none, role: .follower)
    var previousHardState = HardState.empty
    /// What the replica tells itself once the accepted `Ready` is done with.
    var stepsOnAdvance: [Message] = []

    /// Starts a replica from what its storage holds.
    init(_ configuration: RaftConfiguration, storage: any RaftStorage) {
        configuration.check()
        self.configuration = configuration
        random = SeededRandom(seed: configuration.seed)
        log = RaftLog(storage: storage, maxApplyingBytes: configuration.maxCommittedBytesPerReady)
        tracker = ProgressTracker(
            maxInflightMessages: configuration.maxInflightMessages,
            maxInflightBytes: configuration.maxInflightBytes)
        let (hardState, confState) = storage.initialState()
        invariant(confState.isValid || confState == ConfState(), "stored members: \(confState)")
        tracker = ConfChanger(tracker, lastIndex: log.lastIndex).restore(confState)
        term = hardState.term
        vote = hardState.vote
        log.commit(to: max(hardState.commit, configuration.applied))
        if configuration.applied > 0 { log.applied(to: configuration.applied, bytes: 0) }
        becomeFollower(term: term, lead: .none)
        previousSoftState = softState
        previousHardState = self.hardState
    }
}

// MARK: Looking at it

extension RaftCore {
    var id: ReplicaID { configuration.id }

    /// Whether this leader has committed an entry of its own term.
    var hasCommittedInTerm: Bool { (try? log.term(at: log.committed)) == term }

    var softState: SoftState { SoftState(lead: lead, role: role) }

    var hardState: HardState { HardState(term: term, vote: vote, commit: log.committed) }

    /// Whether this replica may become leader: a voter that is not about to restore a snapshot.
    var isPromotable: Bool {
        guard let slot = tracker.slot(of: id) else { return false }
        return !tracker.progress[slot].isLearner && !log.hasSnapshotUnderWay
    }
}

// MARK: Changes of role

extension RaftCore {
    mutating func becomeFollower(term: Term, lead: ReplicaID) {
        reset(term: term)
        self.lead = lead
        role = .follower
    }

    mutating func becomePreCandidate() {
        invariant(role != .leader, "a leader cannot become pre-candidate")
        tracker.resetVotes()
        lead = .none
        role = .preCandidate
    }

    mutating func becomeCandidate() {
        invariant(role != .leader, "a leader cannot become candidate")
        reset(term: term + 1)
        electionBound = 0
        vote = id
        role = .candidate
    }

    mutating func becomeLeader() {
        invariant(role == .candidate, "only a candidate can become leader")
        reset(term: term)
        lead = id
        role = .leader
        if let own = tracker.slot(of: id) {
            tracker.progress[own].becomeReplicate()
            tracker.progress[own].recentlyActive = true
        }
        // Entries of earlier terms may hold a configuration change that is not applied yet.
        pendingConfIndex = log.lastIndex
        let accepted = appendOwn([Entry()])
        invariant(accepted, "the first entry of a term cannot be refused")
    }

    private mutating func reset(term: Term) {
        if self.term != term {
            invariant(term > self.term, "the term cannot fall from \(self.term) to \(term)")
            self.term = term
            vote = .none
        }
        lead = .none
        electionElapsed = 0
        heartbeatElapsed = 0
        randomizeElectionTimeout()
        leadTransferee = .none
        tracker.resetVotes()
        tracker.resetProgress(own: id, lastIndex: log.lastIndex)
        pendingConfIndex = 0
        uncommittedBytes = 0
        readQueue = ReadIndexQueue()
        postponedReads = []
    }

    mutating func randomizeElectionTimeout() {
        let ticks = UInt64(configuration.electionTicks)
        randomizedElectionTimeout = Int(ticks + random.below(ticks))
    }
}
