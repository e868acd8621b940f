/// Dates and timestamps in ISO form, as PostgreSQL prints them: `2024-01-02 03:04:05.678+00`.
enum DateTimeText {
    static func append(date: Int32, to out: inout [UInt8]) {
        if date == .max { return SteleSQL.append("infinity", to: &out) }
        if date == .min { return SteleSQL.append("-infinity", to: &out) }
        let day = CivilCalendar.day(Int(date))
        append(day, to: &out)
        if day.year <= 0 { SteleSQL.append(" BC", to: &out) }
    }

    /// Appends a moment as a clock in `zone` shows it; no zone for a timestamp without one.
    static func append(timestamp: Int64, zone: TimeZone?, to out: inout [UInt8]) {
        if timestamp == .max { return SteleSQL.append("infinity", to: &out) }
        if timestamp == .min { return SteleSQL.append("-infinity", to: &out) }
        let offset = zone?.offset(at: timestamp)
        let (days, time) = CivilCalendar.split(offset?.local(timestamp) ?? timestamp)
        let day = CivilCalendar.day(days)
        append(day, to: &out)
        out.append(UInt8(ascii: " "))
        append(time: time, to: &out)
        offset?.append(to: &out)
        if day.year <= 0 { SteleSQL.append(" BC", to: &out) }
    }

    private static func append(_ day: CivilCalendar.Day, to out: inout [UInt8]) {
        // There is no year 0: astronomical 0 is 1 BC.
        let year = day.year > 0 ? day.year : 1 - day.year
        appendDecimal(UInt64(year), width: 4, to: &out)
        out.append(UInt8(ascii: "-"))
        appendTwo(day.month, to: &out)
        out.append(UInt8(ascii: "-"))
        appendTwo(day.day, to: &out)
    }

    private static func append(time: Int64, to out: inout [UInt8]) {
        let seconds = Int(time / 1_000_000)
        appendTwo(seconds / 3600, to: &out)
        out.append(UInt8(ascii: ":"))
        appendTwo(seconds / 60 % 60, to: &out)
        out.append(UInt8(ascii: ":"))
        appendTwo(seconds % 60, to: &out)
        let fraction = UInt64(time % 1_000_000)
        guard fraction > 0 else { return }
        out.append(UInt8(ascii: "."))
        appendDecimal(fraction, width: 6, to: &out)
        while out.last == UInt8(ascii: "0") { out.removeLast() }
    }

    @inline(__always)
    private static func appendTwo(_ value: Int, to out: inout [UInt8]) {
        let zero = UInt8(ascii: "0")
        out.append(zero &+ UInt8(truncatingIfNeeded: value / 10))
        out.append(zero &+ UInt8(truncatingIfNeeded: value % 10))
    }
}
