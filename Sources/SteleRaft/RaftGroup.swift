import SteleBase

/// One replica of one Raft group, as a pure machine.
///
/// Ticks, messages and requests go in; a ``Ready`` with everything to store, send and apply comes
/// out. The machine reads no clock, does no IO and draws random numbers from its seed only, so the
/// same inputs always give the same outputs. It is not thread-safe; its owner calls it from one
/// place.
///
/// There are two ways to drive it. Classic: take a `ready()`, make hard state, entries and snapshot
/// durable, send the messages, apply the committed entries, then `advance`. Asynchronous
/// (`asyncStorageWrites`): `ready()` holds messages to the append and the apply thread; carry them
/// out in order, then send or `step` their responses; there is no `advance`.
///
/// The machine itself is a value, ``RaftCore``; this is the place where an owner keeps it, so that
/// each call is one exclusive access, however much it does.
package final class RaftGroup {
    var core: RaftCore

    /// Starts a replica from what its storage holds.
    package init(_ configuration: RaftConfiguration, storage: any RaftStorage) {
        core = RaftCore(configuration, storage: storage)
    }
}

// MARK: What its owner sees

extension RaftGroup {
    /// What the group was started with.
    package var configuration: RaftConfiguration { core.configuration }
    /// The own replica.
    package var id: ReplicaID { core.id }
    /// The latest term seen.
    package var term: Term { core.term }
    /// Whom this replica voted for in the term.
    package var vote: ReplicaID { core.vote }
    /// The leader of the term, if known.
    package var lead: ReplicaID { core.lead }
    /// The part this replica plays.
    package var role: Role { core.role }
    /// Whether this replica leads the term.
    package var isLeader: Bool { core.role == .leader }
    /// To whom this leader is handing leadership, if to anyone.
    package var leadTransferee: ReplicaID { core.leadTransferee }
    /// Payloads that a leader has proposed and not seen committed, in bytes.
    package var uncommittedBytes: Int { core.uncommittedBytes }
    /// The highest bound named by the votes, the own among them, that elected this leader.
    package var electionBound: UInt64 { core.electionBound }
    /// What was refused since the start.
    package var refusals: Refusals { core.refusals }
    /// What changes with leadership.
    package var softState: SoftState { core.softState }
    /// What has to be durable besides the log.
    package var hardState: HardState { core.hardState }
    /// Whether this replica may become leader: a voter that is not about to restore a snapshot.
    package var isPromotable: Bool { core.isPromotable }

    /// The highest index known to be committed.
    package var committed: LogIndex { core.log.committed }
    /// The highest index that the state machine acknowledged.
    package var applied: LogIndex { core.log.applied }
    /// The first index of the log.
    package var firstIndex: LogIndex { core.log.firstIndex }
    /// The last index of the log, durable or not.
    package var lastIndex: LogIndex { core.log.lastIndex }
    /// Index and term of the last entry.
    package var lastPosition: LogPosition { core.log.lastPosition }
    /// The term of an entry, nil outside of the log.
    package func termOfEntry(at index: LogIndex) -> Term? { try? core.log.term(at: index) }
    /// Whether this leader has committed an entry of its own term.
    package var hasCommittedInTerm: Bool { core.hasCommittedInTerm }

    /// The members, and which configurations are in force.
    package var membership: Membership { core.tracker.membership }
    /// What the leader knows about each member, in ascending order; empty on other replicas.
    package var progress: [Progress] { isLeader ? core.tracker.progress : [] }
    /// What the leader knows about one member.
    package func progress(of id: ReplicaID) -> Progress? { isLeader ? core.tracker[id] : nil }

    /// Ends the process if an invariant is broken; debug builds do so after each input.
    package func checkInvariants() { core.checkInvariants() }
}

// MARK: What its owner decides

extension RaftGroup {
    /// For whom this replica may vote now; the owner sets it before `tick`, `step` and `campaign`.
    ///
    /// Requests that it refuses are ignored without a change of term, like those that arrive within
    /// the quorum check's lease, and the replica campaigns only if it may vote for itself.
    /// Elections that the old leader asked for by a transfer are exempt.
    package var votesAllowedFor: VotePermission {
        get { core.votesAllowedFor }
        set { core.votesAllowedFor = newValue }
    }
    /// Whether this replica may campaign now, also when a leader asks it to; the owner sets it.
    package var mayLead: Bool {
        get { core.mayLead }
        set { core.mayLead = newValue }
    }
    /// The highest hybrid-time bound that this replica granted; every granted vote names it.
    package var voteBound: UInt64 {
        get { core.voteBound }
        set { core.voteBound = newValue }
    }
}

// MARK: Time and messages

extension RaftGroup {
    /// Lets one tick pass.
    package func tick() { core.tick() }

    /// Handles a message of a peer or a response of local storage.
    ///
    /// Messages that no correct replica would send are ignored, and counted in ``refusals``.
    package func step(_ message: Message) throws(RaftError) { try core.step(message) }

    /// Counts the election timeout as elapsed: other candidates get this replica's vote from now
    /// on, and it campaigns itself after so many more ticks, with 0 at once.
    ///
    /// For an owner that knows the leader to be gone. Does nothing on a leader.
    package func expireElectionTimeout(campaignAfter ticks: Int = 0) {
        core.expireElectionTimeout(campaignAfter: ticks)
    }

    /// Whether the group sleeps: it has nothing to do, and ticks do nothing either.
    package var isHibernated: Bool { core.isHibernated }

    /// Ends the sleep of this replica and, by a message, of its group.
    ///
    /// A sleeping replica hears of nobody, so its owner has to know the others to be alive. It wakes
    /// a leader when the node of any member restarted, which knows of no leader then, or can no
    /// longer be said to be alive; and a follower when that is so of its leader's node.
    package func wake() { core.wake() }

    /// Replaces the randomised election timeout of the current term.
    package func fixElectionTimeout(_ ticks: Int) { core.randomizedElectionTimeout = ticks }
}

// MARK: Work

extension RaftGroup {
    /// Whether `ready()` would have anything to do in it.
    package var hasReady: Bool { core.hasReady }

    /// Hands out everything there is to do.
    ///
    /// In classic mode `advance(_:)` has to follow before the next call.
    package func ready() -> Ready {
        var ready = Ready()
        core.ready(into: &ready)
        return ready
    }

    /// The same into a buffer of the caller's, whose memory is used again, that of the messages'
    /// entries and responses too; so it should be the buffer that this group filled before.
    package func ready(into ready: inout Ready) { core.ready(into: &ready) }

    /// Everything in the last `ready()` is done: durable, sent and applied.
    package func advance(_ ready: Ready) { core.advance() }

    /// Puts a committed change of the membership into force; the owner calls it when it applies the
    /// entry.
    ///
    /// A change that does not fit the configuration in force is skipped, on all replicas alike; so
    /// must be an entry that the owner cannot decode. With `index`, that of the entry, a change is
    /// skipped also if a snapshot that was received in the meantime contains it.
    @discardableResult
    package func applyConfChange(_ change: ConfChange, at index: LogIndex? = nil) -> ConfState {
        core.applyConfChange(change, at: index)
    }

    /// Reports that entries which storage called temporarily unavailable can be read now.
    package func entriesAvailable() { core.entriesAvailable() }
}

// MARK: Requests

extension RaftGroup {
    /// Starts an election, if this replica may become leader.
    package func campaign() { core.request(Message(type: .hup, from: id)) }

    /// Appends commands as one batch if this replica leads, else passes them on to the leader.
    ///
    /// Returns the index of the first; nil if they were passed on. Their term is `term`.
    @discardableResult
    package func propose(_ payloads: [ArraySlice<UInt8>]) throws(RaftError) -> LogIndex? {
        try core.propose(payloads)
    }

    /// Proposes a change of the membership, in the same way as a command.
    ///
    /// If it does not fit, because another one is not applied yet or a joint configuration has to be
    /// left first, an empty command takes its place.
    @discardableResult
    package func proposeConfChange(
        _ change: ConfChange, v1: Bool = false
    ) throws(RaftError) -> LogIndex? {
        try core.propose([change.entry(v1: v1)])
    }

    /// Asks for an index at which a read is linearizable; a ``ReadState`` answers it, or nothing.
    package func readIndex(context: ArraySlice<UInt8>) {
        core.request(Message(type: .readIndex, context: context))
    }

    /// Hands leadership to another voter; a follower passes the request on to the leader.
    package func transferLeader(to target: ReplicaID) {
        core.request(Message(type: .transferLeader, from: target))
    }

    /// Makes a follower forget its leader, so that it votes again without waiting.
    package func forgetLeader() { core.request(Message(type: .forgetLeader)) }

    /// Makes a leader stop leading, without handing leadership to anyone: the next one, this replica
    /// perhaps, has a new term.
    package func stepDown() { core.stepDown() }

    /// Reports that a message to a peer was probably lost.
    package func reportUnreachable(_ peer: ReplicaID) {
        core.request(Message(type: .unreachable, from: peer))
    }

    /// Reports that the sending of a snapshot ended.
    package func reportSnapshot(_ peer: ReplicaID, ok: Bool) {
        core.request(Message(type: .snapshotStatus, from: peer, reject: !ok))
    }
}
