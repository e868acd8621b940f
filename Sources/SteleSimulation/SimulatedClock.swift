import SteleBase

/// A node's two clocks, as functions of true time. Microseconds throughout.
///
/// Both drift, independently; the wall clock is off by an offset besides. True time itself is known
/// to nobody but the simulator.
struct SimulatedClock {
    /// 2025-01-01, where true time begins on a correct wall clock.
    static let epoch: UInt64 = 1_735_689_600_000_000

    private var base: UInt64
    private var since: UInt64
    private var drift: Int64
    private var offset: Int64
    private var wallDrift: Int64
    /// Whether the wall clock is, or is on its way to be, beyond all limits.
    private(set) var isWrong = false
    /// How much faster than true time the wall clock runs away since `awaySince`, per million.
    private var runaway: Int64 = 0
    private var awaySince: UInt64 = 0
    /// How many times too slow the monotonic clock runs; 1 is right.
    private var slowness: UInt64 = 1

    /// - Parameter limits: the greatest drift in parts per million and the greatest offset.
    init(limits: ClockLimits, startingAt now: UInt64, _ random: inout SeededRandom) {
        base = random.uniform(1_000_000...50_000_000)
        since = now
        drift = Self.signed(limits.driftPerMillion, &random)
        offset = Self.signed(limits.offset, &random)
        wallDrift = Self.signed(limits.driftPerMillion / 10, &random)
    }

    /// From now on the monotonic clock runs `slowness` times too slow; see ``HostDefect``.
    mutating func slowDown(_ slowness: UInt64, at now: UInt64) {
        base = monotonic(at: now)
        since = now
        self.slowness = slowness
    }

    func monotonic(at now: UInt64) -> UInt64 {
        let elapsed = Int64(now - since) / Int64(slowness)
        return base + UInt64(elapsed + elapsed * drift / 1_000_000)
    }

    func physical(at now: UInt64) -> UInt64 {
        UInt64(Int64(Self.epoch + now) + error(at: now))
    }

    /// How far ahead of true time the wall clock is.
    func error(at now: UInt64) -> Int64 {
        offset + Int64(now) * wallDrift / 1_000_000
            + Int64(now - awaySince) * runaway / 1_000_000
    }

    /// Sets the wall clock to what is wrong beyond every limit.
    mutating func setWrong(by error: Int64) {
        offset += error
        isWrong = true
    }

    /// From now on the wall clock runs away from true time; 0 stops it where it is.
    mutating func runAway(perMillion: Int64, at now: UInt64) {
        offset += Int64(now - awaySince) * runaway / 1_000_000
        awaySince = now
        runaway = perMillion
        if perMillion != 0 { isWrong = true }
    }

    /// True time at which the monotonic clock shows at least `reading`.
    func trueTime(ofMonotonic reading: UInt64) -> UInt64 {
        guard reading > base else { return since }
        let ahead = Double(reading - base) * Double(slowness) / (1 + Double(drift) / 1_000_000)
        return ahead > 1e15 ? .max : since + UInt64(ahead) + slowness + 1
    }

    private static func signed(_ limit: UInt64, _ random: inout SeededRandom) -> Int64 {
        Int64(random.uniform(0...2 * limit)) - Int64(limit)
    }
}

/// How wrong clocks may be.
public struct ClockLimits: Hashable, Sendable {
    /// Of the monotonic clock, in parts per million.
    public var driftPerMillion: UInt64
    /// Of the wall clock, in microseconds, to either side.
    public var offset: UInt64

    public init(driftPerMillion: UInt64, offset: UInt64) {
        self.driftPerMillion = driftPerMillion
        self.offset = offset
    }
}
