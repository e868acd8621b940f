import SteleBase
import SteleClock
import SteleEngine
import SteleRaft
import SteleTablet

/// What a turn wants done. The host carries everything out, in any order.
package struct NodeEffects {
    /// To be appended to the node's log and synced; then ``NodeCore/logSynced(_:)``.
    package var log: (token: UInt64, batch: LogBatch)?
    /// By ascending node.
    package var messages: [PeerOutbox] = []
    /// Answers to requests that were submitted here.
    package var replies: [(token: UInt64, reply: TabletReply)] = []
    /// Entries to be read from the log on disk; then ``NodeCore/entriesFetched(_:of:)``.
    package var fetches: [EntryFetch] = []
    /// Slices of tablets to be looked through for deletions; then ``NodeCore/swept(_:_:)``.
    package var sweeps: [HistorySweep] = []
    /// Reads to be made where waiting for the disk holds up nobody; then
    /// ``NodeCore/diskRead(done:)``.
    package var diskReads: [DiskRead] = []
    /// Whether the engine is to be flushed; then ``NodeCore/flushed(_:)``.
    package var flush = false
    /// Whether there is work that does not wait for anything outside.
    package var needsAnotherTurn = false
    /// Monotonic time at which a turn is due even if nothing happens.
    package var wakeAt: UInt64 = .max
    /// About what the tablets did in this turn, in nanoseconds; see ``TurnWork/Cost``.
    package var work = 0
    /// What took longest of the turn; nil if nothing was done.
    package var longestPiece: TurnWork.Piece?
    /// What an operator should know, in order.
    package var notices: [NodeNotice] = []
    /// The store failed: the node must stop.
    package var failure: EngineError?
    /// Replicas that from now on lack what the log no longer holds: a leader tells of any, a node of
    /// its own. For people.
    package var outrun: [(tablet: TabletID, node: NodeID)] = []

    /// The node record that the log batch of this turn carries.
    var record: NodeRecord?

    package init() {}
}

/// What one turn sends to one peer.
package struct PeerOutbox: Sendable {
    package let node: NodeID
    package var messages: [PeerMessage] = []
    var isConnected = false
    /// When the peer was last heard of; nil if it never was.
    var lastHeard: UInt64?
    /// The sending of the newest heartbeat of this node that the peer is known to have got, or when
    /// the connections were made, by this node's monotonic clock; see `NodeCore.reaches(_:)`.
    var reachedAt: UInt64 = 0
    /// What the peer's newest heartbeat is named; 0 if none has come.
    var heard: UInt64 = 0
    /// What it last said that its peers say of its clock.
    var clock = ClockStanding.unheard
    /// How often it has made something durable, as it last said, and when it first said so.
    var syncs: UInt64 = 0
    var syncedAt: UInt64 = 0
    /// Counts the peer's starts, as far as it has told; 0 if it has not.
    var boot: UInt64 = 0
    /// The latest run that was heard of, and the number of an earlier one that turned up after it.
    var run: NodeRun?
    var refusedBoot: UInt64?
    /// What waits for the network on the way there, and what requests of this turn add.
    var backlog = 0
    var added = 0
    /// The number of its present run's first transaction, as far as it has told.
    var firstTransaction: UInt64 = 0
    /// When its transactions' locks were last released because it has been silent.
    var releasedAt: UInt64 = 0

    /// Whether nothing large should be added to what waits.
    var isCongested: Bool { backlog + added > Limits.peerBacklogBytes }

    init(node: NodeID, run: NodeRun?) {
        self.node = node
        self.run = run
    }
}

/// Entries that are wanted from disk: `from ..< upTo`, as many as fit, but at least one.
package struct EntryFetch: Sendable {
    package var tablet: TabletID
    package var replica: ReplicaID
    package var from: LogIndex
    package var upTo: LogIndex
    package var maxBytes: Int
}

/// What the log was asked to make durable in one record, and what follows once it is.
struct PendingAppend {
    struct Part {
        /// Position within the node's tablets.
        var tablet: Int
        var hardState: HardState?
        var entries: [Entry] = []
        var compacted: LogPosition?
        /// Raft messages that the durability sets free.
        var responses: [Message] = []

        /// Whether the log has to hold any of it.
        var isDurable: Bool { hardState != nil || !entries.isEmpty || compacted != nil }
    }

    var token: UInt64
    /// Monotonic time.
    var askedAt: UInt64
    var parts: [Part] = []
    var record: NodeRecord?

    init(token: UInt64, askedAt: UInt64) {
        self.token = token
        self.askedAt = askedAt
    }
}

/// What a node keeps about a tablet besides the tablet itself. By reference: it is looked at with every
/// message, and a copy would retain all that it holds.
final class TabletState {
    /// The node that was last known to lead, and its replica.
    var leader = NodeID.none
    var leadingReplica = ReplicaID.none
    /// The term in which this node last stood for election.
    var candidacy: Term = 0
    /// The leader that this node last acknowledged under a grant, its term, and the grant.
    var standsBy: (node: NodeID, term: Term, epoch: GrantEpoch)?
    /// When the leader's last Raft message came.
    var leaderHeardAt: UInt64 = 0
    /// Who acknowledged this node's leadership, in which term, under which grant.
    var acknowledgements: [(node: NodeID, term: Term, epoch: GrantEpoch)] = []
    /// The newest hard state, as far as Raft has told.
    var hardState: HardState?
    /// Reused for what Raft wants done.
    var ready = Ready()
    /// Messages to followers that may wait for the next ones, one for each.
    var commitNotices: [Message] = []
    /// Parts for the next log record.
    var unwritten: [PendingAppend.Part] = []
    /// When to campaign because the leader's node is gone.
    var campaignAt: UInt64?
    /// The applied index that the last completed flush covers.
    var flushedIndex: LogIndex = 0
    /// Up to where the log was given up, or will be by what waits to be written.
    var truncatedTo: LogIndex = 0
    /// The term in which this node gave its lease up for good, to hand leadership on.
    var resignedTerm: Term = 0
    /// How often it tried to hand it on.
    var resignations = 0
    /// The log is kept for no replica up to here: all hold it, or have been given up.
    var notKept: LogIndex = 0
    /// When this node, as the leader, told so last.
    var truncationToldAt: UInt64 = 0

    init(replicas: Int) { acknowledgements.reserveCapacity(replicas) }

    func acknowledge(_ node: NodeID, term: Term, epoch: GrantEpoch) {
        if let place = acknowledgements.firstIndex(where: { $0.node == node }) {
            acknowledgements[place] = (node, term, epoch)
        } else {
            acknowledgements.append((node, term, epoch))
        }
    }
}
