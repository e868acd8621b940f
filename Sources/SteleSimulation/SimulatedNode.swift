import SteleBase
import SteleClock
import SteleCluster
import SteleEngine
import SteleRaft
import SteleTablet

/// Something that a node's host hands to its core in the next turn.
enum NodeInput {
    case frame(from: Int, bytes: [UInt8])
    case connected(Int)
    case disconnected(Int)
    case synced(UInt64)
    case flushed([AppliedState])
    case fetched(TabletID, [Entry])
    case swept(HistorySweep, ObsoleteDeletions)
    case request(TabletRequest, token: UInt64, timeout: UInt64)
}

/// A node with its disk, its clocks and what its host knows. Only the disk outlives a crash.
///
/// Nodes are named by their place, 0 first; ``id`` is that plus one.
final class SimulatedNode {
    let place: Int
    let engine = MemoryEngine()
    var log = SimulatedLog()
    var clock: SimulatedClock
    /// nil while the node is down.
    var core: NodeCore?
    /// Counts starts and crashes: what was meant for an earlier life is dropped.
    var life = 0

    /// What has arrived since the last turn.
    var inbox: [NodeInput] = []
    /// When the next turn is due; nil if none is.
    var turnAt: UInt64?
    /// Whether a turn was begun and has not ended, because the process stopped in the middle.
    var isTurnOpen = false
    /// Whether the node is not started again by whatever starts nodes.
    var isAbsent = false
    /// True time until which the process stands still.
    var pausedUntil: UInt64 = 0

    /// Whether the oldest unsynced batch is on its way to the platter.
    var isSyncing = false
    /// Names the sync that is under way.
    var syncs: UInt64 = 0
    /// True time until which the disk syncs nothing.
    var diskStallsUntil: UInt64 = 0
    /// When the node was last seen to be down, to stand still, or to have a bad disk or clock.
    var lastFault: UInt64 = 0
    /// For each peer, the connection over which frames leave, and the one over which they come; 0
    /// while there is none, as far as this node knows.
    var outbound: [UInt64]
    var inbound: [UInt64]
    /// For each peer, the life of the process that dialled the one over which frames come.
    var inboundLives: [Int]
    /// For each peer, whether the node was told that both stand.
    var isConnected: [Bool]
    /// The timestamps at which operations of this node's clients read, by number of the operation.
    var openReaders: [Int: Timestamp] = [:]
    /// The next transaction number to hand out.
    var nextTransaction: UInt64 = 0

    init(place: Int, nodes: Int, clock: SimulatedClock) {
        self.place = place
        self.clock = clock
        outbound = Array(repeating: 0, count: nodes)
        inbound = Array(repeating: 0, count: nodes)
        inboundLives = Array(repeating: 0, count: nodes)
        isConnected = Array(repeating: false, count: nodes)
    }

    var id: NodeID { NodeID(UInt64(place) + 1) }

    var isUp: Bool { core != nil }

    /// The node's replica of a tablet, while it is up and holds one.
    func replica(of tablet: TabletID) -> Tablet? {
        core?.tablets.first { $0.descriptor.id == tablet }
    }

    /// A new transaction, if the node may number one: its numbers must be reserved on disk.
    func takeTransaction() -> TransactionID? {
        guard let record = core?.durableRecord, nextTransaction + 1 < record.transactionBound
        else { return nil }
        nextTransaction += 1
        return TransactionID(node: id, sequence: nextTransaction)
    }
}
