import SteleAPI

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// The machine's clocks, read only here.
enum SystemClocks {
    /// Microseconds of a clock that never jumps and counts suspension too.
    static func monotonic() -> UInt64 {
        #if canImport(Glibc)
            read(CLOCK_BOOTTIME)
        #else
            read(CLOCK_MONOTONIC_RAW)
        #endif
    }

    /// Nanoseconds, to find out what takes how long.
    static func stopwatch() -> Int {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return time.tv_sec * 1_000_000_000 + time.tv_nsec
    }

    /// Microseconds since 1970; what is before counts as 1970, and there is no end.
    static func wall() -> UInt64 { read(CLOCK_REALTIME) }

    /// Refuses a wall clock for which there are no timestamps: their 52 bits of microseconds end in
    /// the year 2112. A node must not begin its history there; one that runs does not follow a
    /// clock that is set so late.
    static func check(wallSeconds: Int) throws(SteleError) {
        guard (0..<latestSeconds).contains(wallSeconds) else {
            throw SteleError(
                .configuration,
                "this machine's clock shows a time \(wallSeconds < 0 ? "before 1970" : "after 2112")"
                    + ", \(wallSeconds) s since 1970; set it, then start the node again")
        }
    }

    /// Refuses the wall clock as it is now; see ``check(wallSeconds:)``.
    static func checkWall() throws(SteleError) {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        try check(wallSeconds: time.tv_sec)
    }

    /// In the year 2112, with some months left.
    private static let latestSeconds = (1 << 52) / 1_000_000 - 20_000_000

    private static func read(_ clock: clockid_t) -> UInt64 {
        var time = timespec()
        clock_gettime(clock, &time)
        let seconds = UInt64(min(max(time.tv_sec, 0), 1 << 43))
        return seconds * 1_000_000 + UInt64(time.tv_nsec) / 1_000
    }
}
