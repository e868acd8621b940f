import SteleBase
import SteleRaft
import Testing

@testable import SteleSimulation

/// The parts that the simulator itself stands on.
struct PartsTests {
    @Test func eventsComeByTimeThenByOrder() {
        var queue = EventQueue()
        var happened: [Int] = []
        var random = SeededRandom(seed: 5)
        var expected: [(time: UInt64, number: Int)] = []
        for number in 0..<500 {
            let time = random.below(40)
            queue.schedule(at: time) { happened.append(number) }
            expected.append((time, number))
        }
        expected.sort { ($0.time, $0.number) < ($1.time, $1.number) }
        for item in expected {
            #expect(queue.nextTime == item.time)
            let next = queue.next()
            next?.event()
            #expect(next?.time == item.time && happened.last == item.number)
        }
        #expect(queue.next() == nil)
    }

    private func batch(_ entries: [Entry], compacted: LogPosition? = nil) -> LogBatch {
        LogBatch(parts: [
            LogBatch.Part(
                tablet: TabletID(2), replica: ReplicaID(1), entries: entries,
                compacted: compacted)
        ])
    }

    @Test func crashLosesWhatIsNotSynced() {
        var log = SimulatedLog()
        log.write(batch([Entry(term: 1, index: 1), Entry(term: 1, index: 2)]), token: 1)
        log.write(batch([Entry(term: 2, index: 2), Entry(term: 2, index: 3)]), token: 2)
        log.write(batch([Entry(term: 2, index: 4)]), token: 3)
        #expect(log.written.replica(of: TabletID(2))?.lastIndex == 4)
        #expect(log.sync(1) == 1)
        log.crash(survivors: 1)
        let recovered = log.recovered(tail: 2).replicas[0]
        #expect(recovered.lastIndex == 3)
        #expect(recovered.tail.map(\.term) == [2, 2])
        #expect(
            recovered.termRuns == [
                LogPosition(index: 1, term: 1), LogPosition(index: 2, term: 2),
            ])
        log.crash(survivors: 0)
        #expect(log.written.replica(of: TabletID(2))?.lastIndex == 3)
    }

    @Test func compactionKeepsWhatFollows() {
        var log = SimulatedLog()
        let entries = (1...5).map { Entry(term: 1, index: $0) }
        log.write(batch(entries), token: 1)
        log.write(batch([], compacted: LogPosition(index: 3, term: 1)), token: 2)
        #expect(log.sync(2) == 2)
        let recovered = log.recovered(tail: 10).replicas[0]
        #expect(recovered.compacted == LogPosition(index: 3, term: 1))
        #expect(recovered.tail.map(\.index) == [4, 5])
        #expect(recovered.termRuns == [LogPosition(index: 4, term: 1)])
        let read = log.entries(of: TabletID(2), from: 3, upTo: 6, maxBytes: 100)
        #expect(read.isEmpty)
        #expect(
            log.entries(of: TabletID(2), from: 4, upTo: 6, maxBytes: 100).map(\.index) == [4, 5])
    }

    @Test func clocksCanBeReadBackwards() {
        var random = SeededRandom(seed: 9)
        for slowness in [1, 3] as [UInt64] {
            var clock = SimulatedClock(
                limits: ClockLimits(driftPerMillion: 1_000, offset: 100_000),
                startingAt: 5_000_000, &random)
            clock.slowDown(slowness, at: 6_000_000)
            for now in stride(from: 6_000_000, to: 9_000_000, by: 77_777) as StrideTo<UInt64> {
                let reading = clock.monotonic(at: now) + 12_345
                let time = clock.trueTime(ofMonotonic: reading)
                #expect(clock.monotonic(at: time) >= reading)
                #expect(clock.monotonic(at: time) <= reading + 5)
            }
        }
    }
}
