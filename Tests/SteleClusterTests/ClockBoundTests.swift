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
        members: UInt64 = 1, record: NodeRecord? = nil, monotonic: UInt64, wall: UInt64
    ) throws -> NodeCore {
        let nodes = (1...members).map { NodeID($0) }
        let descriptor = TabletDescriptor(
            id: .firstData, range: .all, generation: 1,
            replicas: nodes.map { .init(node: $0, id: ReplicaID($0.rawValue)) })
        return try NodeCore(
            configuration: NodeCoreConfiguration(
                node: NodeID(1), tablets: [descriptor], members: nodes, seed: 1),
            engine: MemoryEngine(), recovered: RecoveredLog(nodeRecord: record?.bytes),
            monotonic: monotonic, wall: wall)
    }

    /// One turn, whose record, if it asks for one, becomes durable at once.
    private func turn(_ core: NodeCore, monotonic: UInt64, wall: UInt64) {
        core.beginTurn(monotonic: monotonic, wall: wall)
        let effects = core.endTurn(monotonic: monotonic)
        if let (token, _) = effects.log { core.logSynced(token) }
    }

    @Test func `runs that end before the clock may be used do not push its bound ahead`() throws {
        let bound = Timestamp(microseconds: Self.start + 1_000_000)
        var record = NodeRecord(boot: 0, clockBound: bound, transactionBound: 1)
        for run in 0..<20 as Range<UInt64> {
            // Started again every 10 ms, as by a supervisor.
            let (monotonic, wall) = (1_000_000 + run * 10_000, Self.start + run * 10_000)
            let core = try core(
                members: 3, record: record, monotonic: monotonic, wall: wall)
            turn(core, monotonic: monotonic, wall: wall)
            let durable = try #require(core.durableRecord)
            #expect(durable.boot == run + 1)
            #expect(durable.clockBound == bound, "run \(run)")
            record = durable
        }
    }

    @Test func `a node waits for its clock to pass the bound of an earlier run, then goes on above`()
        throws
    {
        let bound = Timestamp(microseconds: Self.start + 800_000)
        let record = NodeRecord(boot: 1, clockBound: bound, transactionBound: 1)
        let wait = bound.microseconds - Self.start
        let second = try core(
            members: 3, record: record, monotonic: 1_000_000, wall: Self.start)
        for (elapsed, isUsable) in [(0, false), (wait - 1, false), (wait, true)] {
            turn(second, monotonic: 1_000_000 + elapsed, wall: Self.start + elapsed)
            #expect(second.isClockUsable == isUsable)
            #expect(second.clockWait == wait - elapsed)
        }
        // The bound was raised meanwhile, so there is no further wait for the disk.
        let given = second.clock.now()
        #expect(try #require(given) > record.clockBound)
    }

    @Test func `a node by itself waits for nothing, and what it gives stays within its bound`()
        throws
    {
        let day: UInt64 = 86_400_000_000
        var record = NodeRecord(
            boot: 1, clockBound: Timestamp(microseconds: Self.start + day), transactionBound: 1)
        // The machine's clock was set back by a day, and the process ends again and again.
        for run in 0..<20 as Range<UInt64> {
            var monotonic = 1_000_000 + run * 10_000_000
            let core = try core(record: record, monotonic: monotonic, wall: Self.start)
            var last = record.clockBound
            for elapsed in 0..<20 as Range<UInt64> {
                monotonic += 1_000
                turn(core, monotonic: monotonic, wall: Self.start + elapsed * 1_000)
                #expect(core.isClockUsable)
                guard core.tablets[0].isServing else { continue }
                for _ in 0..<100 {
                    let given = try #require(core.clock.now())
                    #expect(given > last)
                    last = given
                }
            }
            #expect(core.tablets[0].isServing)
            record = try #require(core.durableRecord)
            #expect(last <= record.clockBound)
        }
        // Little was needed while time stood still, so time goes on as soon as the clock is right.
        #expect(record.clockBound.microseconds < Self.start + day + 100_000)
    }

    @Test func `a node by itself takes the corrected time at once`() throws {
        let core = try core(monotonic: 1_000_000, wall: Self.start)
        turn(core, monotonic: 1_000_000, wall: Self.start)
        let early = try #require(core.clock.now())
        turn(core, monotonic: 1_100_000, wall: Self.start + 60_000_000)
        #expect(core.clock.physical == Self.start + 60_000_000)
        // Nothing was given there.
        turn(core, monotonic: 1_200_000, wall: Self.start + 200_000)
        #expect(core.clock.physical == Self.start + 200_000)
        let late = try #require(core.clock.now())
        #expect(late > early)
        turn(core, monotonic: 1_300_000, wall: Self.start - 60_000_000)
        #expect(core.clock.physical == late.microseconds)
        #expect(try #require(core.clock.now()) > late)
    }

    @Test func `a node by itself that stopped in good order serves at once when it starts again`()
        throws
    {
        let first = try core(monotonic: 1_000_000, wall: Self.start)
        var elapsed: UInt64 = 0
        while elapsed < 1_000_000 {
            turn(first, monotonic: 1_000_000 + elapsed, wall: Self.start + elapsed)
            elapsed += 10_000
        }
        #expect(first.tablets[0].isServing)
        let given = try #require(first.clock.now())
        let record = first.finalRecord()
        #expect(record.clockBound >= given)
        let second = try core(record: record, monotonic: 1_000_000, wall: Self.start + elapsed)
        turn(second, monotonic: 1_000_000, wall: Self.start + elapsed)
        #expect(second.isClockUsable)
    }

    @Test func `the time of a clock that no peer confirmed does not bind later runs`() throws {
        let hour: UInt64 = 3_600_000_000
        let first = try core(members: 3, monotonic: 1_000_000, wall: Self.start + hour)
        for elapsed in stride(from: 0, to: 1_000_000, by: 100_000) as StrideTo<UInt64> {
            turn(first, monotonic: 1_000_000 + elapsed, wall: Self.start + hour + elapsed)
        }
        #expect(!first.isClockConfirmed)
        let second = try core(
            members: 3, record: first.durableRecord, monotonic: 1_000_000, wall: Self.start)
        turn(second, monotonic: 3_000_000, wall: Self.start + 2_000_000)
        #expect(second.isClockUsable)
    }
}
