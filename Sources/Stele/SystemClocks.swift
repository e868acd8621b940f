import SteleClock

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// The machine's clocks, read only here.
struct SystemClocks {
    private var physicalClock: PhysicalClock

    init() {
        physicalClock = PhysicalClock(monotonic: Self.monotonic(), wall: Self.wall())
    }

    /// Microseconds of the monotonic clock, and physical time in microseconds since 1970.
    mutating func read() -> (monotonic: UInt64, physical: UInt64) {
        let monotonic = Self.monotonic()
        return (monotonic, physicalClock.read(monotonic: monotonic, wall: Self.wall()))
    }

    /// Microseconds of a clock that never jumps and counts suspension too.
    static func monotonic() -> UInt64 {
        #if canImport(Glibc)
            read(CLOCK_BOOTTIME)
        #else
            read(CLOCK_MONOTONIC_RAW)
        #endif
    }

    /// Microseconds since 1970.
    static func wall() -> UInt64 { read(CLOCK_REALTIME) }

    private static func read(_ clock: clockid_t) -> UInt64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return UInt64(time.tv_sec) * 1_000_000 + UInt64(time.tv_nsec) / 1_000
    }
}
