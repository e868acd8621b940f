import SteleBase

/// A cluster as one of its nodes sees it at one moment.
public struct StatusReport: Hashable, Sendable {
    /// A member of the cluster.
    public struct Node: Hashable, Sendable {
        /// The node's number within the cluster.
        public var id: NodeID
        /// `host:port` for peers, clients and administration.
        public var address: String
        /// `host:port` of the Postgres front; empty if there is none.
        public var postgres: String
        /// The process, 0 if it is not known.
        public var pid: UInt32
        /// The version that it runs; empty if it is not known.
        public var version: String
        /// For how many seconds its process has run, by the clocks of both; nil if it is not known,
        /// or was not heard of lately.
        public var uptime: UInt64?
        /// Whether it was heard of lately.
        public var isLive: Bool
        /// Where it stands, such as `region=eu,zone=a`; may be empty.
        public var locality: String
        public var clock: Clock
        /// Whether it runs on an older copy of its directory, so that nothing that it says counts.
        public var isOutdated: Bool

        package init(
            id: NodeID, address: String, postgres: String = "", pid: UInt32 = 0,
            version: String = "", uptime: UInt64? = nil, isLive: Bool, locality: String = "", clock: Clock = Clock(), isOutdated: Bool = false
        ) {
            self.id = id
            self.address = address
            self.postgres = postgres
            self.pid = pid
            self.version = version
            self.uptime = uptime
            self.isLive = isLive
            self.locality = locality
            self.clock = clock
            self.isOutdated = isOutdated
        }
    }

    /// What is known of a node's clock.
    ///
    /// A node leads, and gives timestamps, only while a majority of all nodes agrees with its clock.
    public struct Clock: Hashable, Sendable {
        /// What the others say of it, as the node itself tells.
        public enum Standing: UInt8, Hashable, Sendable {
            /// Too few have shown their clocks, or nothing is known of the node.
            case unheard
            /// A majority has shown its clocks and does not agree.
            case doubted
            /// A majority agrees.
            case confirmed
            /// There is no other node.
            case alone
        }

        public var standing: Standing
        /// How far it is ahead of that of the node that was asked, at least and at most, in
        /// microseconds; nil if it did not show its clock lately.
        public var offset: ClosedRange<Int64>?
        /// The nodes whose clocks are too far from it, as far as the node that was asked knows.
        public var doubtedBy: [NodeID]
        /// How many microseconds the node that was asked will promise nothing, because its clock
        /// was set back behind what it promised before; 0 of the others.
        public var wait: UInt64
        /// How often the node that was asked has set its clock since it started; 0 of the others.
        public var steps: UInt64

        package init(
            standing: Standing = .unheard, offset: ClosedRange<Int64>? = nil,
            doubtedBy: [NodeID] = [], wait: UInt64 = 0, steps: UInt64 = 0
        ) {
            self.standing = standing
            self.offset = offset
            self.doubtedBy = doubtedBy
            self.wait = wait
            self.steps = steps
        }
    }

    /// A contiguous range of keys and who holds it.
    public struct Tablet: Hashable, Sendable {
        /// The tablet's number, never used again.
        public var id: TabletID
        /// The first key, empty from the smallest key on.
        public var start: KeyBytes
        /// The first key that belongs to it no more; empty to the end of the keyspace.
        public var end: KeyBytes
        /// The node that leads it, ``NodeID/none`` if that is not known.
        public var leader: NodeID
        /// The nodes that hold a copy.
        public var replicas: [NodeID]
        /// Those of them whose copies lack what the log of the others no longer holds: they receive
        /// nothing that is written, and have to be rebuilt.
        public var outrun: [NodeID]
        /// Up to which entry of the tablet's log the node that was asked knows it to be committed, and
        /// has applied it. Both 0 if it has no copy.
        public var committed: UInt64
        public var applied: UInt64
        /// How many committed entries each of ``replicas`` is not known to hold; nil of a node that
        /// was not heard of since the leader was elected. Empty unless the node that was asked leads.
        public var lag: [UInt64?]

        package init(
            id: TabletID, start: KeyBytes, end: KeyBytes, leader: NodeID, replicas: [NodeID],
            outrun: [NodeID] = [], committed: UInt64 = 0, applied: UInt64 = 0, lag: [UInt64?] = []
        ) {
            self.id = id
            self.start = start
            self.end = end
            self.leader = leader
            self.replicas = replicas
            self.outrun = outrun
            self.committed = committed
            self.applied = applied
            self.lag = lag
        }
    }

    /// The disk of the node that was asked.
    public struct Storage: Hashable, Sendable {
        /// Whether the store takes what is written.
        public enum Writes: UInt8, Hashable, Sendable {
            case normal
            /// It slows them down, because compactions lag behind.
            case delayed
            /// It takes none until compactions have caught up.
            case stopped
        }

        /// Bytes that are free, and all bytes, of the file system with the node's directory.
        public var freeBytes: UInt64
        public var totalBytes: UInt64
        /// Bytes of the files of the log and of the store.
        public var logBytes: UInt64
        public var storeBytes: UInt64
        public var writes: Writes

        package init(
            freeBytes: UInt64, totalBytes: UInt64, logBytes: UInt64, storeBytes: UInt64,
            writes: Writes
        ) {
            self.freeBytes = freeBytes
            self.totalBytes = totalBytes
            self.logBytes = logBytes
            self.storeBytes = storeBytes
            self.writes = writes
        }
    }

    /// Tells this cluster apart from all others; ``UniqueID/none`` of a node that is in none yet.
    public var cluster: UniqueID
    /// By ascending id.
    public var nodes: [Node]
    /// By ascending start.
    public var tablets: [Tablet]
    /// The disk of the node that was asked; nil if it serves nothing yet, or its disk does not answer.
    public var storage: Storage?
    /// The turns of the node that was asked; nil if it has none yet.
    public var turns: TurnStatistics?

    package init(
        cluster: UniqueID, nodes: [Node], tablets: [Tablet], storage: Storage? = nil,
        turns: TurnStatistics? = nil
    ) {
        self.cluster = cluster
        self.nodes = nodes
        self.tablets = tablets
        self.storage = storage
        self.turns = turns
    }
}
