import SteleBase
import SteleEngine
import SteleRaft
import SteleTablet
import Testing

@testable import SteleCluster

/// Log and store of a node must belong together: the one goes on where the other ends.
@Suite struct StoreAndLogTests {
    /// Starts a node whose store has applied `applied` and whose log holds (compacted, last].
    private func start(applied: LogIndex, compacted: LogIndex, last: LogIndex) throws {
        let engine = MemoryEngine()
        let replica = ReplicaID(1)
        let state = AppliedState(tablet: .firstData, replica: replica, index: applied, term: 1)
        try engine.apply([], applied: state)
        let descriptor = TabletDescriptor(
            id: .firstData, range: .all, generation: 1,
            replicas: [.init(node: NodeID(1), id: replica)])
        let configuration = NodeCoreConfiguration(
            node: NodeID(1), tablets: [descriptor], members: [NodeID(1)], seed: 1)
        let recovered = RecoveredLog(
            replicas: [
                RecoveredReplica(
                    tablet: .firstData, replica: replica, hardState: HardState(term: 1),
                    compacted: LogPosition(index: compacted, term: compacted == 0 ? 0 : 1),
                    termRuns: last > compacted ? [LogPosition(index: compacted + 1, term: 1)] : [],
                    lastIndex: last, tail: [])
            ])
        _ = try NodeCore(
            configuration: configuration, engine: engine, recovered: recovered,
            monotonic: 1_000_000, wall: 1_000_000)
    }

    private func expectRefusal(applied: LogIndex, compacted: LogIndex, last: LogIndex) {
        let error = #expect(throws: EngineError.self) {
            try start(applied: applied, compacted: compacted, last: last)
        }
        #expect(error?.code == .corruption)
        #expect(error?.message.contains("applied index \(applied)") == true)
    }

    @Test func `a store behind the beginning of the log is refused`() throws {
        expectRefusal(applied: 0, compacted: 10, last: 20)
        expectRefusal(applied: 9, compacted: 10, last: 20)
        for applied in [10, 15, 20] as [LogIndex] {
            try start(applied: applied, compacted: 10, last: 20)
        }
    }

    @Test func `a store beyond the end of the log is refused`() {
        expectRefusal(applied: 21, compacted: 10, last: 20)
        expectRefusal(applied: 1, compacted: 0, last: 0)
    }
}
