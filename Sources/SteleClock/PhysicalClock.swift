import SteleBase

/// What a node's peers say of its clock; decides how that follows the wall clock.
package enum ClockStanding: UInt8, Hashable, Sendable {
    /// Too few peers have shown their clocks.
    case unheard
    /// A majority has shown its clocks and does not agree with this one.
    case doubted
    /// A majority agrees.
    case confirmed
    /// There is nobody to ask.
    case alone
}

/// Turns readings of the monotonic clock and the wall clock into physical time.
///
/// Runs at the pace of the monotonic clock (`CLOCK_BOOTTIME`, which also counts suspension).
/// - *Confirmed*, it moves towards the wall clock by at most 1,000 parts per million: a wall clock
///   that jumps is doubted, and neither stops nor leaps it.
/// - *Not confirmed*, it takes the wall clock's time in one step. A step back behind what the node
///   promised (the timestamps that it gave, took in or lent) is made only once peers contradict the
///   clock, and ``wait`` tells then how long the node must not promise anything more, as after a
///   restart.
/// - *Alone*, it is the wall clock, but never behind what was promised, where it stands still; so
///   there is nothing to wait for.
///
/// Peers that were shown this clock take it that it runs on at its pace. So a step waits until they
/// have forgotten all that they were shown, and meanwhile the clock is shown to nobody.
///
/// Invariants:
/// - Between two steps it runs within 1,000 parts per million of the monotonic clock, unless alone.
/// - It does not step within ``reliance`` microseconds of a reading that ``show(at:)`` gave.
package struct PhysicalClock: Sendable {
    /// Microseconds since 1970.
    package private(set) var reading: UInt64
    private var monotonic: UInt64
    /// Elapsed millionths of a microsecond that did not yet add up to an allowance of a whole one.
    private var remainder: UInt64 = 0
    /// What a step back left behind, or an earlier run of the node.
    private var floor: UInt64
    /// How long a peer may rely on a reading, counted from when it was shown.
    private let reliance: UInt64
    private var reliedUpon: UInt64 = 0
    private let slewPerMillion: UInt64
    /// The clock is to be set, and shows nothing until it is.
    package private(set) var isStepDue = false
    /// The wall clock is behind what a node by itself promised: its time stands still.
    package private(set) var isHeld = false

    /// What is off by less is slewed: a step costs more than it brings.
    package static let smallestStep: UInt64 = 10_000
    /// Wall clocks that show a later time than any timestamp may have are not followed.
    private static let latest = Timestamp.latest.microseconds

    /// All in microseconds; `wall` and `promised` since 1970.
    ///
    /// - Parameter promised: what an earlier run of the node may have given.
    package init(
        monotonic: UInt64, wall: UInt64, standing: ClockStanding = .unheard, promised: UInt64 = 0,
        reliance: UInt64 = 0, slewPerMillion: UInt64 = 1_000
    ) {
        let isAlone = standing == .alone
        reading = isAlone ? max(min(wall, Self.latest), promised) : min(wall, Self.latest)
        isHeld = isAlone && wall < promised
        floor = isAlone ? 0 : promised
        self.monotonic = monotonic
        self.reliance = reliance
        self.slewPerMillion = slewPerMillion
    }

    /// Microseconds until the clock has passed what the node promised before it was set back.
    package var wait: UInt64 { floor - min(floor, reading) }

    /// Takes in what the two clocks show now; ``reading`` is physical time afterwards.
    ///
    /// - Parameters:
    ///   - standing: what is known of the clock before this reading.
    ///   - promised: the latest time that the node gave, took in or lent.
    /// - Returns: by how much the clock was set, 0 mostly: what it showed before this, plus what has
    ///   passed, plus the result is what it shows now, but for the slewing.
    package mutating func read(
        monotonic: UInt64, wall: UInt64, standing: ClockStanding, promised: UInt64
    ) -> Int64 {
        guard monotonic > self.monotonic else { return 0 }
        let elapsed = monotonic - self.monotonic
        self.monotonic = monotonic
        let target = reading + elapsed
        guard wall <= Self.latest else {
            reading = target
            return 0
        }
        switch standing {
        case .alone:
            isHeld = wall < promised
            reading = max(wall, min(target, promised))
            return Self.difference(reading, target)
        case .confirmed: isStepDue = false
        case .unheard, .doubted:
            if Self.difference(wall, target).magnitude < Self.smallestStep {
                isStepDue = false
            } else if wall > min(target, promised) || standing == .doubted {
                // Once doubted is enough: peers cannot contradict what they are not shown.
                isStepDue = true
            }
            if isStepDue, monotonic > reliedUpon {
                isStepDue = false
                if wall < target { floor = max(floor, promised) }
                reading = wall
                return Self.difference(wall, target)
            }
        }
        slew(from: target, to: wall, in: elapsed)
        return 0
    }

    private mutating func slew(from target: UInt64, to wall: UInt64, in elapsed: UInt64) {
        let earned = remainder + elapsed * slewPerMillion
        let allowance = earned / 1_000_000
        remainder = earned % 1_000_000
        if wall > target {
            reading = target + min(allowance, wall - target)
        } else {
            reading = target - min(allowance, target - wall)
        }
    }

    /// What the clock shows a peer at a monotonic time, not before the one that was read last; nil
    /// while it is about to be set.
    package mutating func show(at monotonic: UInt64) -> UInt64? {
        guard !isStepDue else { return nil }
        reliedUpon = max(reliedUpon, monotonic + reliance)
        return reading + (monotonic - min(monotonic, self.monotonic))
    }

    private static func difference(_ one: UInt64, _ other: UInt64) -> Int64 {
        Int64(one) - Int64(other)
    }
}
