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
    case read(DiskRead)
    case request(TabletRequest, token: UInt64, timeout: UInt64)
    case cancel(UInt64)
}

/// A node with its disk, its clocks and what its host knows. Only the disk outlives a crash.
///
/// Nodes are named by their place, 0 first; ``id`` is that plus one.
final class SimulatedNode: @unchecked Sendable {
    // Safety: used in the thread that runs the simulation only.
    let place: Int
    var engine = MemoryEngine()
    var log = SimulatedLog()
    var clock: SimulatedClock
    /// When the wall clock last jumped, froze or was set, or was behind what the node promised.
    var clockChangedAt: UInt64 = 0
    /// How far ahead of true time the node's physical clock was in its last turn.
    var physicalError: Int64 = 0
    /// When a majority of all physical clocks was last close to this one, or nothing was served.
    var agreedAt: UInt64 = 0
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
    /// Copies of its disk, and what was there when one of them took its place.
    var images: [DiskImage] = []
    var properDisk: DiskImage?
    /// What the node told its operator, if somebody wants to know.
    var notices: [NodeNotice] = []
    var keepsNotices = false
    /// The next transaction number to hand out.
    var nextTransaction: UInt64 = 0
    /// How coordinators of the present run reach the node; made when it is needed.
    var port: SimulatedPort?
    /// What else is to happen when the node crashes, once.
    var atCrash: [() -> Void] = []
    /// What runs the node's tasks; made when it is needed.
    var executor: SimulatedExecutor?

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

    /// A new transaction, if the node may number one: its numbers must be reserved on disk. With an
    /// old disk it would give numbers again, and nobody could tell the outcomes apart.
    func takeTransaction() -> TransactionID? {
        guard properDisk == nil, let record = core?.durableRecord,
            nextTransaction + 1 < record.transactionBound
        else { return nil }
        nextTransaction += 1
        return TransactionID(node: id, sequence: nextTransaction)
    }
}
