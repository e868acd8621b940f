/// Identifies a node of a cluster; 0 is no node. Allotted once, never reused.
public struct NodeID: Hashable, Comparable, Sendable, CustomStringConvertible {
    public let rawValue: UInt64

    @inlinable
    public init(_ rawValue: UInt64) { self.rawValue = rawValue }

    /// Stands for "no node", as in "the leader is not known".
    @inlinable
    public static var none: NodeID { NodeID(0) }

    @inlinable
    public static func < (left: NodeID, right: NodeID) -> Bool { left.rawValue < right.rawValue }

    /// Whether transactions can name the node as their coordinator's; see ``TransactionID``.
    @inlinable
    package var fitsTransactionIDs: Bool { rawValue < 1 << 16 }

    public var description: String { "n\(rawValue)" }
}

/// Identifies one replica of one tablet: the member id within its Raft group; 0 is no replica.
///
/// A node that leaves a tablet and comes back to it gets a new replica id, so that messages meant
/// for its earlier self cannot be mistaken.
public struct ReplicaID: Hashable, Comparable, Sendable, CustomStringConvertible {
    public let rawValue: UInt64

    @inlinable
    public init(_ rawValue: UInt64) { self.rawValue = rawValue }

    @inlinable
    public static var none: ReplicaID { ReplicaID(0) }

    @inlinable
    public static func < (left: ReplicaID, right: ReplicaID) -> Bool {
        left.rawValue < right.rawValue
    }

    public var description: String { "r\(rawValue)" }
}

/// Identifies a tablet: a contiguous key range replicated by one Raft group. Never reused.
public struct TabletID: Hashable, Comparable, Sendable, CustomStringConvertible {
    public let rawValue: UInt64

    @inlinable
    public init(_ rawValue: UInt64) { self.rawValue = rawValue }

    /// The tablet that holds the node registry, the directory and the cluster's settings.
    public static let system = TabletID(1)

    /// The tablet that holds all user data of a fresh cluster.
    public static let firstData = TabletID(2)

    @inlinable
    public static func < (left: TabletID, right: TabletID) -> Bool {
        left.rawValue < right.rawValue
    }

    public var description: String { "t\(rawValue)" }
}

/// Identifies one attempt of one transaction, cluster-wide and for ever.
///
/// The upper 16 bits name the node that coordinates it, the lower 48 count that node's
/// transactions and never go back, also not across a restart.
public struct TransactionID: Hashable, Comparable, Sendable, CustomStringConvertible {
    public let rawValue: UInt64

    @inlinable
    public init(_ rawValue: UInt64) { self.rawValue = rawValue }

    /// - Precondition: `node` < 2^16 and `sequence` < 2^48.
    @inlinable
    package init(node: NodeID, sequence: UInt64) {
        invariant(node.fitsTransactionIDs, "node id \(node) does not fit a transaction id")
        invariant(sequence < 1 << 48, "transaction sequence \(sequence) is exhausted")
        self.rawValue = node.rawValue << 48 | sequence
    }

    /// Stands for "no transaction", as in a read outside of any.
    @inlinable
    public static var none: TransactionID { TransactionID(0) }

    /// The node whose coordinator began the transaction.
    @inlinable
    package var node: NodeID { NodeID(rawValue >> 48) }

    @inlinable
    package var sequence: UInt64 { rawValue & (1 << 48 - 1) }

    @inlinable
    public static func < (left: TransactionID, right: TransactionID) -> Bool {
        left.rawValue < right.rawValue
    }

    public var description: String { "x\(String(rawValue, radix: 16))" }
}

/// 128 random bits that tell clusters, and the directories of nodes, apart.
public struct UniqueID: Hashable, Sendable, CustomStringConvertible {
    public let high: UInt64
    public let low: UInt64

    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    package init(from random: inout some RandomNumberGenerator) {
        self.init(high: random.next(), low: random.next())
    }

    package func precedes(_ other: UniqueID) -> Bool {
        (high, low) < (other.high, other.low)
    }

    /// Stands for "not known yet", as in a node that no cluster has taken in.
    public static let none = UniqueID(high: 0, low: 0)

    /// 32 hexadecimal digits.
    public var description: String {
        let high = String(self.high, radix: 16)
        let low = String(self.low, radix: 16)
        return String(repeating: "0", count: 16 - high.count) + high
            + String(repeating: "0", count: 16 - low.count) + low
    }
}
