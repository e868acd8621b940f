import SteleBase

extension StatusReport {
    func encode(into writer: inout ByteWriter) {
        writer.write(cluster)
        writer.writeVarint(UInt64(nodes.count))
        for node in nodes {
            writer.writeVarint(node.id.rawValue)
            writer.writeString(node.address)
            writer.writeString(node.postgres)
            writer.write(node.pid)
            writer.writeString(node.version)
            writer.write(optional: node.uptime)
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
            writer.writeVarint(tablet.committed)
            writer.writeVarint(tablet.applied)
            writer.writeVarint(UInt64(tablet.lag.count))
            for lag in tablet.lag { writer.write(optional: lag) }
        }
        writer.write(storage != nil)
        storage?.encode(into: &writer)
        writer.write(turns != nil)
        turns?.encode(into: &writer)
    }

    init(from reader: inout ByteReader) throws(DecodingError) {
        let cluster = try reader.readUniqueID()
        var nodes: [Node] = []
        for _ in 0..<(try reader.readCount(ofAtLeast: 17)) {
            let id = NodeID(try reader.readVarint())
            let address = try reader.readString()
            let postgres = try reader.readString()
            let pid = try reader.read(UInt32.self)
            let version = try reader.readString()
            let uptime = try reader.readOptionalVarint()
            let isLive = try reader.readBool()
            let locality = try reader.readString()
            let clock = try Clock(from: &reader)
            nodes.append(
                Node(
                    id: id, address: address, postgres: postgres, pid: pid, version: version,
                    uptime: uptime, isLive: isLive, locality: locality, clock: clock,
                    isOutdated: try reader.readBool()))
        }
        var tablets: [Tablet] = []
        for _ in 0..<(try reader.readCount(ofAtLeast: 9)) {
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
            let committed = try reader.readVarint()
            let applied = try reader.readVarint()
            var lag: [UInt64?] = []
            for _ in 0..<(try reader.readCount()) { lag.append(try reader.readOptionalVarint()) }
            tablets.append(
                Tablet(
                    id: id, start: start, end: end, leader: leader, replicas: replicas,
                    outrun: outrun, committed: committed, applied: applied, lag: lag))
        }
        let storage = try reader.readBool() ? try Storage(from: &reader) : nil
        let turns = try reader.readBool() ? try TurnStatistics(from: &reader) : nil
        self.init(
            cluster: cluster, nodes: nodes, tablets: tablets, storage: storage, turns: turns)
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

extension StatusReport.Storage {
    fileprivate func encode(into writer: inout ByteWriter) {
        for count in [freeBytes, totalBytes, logBytes, storeBytes] { writer.writeVarint(count) }
        writer.write(writes.rawValue)
    }

    fileprivate init(from reader: inout ByteReader) throws(DecodingError) {
        let free = try reader.readVarint()
        let total = try reader.readVarint()
        let log = try reader.readVarint()
        let store = try reader.readVarint()
        self.init(
            freeBytes: free, totalBytes: total, logBytes: log, storeBytes: store,
            writes: try reader.readCase(Writes.self))
    }
}

extension ByteWriter {
    fileprivate mutating func write(optional number: UInt64?) {
        write(number != nil)
        if let number { writeVarint(number) }
    }
}

extension ByteReader {
    fileprivate mutating func readOptionalVarint() throws(DecodingError) -> UInt64? {
        try readBool() ? try readVarint() : nil
    }
}
