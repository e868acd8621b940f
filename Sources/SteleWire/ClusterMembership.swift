import SteleBase

/// Everything that a new member must know to take part: who the others are and what they hold.
package struct ClusterMembership: Hashable, Sendable {
    package struct Member: Hashable, Sendable {
        package var node: NodeID
        /// The directory of the node; an emptied one is another node.
        package var instance: UniqueID
        package var address: String

        package init(node: NodeID, instance: UniqueID, address: String) {
            self.node = node
            self.instance = instance
            self.address = address
        }
    }

    package var cluster: UniqueID
    /// By ascending node id.
    package var nodes: [Member]
    /// Encoded descriptors of the cluster's tablets, opaque here.
    package var tablets: [[UInt8]]

    package init(cluster: UniqueID, nodes: [Member], tablets: [[UInt8]]) {
        self.cluster = cluster
        self.nodes = nodes
        self.tablets = tablets
    }
}

extension ClusterMembership {
    /// Begins with a version, because nodes keep it on disk too.
    package func encode(into writer: inout ByteWriter) {
        writer.write(Self.version)
        writer.write(cluster)
        writer.writeVarint(UInt64(nodes.count))
        for member in nodes {
            writer.writeVarint(member.node.rawValue)
            writer.write(member.instance)
            writer.writeString(member.address)
        }
        writer.writeVarint(UInt64(tablets.count))
        for tablet in tablets { writer.writeBytes(tablet) }
    }

    package init(from reader: inout ByteReader) throws(DecodingError) {
        let version = try reader.read(UInt8.self)
        guard version == Self.version else {
            throw DecodingError("version \(version) of a cluster membership is unknown")
        }
        let cluster = try reader.readUniqueID()
        var nodes: [Member] = []
        for _ in 0..<(try reader.readCount(ofAtLeast: 18)) {
            let node = NodeID(try reader.readVarint())
            let instance = try reader.readUniqueID()
            nodes.append(Member(node: node, instance: instance, address: try reader.readString()))
        }
        var tablets: [[UInt8]] = []
        for _ in 0..<(try reader.readCount()) { tablets.append(Array(try reader.readBytes())) }
        self.init(cluster: cluster, nodes: nodes, tablets: tablets)
    }

    /// The whole membership as bytes of its own.
    package var encoded: [UInt8] {
        var writer = ByteWriter()
        encode(into: &writer)
        return writer.bytes
    }

    /// Reads what ``encoded`` wrote.
    package init(decoding bytes: [UInt8]) throws(DecodingError) {
        var reader = ByteReader(bytes)
        try self.init(from: &reader)
        try reader.expectEnd()
    }

    private static let version: UInt8 = 1
}
