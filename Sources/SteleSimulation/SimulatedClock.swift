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
    /// Of the wall clock, while it is as right as clocks are, and now.
    private let properOffset: Int64
    private var offset: Int64
    private var wallDrift: Int64
    /// Whether the wall clock is, or is on its way to be, beyond all limits.
    private(set) var isWrong = false
    /// How much faster than true time the wall clock runs away since `awaySince`, per million.
    private var runaway: Int64 = 0
    private var awaySince: UInt64 = 0
    /// Since when the wall clock stands still.
    private var frozenSince: UInt64?
    /// How many times too slow the monotonic clock runs; 1 is right.
    private var slowness: UInt64 = 1

    /// - Parameter limits: the greatest drift in parts per million and the greatest offset.
    init(limits: ClockLimits, startingAt now: UInt64, _ random: inout SeededRandom) {
        base = random.uniform(1_000_000...50_000_000)
        since = now
        drift = Self.signed(limits.driftPerMillion, &random)
        properOffset = Self.signed(limits.offset, &random)
        offset = properOffset
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

    func wall(at now: UInt64) -> UInt64 { UInt64(Int64(Self.epoch + now) + error(at: now)) }

    /// How far ahead of true time the wall clock is.
    func error(at now: UInt64) -> Int64 {
        let running = frozenSince ?? now
        return offset + Int64(running) * wallDrift / 1_000_000
            + Int64(running - awaySince) * runaway / 1_000_000 - Int64(now - running)
    }

    /// Sets the wall clock to what is wrong beyond every limit.
    mutating func setWrong(by error: Int64) {
        offset += error
        isWrong = true
    }

    /// From now on the wall clock runs away from true time; 0 stops it where it is.
    mutating func runAway(perMillion: Int64, at now: UInt64) {
        thaw(at: now)
        offset += Int64(now - awaySince) * runaway / 1_000_000
        awaySince = now
        runaway = perMillion
        if perMillion != 0 { isWrong = true }
    }

    /// From now on the wall clock stands still.
    mutating func freeze(at now: UInt64) {
        runAway(perMillion: 0, at: now)
        frozenSince = now
        isWrong = true
    }

    var isFrozen: Bool { frozenSince != nil }

    /// The wall clock goes on from where it stood.
    private mutating func thaw(at now: UInt64) {
        guard let since = frozenSince else { return }
        offset -= Int64(now - since)
        frozenSince = nil
    }

    /// The wall clock is set right, as NTP does it, and stays so.
    mutating func setRight(at now: UInt64) {
        runAway(perMillion: 0, at: now)
        offset = properOffset
        isWrong = false
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
