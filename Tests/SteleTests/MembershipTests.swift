import Foundation
import Logging
import NIOPosix
import Stele
import SteleAPI
import SteleBase
import SteleCluster
import SteleTablet
import SteleTransport
import SteleWire
import Testing

/// What a node that waits to be taken into a cluster makes of memberships that describe none.
@Suite struct MembershipTests {
    /// Calls nodes, and is no node itself.
    private final class Stranger: TransportDelegate {
        func received(_ messages: [PeerMessage], from node: NodeID) {}
        func connected(to node: NodeID) {}
        func disconnected(from node: NodeID) {}
        func peerInfo(_ info: NodeInfo, of node: NodeID) {}
        func refusal(of hello: Hello) -> Refusal? { nil }
        func request(_ request: ClientRequest, from connection: ClientConnection) {}
        func closed(_ connection: ClientConnection) {}
    }

    private typealias Replica = TabletDescriptor.Replica

    private static func tablet(
        _ id: UInt64 = 2, _ range: KeyRange = .all, _ replicas: [Replica]
    ) -> [UInt8] {
        var writer = ByteWriter()
        TabletDescriptor(id: TabletID(id), range: range, generation: 1, replicas: replicas)
            .encode(into: &writer)
        return writer.bytes
    }

    private static func replica(_ node: UInt64, _ id: UInt64) -> Replica {
        Replica(node: NodeID(node), id: ReplicaID(id))
    }

    /// Memberships of the node with this directory that are refused, each for its own reason.
    private static func broken(_ instance: UniqueID) -> [ClusterMembership] {
        func of(_ nodes: [(UInt64, UniqueID)], _ tablets: [[UInt8]]) -> ClusterMembership {
            ClusterMembership(
                cluster: UniqueID(high: 7, low: 7),
                nodes: nodes.map {
                    .init(node: NodeID($0.0), instance: $0.1, address: "127.0.0.1:1")
                },
                tablets: tablets)
        }
        let other = UniqueID(high: 1, low: 2)
        let sound = tablet(2, .all, [replica(1, 1)])
        let alone = [(1 as UInt64, instance)]
        return [
            of([], [sound]),
            of([(1 << 16, instance)], [tablet(2, .all, [replica(1 << 16, 1)])]),
            of([(0, other), (1, instance)], [sound]),
            of([(2, other), (1, instance)], [sound]),
            of([(1, instance), (2, instance)], [sound]),
            of(alone, [[1, 2, 3]]),
            of(alone, [tablet(2, .all, [])]),
            of(alone, [tablet(2, .all, [replica(1, 0)])]),
            of(alone, [tablet(2, .all, [replica(1, .max)])]),
            of(alone, [tablet(2, .all, [replica(1, 1), replica(1, 2)])]),
            of(alone, [tablet(2, .all, [replica(1, 1), replica(2, 2)])]),
            of(alone, [tablet(2, KeyRange(start: [2], end: [1]), [replica(1, 1)])]),
            of(alone, [sound, sound]),
            of(alone, [sound, tablet(3, KeyRange(key: [5]), [replica(1, 1)])]),
        ]
    }

    @Test func `a membership that describes no cluster is refused and leaves no trace`()
        async throws
    {
        let path = FileManager.default.temporaryDirectory
            .appendingPathComponent("stele-membership-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let configuration = NodeConfiguration(
            directory: path, listen: "127.0.0.1:0", join: ["127.0.0.1:1"], cacheBytes: 8 << 20,
            logger: logger)
        let node = try await Node.start(configuration)
        let address = try #require(node.address)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let stranger = Stranger()
        let transport = Transport(
            loop: group.next(), random: SeededRandom(seed: 1), logger: logger, delegate: stranger
        ) { .client() }
        let (introduction, _) = try await transport.call(address, .status)
        for (index, membership) in Self.broken(introduction.instance).enumerated() {
            let (_, reply) = try await transport.call(address, .bootstrap(membership))
            guard case .failed(let error) = reply else {
                Issue.record("membership \(index) was taken on")
                continue
            }
            #expect(error.code == .configuration, "membership \(index)")
        }
        #expect(await node.status().nodes.isEmpty)
        await transport.shutdown()
        try await group.shutdownGracefully()
        try await node.stop()
        let again = try await Node.start(configuration)
        #expect(await again.status().nodes.isEmpty)
        try await again.stop()
        withExtendedLifetime(stranger) {}
    }
}
