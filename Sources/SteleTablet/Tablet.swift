import DequeModule
import SteleBase
import SteleClock
import SteleEngine
import SteleRaft

/// One replica of a tablet: its Raft group, and the state machine that the group replicates.
///
/// Only the leader evaluates requests, and only inside a lease; what it evaluates travels through
/// the log as finished mutations, which every replica applies unseen.
///
/// Invariants:
/// - **Floor.** Nothing is ever written at or below a timestamp that was served: a read raises
///   `floor` to its timestamp before it looks, and a write lands above the floor. A new leader's
///   floor starts above every bound that its voters granted to an earlier one.
/// - **Latches.** Whoever reads at or above the timestamp of a command in flight waits for it where
///   their keys meet. Commands in flight never write the same key.
/// - **Acknowledged means visible.** A commit is answered once its entry is committed, though this
///   replica may not have applied it yet. A read that begins later is at or above `readLow`, which
///   the answer raised to the command's timestamp, and waits for it like for any command in flight.
/// - **Lease.** `leaseBound` is set by the node before requests are handled; nothing is served or
///   written above it. A read's answer is released only after the lease was checked once more.
package final class Tablet {
    package let descriptor: TabletDescriptor
    package let replica: ReplicaID
    package let log: TabletLog
    package let group: RaftGroup
    let engine: any StorageEngine
    /// Through which requests are evaluated.
    var reader: RequestReader
    let clock: TurnClock

    /// Nothing may be served or written above this; zero is no lease.
    package var leaseBound = Timestamp.zero
    /// Nothing may be written at or below this.
    package internal(set) var floor = Timestamp.zero
    /// Reads that choose their own timestamp choose none below this: everything acknowledged is.
    var readLow = Timestamp.zero
    /// The term in which this replica leads and has applied an entry of its own; 0 otherwise.
    package internal(set) var servingTerm: Term = 0
    /// The term in which this replica knew itself as leader; 0 when it does not lead.
    package internal(set) var leadingTerm: Term = 0

    /// Nothing is read below this, and nothing written at or below it; of the applied log.
    package internal(set) var watermark: Timestamp
    var history = HistoryState()
    /// Bytes of commands that dropped versions; set to 0 by the node when it has the store flushed.
    package var droppedBytes = 0

    var locks = LockTable()
    /// The newest owner of locks when they were last asked for.
    var seenLockOwners: UInt64 = 0
    /// The last of the owners that were asked about, or none when all were.
    var askedLockOwners: UInt64 = 0
    var lastLockOwnerOfPass: UInt64 = 0
    var inFlight = InFlightWrites()
    var recent = RecentWrites()
    /// What all tablets of the node have in flight; set once, where the node makes its tablets.
    package var nodeInFlight = InFlightBytes()
    /// This tablet's part of it.
    var countedInFlight = 0
    /// What all tablets of the node have done in this turn; set once, as that before.
    package var work = TurnWork()
    var waiting = WaitingRequests()
    /// Tickets of requests that wait for the lease, or for the clock, in order of arrival.
    var parked: [UInt64] = []
    /// Tickets of requests for which this turn has no room, in order of arrival.
    var deferred: [UInt64] = []
    /// Releases of locks taken after savepoints that wait for a turn, and what waits for them.
    var unlocking = UnlockQueue()
    /// Tickets that may go on.
    var awakened: [UInt64] = []
    /// Writes of large commands that are applied, whose memory is still to be freed.
    var discarded: [[TabletRequest.CommitRequest.Write]] = []
    private var lastTicket: UInt64 = 0

    package internal(set) var applied: AppliedState
    var applies: [Message] = []
    /// How many entries of the first of `applies` are applied, or are `largeEntry`.
    var nextApply = 0
    var largeEntry: LargeEntry?
    /// Parts of a command that is not in the applied log yet.
    var parts: CommandParts?
    /// While there is a large entry, or there are parts: up to here everything else is applied.
    var reached = LogPosition(index: 0, term: 0)
    /// The commit whose parts this leader puts into the log, until they are applied or dropped.
    var upload: CommandUpload?
    /// Tickets of commits that wait for that, or to begin their own.
    var uploadWaiters: [UInt64] = []

    /// What the tablet has to say since its node last collected it.
    package var output = TabletOutput()

    package init(
        descriptor: TabletDescriptor, replica: ReplicaID, log: TabletLog, group: RaftGroup,
        applied: AppliedState, watermark: Timestamp = .zero, engine: any StorageEngine,
        clock: TurnClock
    ) {
        self.descriptor = descriptor
        self.replica = replica
        self.log = log
        self.group = group
        self.applied = applied
        self.watermark = watermark
        self.engine = engine
        reader = RequestReader(engine)
        self.clock = clock
    }

    /// Whether requests are evaluated here at this moment.
    package var isServing: Bool {
        group.isLeader && servingTerm == group.term && leaseBound > .zero
    }

    func nextTicket() -> UInt64 {
        lastTicket += 1
        return lastTicket
    }
}

/// Effects of a tablet, collected by its node.
package struct TabletOutput {
    package struct Reply {
        /// Names the request, as its node called it.
        package var origin: UInt64
        package var reply: TabletReply
        /// The reply may leave only if the lease still covers this at the end of the turn.
        package var servedAt: Timestamp?
    }

    package var replies: [Reply] = []
    /// What requests wait for.
    package var diskReads: [DiskRead] = []
    /// The engine failed; the replica can do nothing any more.
    package var failure: EngineError?
    /// The engine is behind with its background work; applying has to go on later.
    package var isEngineBusy = false
    /// A large command was proposed, which took long. The host leaves Raft's work on it, which takes
    /// as long again, to the next turn: the heartbeats of this one leave first.
    package var hasLargeProposal = false

    package init() {}
}
