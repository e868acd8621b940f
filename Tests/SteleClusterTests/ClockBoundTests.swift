import SteleBase
import SteleClock
import SteleEngine
import SteleRaft
import SteleTablet
import Testing

@testable import SteleCluster

/// What a node keeps on disk about its clock, from one run to the next.
@Suite struct ClockBoundTests {
    private static let start: UInt64 = 1_700_000_000_000_000

    private func core(
        members: UInt64 = 1, record: NodeRecord? = nil, monotonic: UInt64, physical: UInt64
    ) throws -> NodeCore {
        let nodes = (1...members).map { NodeID($0) }
        let descriptor = TabletDescriptor(
            id: .firstData, range: .all, generation: 1,
            replicas: nodes.map { .init(node: $0, id: ReplicaID($0.rawValue)) })
        return try NodeCore(
            configuration: NodeCoreConfiguration(
                node: NodeID(1), tablets: [descriptor], members: nodes, seed: 1),
            engine: MemoryEngine(), recovered: RecoveredLog(nodeRecord: record?.bytes),
            monotonic: monotonic, physical: physical)
    }

    /// One turn, whose record, if it asks for one, becomes durable at once.
    private func turn(_ core: NodeCore, monotonic: UInt64, physical: UInt64) {
        core.beginTurn(monotonic: monotonic, physical: physical)
        let effects = core.endTurn(monotonic: monotonic)
        if let (token, _) = effects.log { core.logSynced(token) }
    }

    @Test func `runs that end before the clock may be used do not push its bound ahead`() throws {
        var record: NodeRecord?
        for run in 0..<20 as Range<UInt64> {
            // Started again every 10 ms, as by a supervisor.
            let (monotonic, physical) = (1_000_000 + run * 10_000, Self.start + run * 10_000)
            let core = try core(record: record, monotonic: monotonic, physical: physical)
            turn(core, monotonic: monotonic, physical: physical)
            let durable = try #require(core.durableRecord)
            #expect(durable.boot == run + 1)
            #expect(durable.clockBound.microseconds - physical <= 1_000_000, "run \(run)")
            record = durable
        }
    }

    @Test func `a node waits for its clock to pass the bound of an earlier run, then goes on above`()
        throws
    {
        let first = try core(monotonic: 1_000_000, physical: Self.start)
        turn(first, monotonic: 1_000_000, physical: Self.start)
        let record = try #require(first.durableRecord)
        let wait = record.clockBound.microseconds - Self.start
        let second = try core(record: record, monotonic: 1_000_000, physical: Self.start)
        for (elapsed, isUsable) in [(0, false), (wait - 1, false), (wait, true)] {
            turn(second, monotonic: 1_000_000 + elapsed, physical: Self.start + elapsed)
            #expect(second.isClockUsable == isUsable)
            #expect(second.clockWait == wait - elapsed)
        }
        // The bound was raised meanwhile, so there is no further wait for the disk.
        let given = second.clock.now()
        #expect(try #require(given) > record.clockBound)
    }

    @Test func `a node by itself that stopped in good order serves at once when it starts again`()
        throws
    {
        let first = try core(monotonic: 1_000_000, physical: Self.start)
        var elapsed: UInt64 = 0
        while elapsed < 1_000_000 {
            turn(first, monotonic: 1_000_000 + elapsed, physical: Self.start + elapsed)
            elapsed += 10_000
        }
        #expect(first.tablets[0].isServing)
        let given = try #require(first.clock.now())
        let record = first.finalRecord()
        #expect(record.clockBound >= given)
        let second = try core(record: record, monotonic: 1_000_000, physical: Self.start + elapsed)
        turn(second, monotonic: 1_000_000, physical: Self.start + elapsed)
        #expect(second.isClockUsable)
    }

    @Test func `the time of a clock that no peer confirmed does not bind later runs`() throws {
        let hour: UInt64 = 3_600_000_000
        let first = try core(members: 3, monotonic: 1_000_000, physical: Self.start + hour)
        for elapsed in stride(from: 0, to: 1_000_000, by: 100_000) as StrideTo<UInt64> {
            turn(first, monotonic: 1_000_000 + elapsed, physical: Self.start + hour + elapsed)
        }
        #expect(!first.isClockConfirmed)
        let second = try core(
            members: 3, record: first.durableRecord, monotonic: 1_000_000, physical: Self.start)
        turn(second, monotonic: 3_000_000, physical: Self.start + 2_000_000)
        #expect(second.isClockUsable)
    }
}
