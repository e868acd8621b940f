import SteleBase
import SteleClock
import Testing

/// How physical time follows a wall clock that peers confirm, doubt, or say nothing of.
@Suite struct PhysicalClockTests {
    private func read(
        _ clock: inout PhysicalClock, _ monotonic: UInt64, _ wall: UInt64,
        _ standing: ClockStanding = .confirmed, promised: UInt64 = 0
    ) -> UInt64 {
        _ = clock.read(
            monotonic: monotonic, wall: wall, standing: standing, promised: promised)
        return clock.reading
    }

    // MARK: Confirmed

    @Test func `a jump of the wall clock is followed at a thousandth of the pace`() {
        var clock = PhysicalClock(monotonic: 0, wall: 1_000_000)
        #expect(read(&clock, 1_000_000, 2_000_000) == 2_000_000)
        // The wall clock leaps ahead by ten seconds, then falls back.
        #expect(read(&clock, 2_000_000, 13_000_000) == 3_001_000)
        #expect(read(&clock, 3_000_000, 4_000_000) == 4_000_000)
        #expect(read(&clock, 4_000_000, 1) == 4_999_000)
    }

    @Test func `time does not pass while the monotonic clock stands still`() {
        var clock = PhysicalClock(monotonic: 5, wall: 50)
        #expect(read(&clock, 5, 5_000) == 50)
        #expect(read(&clock, 4, 5_000, .doubted) == 50)
    }

    @Test func `the wall clock is followed also when read more often than every millisecond`() {
        var clock = PhysicalClock(monotonic: 0, wall: 0)
        var last: UInt64 = 0
        for monotonic in stride(from: 50, through: 1_000_000, by: 50) as StrideThrough<UInt64> {
            last = read(&clock, monotonic, monotonic + 5_000)
        }
        #expect(last == 1_001_000)
    }

    @Test func `confirmed time never goes back, nor faster or slower than a thousandth`() {
        var random = SeededRandom(seed: 2)
        var clock = PhysicalClock(monotonic: 0, wall: 1_000_000)
        var monotonic: UInt64 = 0
        var wall: UInt64 = 1_000_000
        var readings: [(monotonic: UInt64, physical: UInt64)] = [(0, 1_000_000)]
        for _ in 0..<2_000 {
            let step = random.below(random.oneIn(2) ? 300 : 50_000)
            monotonic += step
            wall += step
            if random.oneIn(50) { wall = random.below(10_000_000) }
            readings.append((monotonic, read(&clock, monotonic, wall)))
        }
        for (earlier, later) in zip(readings, readings.dropFirst(7)) {
            let elapsed = later.monotonic - earlier.monotonic
            let passed = later.physical - earlier.physical
            #expect(passed <= elapsed + elapsed / 1_000 + 1)
            #expect(passed + elapsed / 1_000 + 1 >= elapsed)
        }
    }

    // MARK: Not confirmed

    @Test(arguments: [ClockStanding.unheard, .doubted], [7_000_000, 13_000_000] as [UInt64])
    func `who has promised nothing takes the corrected time at once`(
        standing: ClockStanding, wall: UInt64
    ) {
        var clock = PhysicalClock(monotonic: 0, wall: 10_000_000)
        let step = clock.read(
            monotonic: 1_000, wall: wall, standing: standing, promised: 6_000_000)
        #expect(clock.reading == wall && step == Int64(wall) - 10_001_000)
        #expect(clock.wait == 0)
    }

    @Test func `a step back behind what was promised is made when peers contradict, and waited out`()
    {
        var clock = PhysicalClock(monotonic: 0, wall: 10_000_000)
        let promised: UInt64 = 10_600_000
        #expect(read(&clock, 1_000, 7_000_000, .unheard, promised: promised) == 10_000_999)
        #expect(clock.wait == 0)
        #expect(read(&clock, 2_000, 7_000_000, .doubted, promised: promised) == 7_000_000)
        #expect(clock.wait == 3_600_000)
        #expect(read(&clock, 1_002_000, 8_000_000, .confirmed, promised: promised) == 8_000_000)
        #expect(clock.wait == 2_600_000)
        // A step forward shortens it.
        #expect(read(&clock, 1_003_000, 12_000_000, .unheard, promised: promised) == 12_000_000)
        #expect(clock.wait == 0)
    }

    @Test func `what an earlier run promised is waited out`() {
        var clock = PhysicalClock(monotonic: 0, wall: 5_000_000, promised: 6_000_000)
        #expect(clock.wait == 1_000_000)
        #expect(read(&clock, 1_000, 5_900_000, .unheard, promised: 6_000_000) == 5_900_000)
        #expect(clock.wait == 100_000)
    }

    @Test func `a clock that was shown is set once nobody relies on that, and not shown till then`()
    {
        var clock = PhysicalClock(monotonic: 0, wall: 10_000_000, reliance: 500_000)
        #expect(clock.show(at: 300_000) == 10_300_000)
        #expect(read(&clock, 400_000, 20_000_000, .doubted) == 10_400_400)
        #expect(clock.isStepDue && clock.show(at: 400_000) == nil)
        // Peers that are shown nothing cannot doubt it either.
        #expect(read(&clock, 800_000, 20_400_000, .unheard) == 10_800_800)
        #expect(clock.show(at: 800_000) == nil)
        #expect(read(&clock, 800_001, 20_400_001, .unheard) == 20_400_001)
        #expect(clock.show(at: 900_000) == 20_500_000)
    }

    @Test func `a step back is made although those who contradicted fall silent too`() {
        var clock = PhysicalClock(monotonic: 0, wall: 10_000_000, reliance: 500_000)
        _ = clock.show(at: 0)
        _ = read(&clock, 100_000, 7_000_000, .doubted, promised: 10_600_000)
        _ = read(&clock, 400_000, 7_300_000, .unheard, promised: 10_600_000)
        #expect(clock.show(at: 400_000) == nil)
        #expect(read(&clock, 600_000, 7_500_000, .unheard, promised: 10_600_000) == 7_500_000)
    }

    @Test func `a clock that is confirmed meanwhile, or right again, is not set`() {
        for isConfirmed in [true, false] {
            var clock = PhysicalClock(monotonic: 0, wall: 10_000_000, reliance: 500_000)
            _ = clock.show(at: 0)
            _ = read(&clock, 100_000, 20_000_000, .doubted)
            #expect(clock.show(at: 100_000) == nil)
            _ = read(
                &clock, 200_000, isConfirmed ? 20_000_000 : 10_200_000,
                isConfirmed ? .confirmed : .unheard)
            #expect(clock.show(at: 200_000) != nil)
            #expect(read(&clock, 700_000, 10_700_000, .unheard) < 10_701_000)
        }
    }

    @Test func `small differences are slewed, and times that no timestamp has are not followed`() {
        var clock = PhysicalClock(monotonic: 0, wall: 10_000_000)
        #expect(read(&clock, 100_000, 10_109_999, .doubted) == 10_100_100)
        #expect(read(&clock, 200_000, .max, .doubted) == 10_200_100)
        #expect(read(&clock, 300_000, 1 << 52, .alone) == 10_300_100)
    }

    // MARK: Alone

    @Test func `a node by itself follows the wall clock, but never behind what it promised`() {
        var clock = PhysicalClock(
            monotonic: 0, wall: 5_000_000, standing: .alone, promised: 9_000_000)
        #expect(clock.reading == 9_000_000 && clock.wait == 0 && clock.isHeld)
        #expect(read(&clock, 1_000_000, 6_000_000, .alone, promised: 9_000_000) == 9_000_000)
        #expect(read(&clock, 2_000_000, 6_000_000, .alone, promised: 9_000_010) == 9_000_010)
        #expect(clock.isHeld)
        #expect(read(&clock, 3_000_000, 20_000_000, .alone, promised: 9_000_010) == 20_000_000)
        #expect(!clock.isHeld)
        #expect(read(&clock, 4_000_000, 12_000_000, .alone, promised: 9_000_010) == 12_000_000)
    }

    // MARK: All together

    /// Whatever happens, what a peer was shown holds for as long as it may rely on it, and the
    /// steps that are told are those that were made.
    @Test func `readings that were shown hold for as long as they count`() {
        var random = SeededRandom(seed: 7)
        let reliance: UInt64 = 400_000
        var clock = PhysicalClock(monotonic: 0, wall: 50_000_000, reliance: reliance)
        var monotonic: UInt64 = 0
        var error: Int64 = 0
        var shown: (monotonic: UInt64, physical: UInt64)?
        var steps = 0
        for _ in 0..<20_000 {
            let before = (monotonic: monotonic, physical: clock.reading)
            monotonic += 1 + random.below(60_000)
            if random.oneIn(30) { error = Int64(random.below(20_000_000)) - 10_000_000 }
            let standing = [ClockStanding.unheard, .doubted, .confirmed][Int(random.below(3))]
            let promised = random.oneIn(2) ? clock.reading + 600_000 : 0
            let step = clock.read(
                monotonic: monotonic, wall: UInt64(Int64(50_000_000 + monotonic) + error),
                standing: standing, promised: promised)
            let elapsed = Int64(monotonic - before.monotonic)
            let slewed = Int64(clock.reading) - Int64(before.physical) - elapsed - step
            #expect(abs(slewed) <= elapsed / 1_000 + 1)
            if step != 0 {
                steps += 1
                #expect(standing != .confirmed)
                if step < 0, promised > clock.reading {
                    #expect(clock.wait >= promised - clock.reading)
                }
            }
            if let shown, monotonic <= shown.monotonic + reliance {
                let passed = Int64(monotonic - shown.monotonic)
                let drift = Int64(clock.reading) - Int64(shown.physical) - passed
                #expect(abs(drift) <= passed / 1_000 + 1)
            }
            if random.oneIn(4), let physical = clock.show(at: monotonic) {
                shown = (monotonic, physical)
            }
        }
        #expect(steps > 100)
    }
}
