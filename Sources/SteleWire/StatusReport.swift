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
        /// Whether it was heard of lately.
        public var isLive: Bool
        /// Where it stands, such as `region=eu,zone=a`; may be empty.
        public var locality: String
        public var clock: Clock
        /// Whether it runs on an older copy of its directory, so that nothing that it says counts.
        public var isOutdated: Bool

        package init(
            id: NodeID, address: String, postgres: String = "", pid: UInt32 = 0,
            isLive: Bool, locality: String = "", clock: Clock = Clock(), isOutdated: Bool = false
        ) {
            self.id = id
            self.address = address
            self.postgres = postgres
            self.pid = pid
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

        package init(
            id: TabletID, start: KeyBytes, end: KeyBytes, leader: NodeID, replicas: [NodeID],
            outrun: [NodeID] = []
        ) {
            self.id = id
            self.start = start
            self.end = end
            self.leader = leader
            self.replicas = replicas
            self.outrun = outrun
        }
    }

    /// Tells this cluster apart from all others; ``UniqueID/none`` of a node that is in none yet.
    public var cluster: UniqueID
    /// By ascending id.
    public var nodes: [Node]
    /// By ascending start.
    public var tablets: [Tablet]
    /// The turns of the node that was asked; nil if it has none yet.
    public var turns: TurnStatistics?

    package init(
        cluster: UniqueID, nodes: [Node], tablets: [Tablet], turns: TurnStatistics? = nil
    ) {
        self.cluster = cluster
        self.nodes = nodes
        self.tablets = tablets
        self.turns = turns
    }
}

extension StatusReport {
    func encode(into writer: inout ByteWriter) {
        writer.write(cluster)
        writer.writeVarint(UInt64(nodes.count))
        for node in nodes {
            writer.writeVarint(node.id.rawValue)
            writer.writeString(node.address)
            writer.writeString(node.postgres)
            writer.write(node.pid)
            writer.write(node.isLive)
            writer.writeString(node.locality)
            node.clock.encode(into: &writer)
            writer.write(node.isOutdated)
        }
        writer.writeVarint(UInt64(tablets.count))
        for tablet in tablets {
            writer.writeVarint(tablet.id.rawValue)
            writer.writeBytes(tablet.start)
            writer.writeBytes(tablet.end)
            writer.writeVarint(tablet.leader.rawValue)
            writer.writeVarint(UInt64(tablet.replicas.count))
            for replica in tablet.replicas { writer.writeVarint(replica.rawValue) }
            writer.writeVarint(UInt64(tablet.outrun.count))
            for replica in tablet.outrun { writer.writeVarint(replica.rawValue) }
        }
        writer.write(turns != nil)
        turns?.encode(into: &writer)
    }

    init(from reader: inout ByteReader) throws(DecodingError) {
        let cluster = try reader.readUniqueID()
        var nodes: [Node] = []
        for _ in 0..<(try reader.readCount(ofAtLeast: 15)) {
            let id = NodeID(try reader.readVarint())
            let address = try reader.readString()
            let postgres = try reader.readString()
            let pid = try reader.read(UInt32.self)
            let isLive = try reader.readBool()
            let locality = try reader.readString()
            let clock = try Clock(from: &reader)
            nodes.append(
                Node(
                    id: id, address: address, postgres: postgres, pid: pid, isLive: isLive,
                    locality: locality, clock: clock, isOutdated: try reader.readBool()))
        }
        var tablets: [Tablet] = []
        for _ in 0..<(try reader.readCount(ofAtLeast: 6)) {
            let id = TabletID(try reader.readVarint())
            let start = try reader.readKey()
            let end = try reader.readKey()
            let leader = NodeID(try reader.readVarint())
            var replicas: [NodeID] = []
            for _ in 0..<(try reader.readCount()) {
                replicas.append(NodeID(try reader.readVarint()))
            }
            var outrun: [NodeID] = []
            for _ in 0..<(try reader.readCount()) {
                outrun.append(NodeID(try reader.readVarint()))
            }
            tablets.append(
                Tablet(
                    id: id, start: start, end: end, leader: leader, replicas: replicas,
                    outrun: outrun))
        }
        let turns = try reader.readBool() ? try TurnStatistics(from: &reader) : nil
        self.init(cluster: cluster, nodes: nodes, tablets: tablets, turns: turns)
    }
}

extension StatusReport.Clock {
    func encode(into writer: inout ByteWriter) {
        writer.write(standing.rawValue)
        writer.write(offset != nil)
        if let offset {
            writer.write(offset.lowerBound)
            writer.write(offset.upperBound)
        }
        writer.writeVarint(UInt64(doubtedBy.count))
        for node in doubtedBy { writer.writeVarint(node.rawValue) }
        writer.writeVarint(wait)
        writer.writeVarint(steps)
    }

    init(from reader: inout ByteReader) throws(DecodingError) {
        guard let standing = Standing(rawValue: try reader.read(UInt8.self)) else {
            throw DecodingError("no standing of a clock")
        }
        var offset: ClosedRange<Int64>?
        if try reader.readBool() {
            let lowest = try reader.read(Int64.self)
            let highest = try reader.read(Int64.self)
            guard lowest <= highest else { throw DecodingError("an offset that is none") }
            offset = lowest...highest
        }
        var doubtedBy: [NodeID] = []
        for _ in 0..<(try reader.readCount()) { doubtedBy.append(NodeID(try reader.readVarint())) }
        let wait = try reader.readVarint()
        self.init(
            standing: standing, offset: offset, doubtedBy: doubtedBy, wait: wait,
            steps: try reader.readVarint())
    }
}
