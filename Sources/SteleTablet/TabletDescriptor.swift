import SteleBase

/// Which keys a tablet holds and who holds them.
package struct TabletDescriptor: Hashable, Sendable {
    package var id: TabletID
    package var range: KeyRange
    /// Raised with every change of the range or the replicas.
    package var generation: UInt64
    /// By ascending replica id.
    package var replicas: [Replica]

    /// One copy of a tablet and the node that holds it.
    package struct Replica: Hashable, Sendable {
        package var node: NodeID
        package var id: ReplicaID

        package init(node: NodeID, id: ReplicaID) {
            self.node = node
            self.id = id
        }
    }

    package init(id: TabletID, range: KeyRange, generation: UInt64, replicas: [Replica]) {
        self.id = id
        self.range = range
        self.generation = generation
        self.replicas = replicas
    }

    package func replica(on node: NodeID) -> ReplicaID? {
        for replica in replicas where replica.node == node { return replica.id }
        return nil
    }

    package func node(of replica: ReplicaID) -> NodeID? {
        for known in replicas where known.id == replica { return known.node }
        return nil
    }
}

extension TabletDescriptor {
    package func encode(into writer: inout ByteWriter) {
        writer.writeVarint(id.rawValue)
        writer.writeBytes(range.start)
        writer.writeBytes(range.end)
        writer.writeVarint(generation)
        writer.writeVarint(UInt64(replicas.count))
        for replica in replicas {
            writer.writeVarint(replica.node.rawValue)
            writer.writeVarint(replica.id.rawValue)
        }
    }

    package init(from reader: inout ByteReader) throws(DecodingError) {
        let id = TabletID(try reader.readVarint())
        let start = Array(try reader.readBytes())
        let end = Array(try reader.readBytes())
        let generation = try reader.readVarint()
        var replicas: [Replica] = []
        for _ in 0..<(try reader.readCount(ofAtLeast: 2)) {
            let node = NodeID(try reader.readVarint())
            replicas.append(Replica(node: node, id: ReplicaID(try reader.readVarint())))
        }
        self.init(
            id: id, range: KeyRange(start: start, end: end), generation: generation,
            replicas: replicas)
    }
}
