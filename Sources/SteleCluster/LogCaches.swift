import SteleBase
import SteleRaft
import SteleTablet

/// The budget that the logs of all tablets of a node share for entries in memory: what was
/// appended first goes first, whichever tablet's it is.
///
/// Invariant: `bytes` is the sum of what the logs hold.
struct LogCaches {
    /// What the logs hold together.
    private(set) var bytes = 0
    private let limit: Int
    /// Up to which index which tablet's log was filled, by age.
    private var order = BoundedQueue<(tablet: Int, last: LogIndex)>(limit: 1 << 14)

    init(limit: Int) { self.limit = limit }

    /// Takes in how a tablet's log changed, and lets the oldest entries of all go.
    mutating func changed(_ tablet: Int, by growth: Int, logs: (Int) -> TabletLog) {
        bytes += growth
        guard growth > 0 else { return }
        if order.isFull { giveUpOldest(logs) }
        _ = order.append((tablet, logs(tablet).lastIndex))
        while bytes > limit, !order.isEmpty {
            mark("cluster: entries leave memory because of all tablets' together")
            giveUpOldest(logs)
        }
    }

    private mutating func giveUpOldest(_ logs: (Int) -> TabletLog) {
        guard let oldest = order.popFirst() else { return }
        bytes -= logs(oldest.tablet).giveUp(through: oldest.last)
    }
}
