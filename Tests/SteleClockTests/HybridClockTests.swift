import SteleClock
import Testing

@Suite struct HybridClockTests {
    private func clock(bound: UInt64 = 1_000_000) -> HybridClock {
        var clock = HybridClock(startingAbove: .zero, toleranceMicroseconds: 100)
        clock.raiseBound(to: Timestamp(microseconds: bound))
        return clock
    }

    private func now(_ clock: inout HybridClock, _ physical: UInt64) throws -> Timestamp {
        let timestamp = clock.now(physical: physical)
        return try #require(timestamp)
    }

    @Test func `timestamps ascend while physical time stands still or goes back`() throws {
        var clock = clock()
        var last = Timestamp.zero
        for physical in [500, 500, 500, 400, 1, 501] as [UInt64] {
            let now = try now(&clock, physical)
            #expect(now > last)
            last = now
        }
        #expect(last.microseconds == 501)
    }

    @Test func `the logical part overflows into the physical one`() throws {
        var clock = clock()
        var last = try now(&clock, 7)
        for _ in 0..<5_000 {
            let now = try now(&clock, 7)
            #expect(now > last)
            last = now
        }
        #expect(last.microseconds == 8)
    }

    @Test func `nothing above the bound on disk is given`() {
        var clock = clock(bound: 10)
        let refused = clock.now(physical: 11)
        #expect(refused == nil)
        clock.raiseBound(to: Timestamp(microseconds: 12))
        let given = clock.now(physical: 11)
        #expect(given == Timestamp(microseconds: 11))
    }

    @Test func `a timestamp too far ahead is refused and changes nothing`() throws {
        var clock = clock()
        let error = #expect(throws: ClockError.self) {
            try clock.update(with: Timestamp(microseconds: 601), physical: 500)
        }
        #expect(error == ClockError(aheadBy: 101, tolerance: 100))
        #expect(clock.last == .zero)
        try clock.update(with: Timestamp(microseconds: 600), physical: 500)
        let next = clock.now(physical: 500)
        #expect(next == Timestamp(microseconds: 600, logical: 1))
    }

    @Test func `a restarted clock continues above what it may have given`() throws {
        var clock = HybridClock(startingAbove: Timestamp(microseconds: 900))
        clock.raiseBound(to: Timestamp(microseconds: 2_000))
        let now = try now(&clock, 100)
        #expect(now > Timestamp(microseconds: 900))
    }
}

@Suite struct PhysicalClockTests {
    private func expect(
        _ clock: inout PhysicalClock, _ monotonic: UInt64, _ wall: UInt64, _ expected: UInt64
    ) {
        let reading = clock.read(monotonic: monotonic, wall: wall)
        #expect(reading == expected)
    }

    @Test func `a jump of the wall clock is followed at a thousandth of the pace`() {
        var clock = PhysicalClock(monotonic: 0, wall: 1_000_000)
        expect(&clock, 1_000_000, 2_000_000, 2_000_000)
        // The wall clock leaps ahead by ten seconds, then falls back.
        expect(&clock, 2_000_000, 13_000_000, 3_001_000)
        expect(&clock, 3_000_000, 4_000_000, 4_000_000)
        expect(&clock, 4_000_000, 1, 4_999_000)
    }

    @Test func `time does not pass while the monotonic clock stands still`() {
        var clock = PhysicalClock(monotonic: 5, wall: 50)
        expect(&clock, 5, 5_000, 50)
        expect(&clock, 4, 5_000, 50)
    }
}
