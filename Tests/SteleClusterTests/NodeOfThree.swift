import SteleBase
import SteleEngine
import SteleRaft
import SteleTablet

@testable import SteleCluster

extension NodeCore {
    /// Node 1 of three new ones, each with a replica of one tablet.
    static func firstOfThree(monotonic: UInt64, wall: UInt64) throws -> NodeCore {
        let nodes = (1...3).map { NodeID($0) }
        let descriptor = TabletDescriptor(
            id: .firstData, range: .all, generation: 1,
            replicas: nodes.map { .init(node: $0, id: ReplicaID($0.rawValue)) })
        return try NodeCore(
            configuration: NodeCoreConfiguration(
                node: NodeID(1), tablets: [descriptor], members: nodes, seed: 1),
            engine: MemoryEngine(), recovered: RecoveredLog(), monotonic: monotonic, wall: wall)
    }
}
