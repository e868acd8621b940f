import SteleBase
import SteleClock

/// What a node must remember about itself across a crash; kept in its log.
package struct NodeRecord: Hashable, Sendable {
    private static let version: UInt8 = 2

    /// The latest run of a peer that this node has heard of.
    package struct Peer: Hashable, Sendable {
        package var node: NodeID
        package var run: NodeRun
    }

    /// Counts the starts of the node.
    package var boot: UInt64
    /// No timestamp above this was given, and no bound above it was granted.
    package var clockBound: Timestamp
    /// No transaction was numbered at or above this.
    package var transactionBound: UInt64
    /// Whether the node was told that its directory is an older copy.
    package var isOutdated = false
    /// Ascending by node.
    package private(set) var peers: [Peer] = []

    package init(boot: UInt64, clockBound: Timestamp, transactionBound: UInt64) {
        self.boot = boot
        self.clockBound = clockBound
        self.transactionBound = transactionBound
    }

    /// The latest run of `node` that this node has heard of.
    package func run(of node: NodeID) -> NodeRun? { peers.first { $0.node == node }?.run }

    package mutating func note(_ run: NodeRun, of node: NodeID) {
        peers.removeAll { $0.node == node }
        let place = peers.firstIndex { $0.node > node } ?? peers.endIndex
        peers.insert(Peer(node: node, run: run), at: place)
    }

    package var bytes: [UInt8] {
        var writer = ByteWriter(reserving: 32 + peers.count * 20)
        writer.write(Self.version)
        writer.write(boot)
        writer.write(clockBound.rawValue)
        writer.write(transactionBound)
        writer.write(isOutdated)
        writer.writeVarint(UInt64(peers.count))
        for peer in peers {
            writer.writeVarint(peer.node.rawValue)
            writer.writeVarint(peer.run.boot)
            writer.write(peer.run.mark)
        }
        return writer.bytes
    }

    package init(bytes: [UInt8]) throws(DecodingError) {
        var reader = ByteReader(bytes)
        let version = try reader.read(UInt8.self)
        guard version == Self.version else {
            throw DecodingError("a node record of the unknown version \(version)")
        }
        boot = try reader.read(UInt64.self)
        clockBound = Timestamp(rawValue: try reader.read(UInt64.self))
        transactionBound = try reader.read(UInt64.self)
        isOutdated = try reader.readBool()
        for _ in 0..<(try reader.readCount(ofAtLeast: 10)) {
            let node = NodeID(try reader.readVarint())
            let boot = try reader.readVarint()
            note(NodeRun(boot: boot, mark: try reader.read(UInt64.self)), of: node)
        }
        try reader.expectEnd()
    }
}
