import SteleBase
import SteleRaft

/// Something that an operator should know; see ``NodeEffects/notices``.
package enum NodeNotice: Hashable, Sendable {
    /// The physical clock was set, forward if `by` is positive. The node promises nothing for `wait`
    /// microseconds, until the clock has passed what it promised before.
    case clockSet(by: Int64, wait: UInt64)
    /// A majority of the nodes has not agreed with this node's clock for so many microseconds.
    case clockDoubted(ClockReport, for: UInt64)
    /// It does again, after that.
    case clockConfirmed
    /// A peer has an older copy of its directory; nothing that it says counts. See ``NodeRun``.
    case peerRefused(NodeID, boot: UInt64, known: UInt64)
    /// This node has one, as a peer tells. It stops.
    case outdated(boot: UInt64, by: NodeID, known: UInt64)
    /// The disk has kept a write to the log for so many microseconds, and does so still.
    case diskHangs(for: UInt64)
    /// This node stands for election.
    case campaigns(TabletID, term: Term)
    /// Another node leads from now on, or, with none, nobody that this node knows of.
    case leaderChanged(TabletID, NodeID, term: Term)
}
