import SteleBase
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

    @Test func `a leap of physical time ahead is followed, and the way back is waited out`() throws {
        var clock = clock(bound: 10_000_000)
        #expect(try now(&clock, 1_000) == Timestamp(microseconds: 1_000))
        #expect(try now(&clock, 5_000_000) == Timestamp(microseconds: 5_000_000))
        #expect(try now(&clock, 1_000) == Timestamp(microseconds: 5_000_000, logical: 1))
        #expect(try now(&clock, 4_999_999) == Timestamp(microseconds: 5_000_000, logical: 2))
        #expect(try now(&clock, 5_000_001) == Timestamp(microseconds: 5_000_001))
    }

    @Test func `a frozen clock gives timestamps until its bound and then none`() throws {
        var clock = clock(bound: 8)
        var given = 0
        while clock.now(physical: 7) != nil { given += 1 }
        // All of microsecond 7, and the first of 8, which is the bound.
        #expect(given == 4_097)
        #expect(clock.last == Timestamp(microseconds: 8))
        clock.raiseBound(to: Timestamp(microseconds: 9))
        #expect(try now(&clock, 7) == Timestamp(microseconds: 8, logical: 1))
    }

    @Test func `a bound never falls, and taking in older timestamps changes nothing`() throws {
        var clock = clock(bound: 100)
        clock.raiseBound(to: Timestamp(microseconds: 50))
        #expect(clock.bound == Timestamp(microseconds: 100))
        let last = try now(&clock, 60)
        try clock.update(with: Timestamp(microseconds: 10), physical: 60)
        clock.advance(to: Timestamp(microseconds: 20))
        #expect(clock.last == last)
    }

    @Test func `timestamps at the edge of the tolerance, and at the end of time`() {
        var clock = clock()
        #expect(throws: Never.self) {
            try clock.update(with: Timestamp(microseconds: 600, logical: 4_095), physical: 500)
        }
        #expect(throws: ClockError.self) { try clock.update(with: .max, physical: 500) }
        #expect(clock.last == Timestamp(microseconds: 600, logical: 4_095))
        #expect(clock.peek(physical: 500) == Timestamp(microseconds: 601))
    }

    @Test func `a taken in timestamp above the bound holds the clock until the bound is raised`() {
        var clock = clock(bound: 550)
        #expect(throws: Never.self) {
            try clock.update(with: Timestamp(microseconds: 590), physical: 500)
        }
        #expect(clock.now(physical: 500) == nil)
        clock.raiseBound(to: Timestamp(microseconds: 700))
        #expect(clock.now(physical: 500) == Timestamp(microseconds: 590, logical: 1))
    }

    @Test func `no run of a node gives what an earlier run may have given`() throws {
        var random = SeededRandom(seed: 5)
        var persisted = Timestamp.zero
        var highest = Timestamp.zero
        for _ in 0..<200 {
            var clock = HybridClock(startingAbove: persisted)
            // Each run's clock may stand anywhere, also far behind the one before.
            var physical = 1_000_000 + random.below(50_000)
            for _ in 0..<20 {
                if random.oneIn(4) {
                    persisted = max(persisted, Timestamp(microseconds: physical + 300))
                    clock.raiseBound(to: persisted)
                }
                physical += random.below(100)
                if let given = clock.now(physical: physical) {
                    #expect(given > highest && given <= persisted)
                    highest = given
                }
            }
        }
        #expect(highest > Timestamp(microseconds: 1_000_000))
    }
}
