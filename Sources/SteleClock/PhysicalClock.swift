/// Turns readings of the monotonic clock and the wall clock into physical time.
///
/// Runs at the pace of the monotonic clock (`CLOCK_BOOTTIME`, which also counts suspension) and
/// moves towards the wall clock by at most 1,000 parts per million, so a jump of the wall clock
/// neither stops nor leaps it.
package struct PhysicalClock: Sendable {
    private var reading: UInt64
    private var monotonic: UInt64
    /// Elapsed microseconds that did not yet add up to an allowance of a whole one.
    private var remainder: UInt64 = 0

    /// Both in microseconds; `wall` since 1970.
    package init(monotonic: UInt64, wall: UInt64) {
        self.reading = wall
        self.monotonic = monotonic
    }

    /// Physical time in microseconds since 1970; never less than before.
    package mutating func read(monotonic: UInt64, wall: UInt64) -> UInt64 {
        guard monotonic > self.monotonic else { return reading }
        let elapsed = monotonic - self.monotonic
        self.monotonic = monotonic
        let target = reading + elapsed
        let allowance = (remainder + elapsed) / 1_000
        remainder = (remainder + elapsed) % 1_000
        if wall > target {
            reading = target + min(allowance, wall - target)
        } else {
            reading = target - min(allowance, target - wall)
        }
        return reading
    }
}
