/// A zone by POSIX rules, `CET-1CEST,M3.5.0,M10.5.0/3`: how files of zones go on beyond their
/// tables, and a form in which users can write zones.
struct PosixZone: Hashable, Sendable {
    /// The day of a change in each year, and the local time on it.
    private struct Day: Hashable {
        enum Rule: Hashable {
            /// The week 1...5 of a month (5 is the last) and the day of the week from Sunday.
            case weekday(month: Int, week: Int, day: Int)
            /// 1...365, without leap days.
            case julian(Int)
            /// 0...365.
            case ordinal(Int)
        }

        var rule: Rule
        var seconds: Int64 = 2 * 3600
    }

    private struct Daylight: Hashable {
        var offset: Int32
        var start: Day
        var end: Day
    }

    /// Seconds east of Greenwich.
    let offset: Int32
    private let daylight: Daylight?

    /// Whether the offset never changes.
    var isFixed: Bool { daylight == nil }

    // MARK: Offsets

    /// The offset at a second since 1970.
    func offset(at time: Int64) -> Int32 {
        guard let daylight else { return offset }
        var latest = Int64.min
        var isDaylight = false
        let year = year(time)
        for year in (year - 1)...(year + 1) {
            let start = moment(daylight.start, year, offset)
            let end = moment(daylight.end, year, daylight.offset)
            if end <= time, end > latest { (latest, isDaylight) = (end, false) }
            if start <= time, start >= latest { (latest, isDaylight) = (start, true) }
        }
        return isDaylight ? daylight.offset : offset
    }

    /// The first change after a second since 1970.
    func nextChange(after time: Int64) -> Int64? {
        guard let daylight else { return nil }
        var next = Int64.max
        let year = year(time)
        for year in (year - 1)...(year + 2) {
            let start = moment(daylight.start, year, offset)
            let end = moment(daylight.end, year, daylight.offset)
            if start > time { next = min(next, start) }
            if end > time { next = min(next, end) }
        }
        return next
    }

    /// Days from 1970 to 2000, where the calendar counts from.
    private static let epochDays = 10_957

    private func year(_ time: Int64) -> Int {
        let days = CivilCalendar.floorDivide(time + Int64(offset), 86_400)
        return CivilCalendar.day(Int(days) - Self.epochDays).year
    }

    private func moment(_ day: Day, _ year: Int, _ offset: Int32) -> Int64 {
        let days: Int
        switch day.rule {
        case .julian(let number):
            let isLeap = CivilCalendar.length(ofMonth: 2, year: year) == 29
            days = Self.newYear(year) + number - 1 + (isLeap && number >= 60 ? 1 : 0)
        case .ordinal(let number): days = Self.newYear(year) + number
        case .weekday(let month, let week, let weekday):
            let first = CivilCalendar.days(.init(year: year, month: month, day: 1))
            // 2000-01-01 was a Saturday.
            let shift = weekday - ((first + 6) % 7 + 7) % 7
            var day = (shift + 7) % 7 + 7 * (week - 1)
            if day >= CivilCalendar.length(ofMonth: month, year: year) { day -= 7 }
            days = first + day
        }
        return Int64(days + Self.epochDays) * 86_400 + day.seconds - Int64(offset)
    }

    private static func newYear(_ year: Int) -> Int {
        CivilCalendar.days(.init(year: year, month: 1, day: 1))
    }

    // MARK: Reading

    /// nil if the text has not this form. Without rules daylight saving is that of the USA.
    init?(_ text: some Collection<UInt8>) {
        var rest = Array(text)[...]
        guard Self.takeName(&rest), let west = Self.takeTime(&rest, isSigned: true) else {
            return nil
        }
        offset = Int32(-west)
        guard !rest.isEmpty else {
            daylight = nil
            return
        }
        guard Self.takeName(&rest) else { return nil }
        var daylightOffset = offset + 3600
        if let first = rest.first, first != UInt8(ascii: ",") {
            guard let west = Self.takeTime(&rest, isSigned: true) else { return nil }
            daylightOffset = Int32(-west)
        }
        if rest.isEmpty { rest = Array(",M3.2.0,M11.1.0".utf8)[...] }
        guard let start = Self.takeDay(&rest), let end = Self.takeDay(&rest), rest.isEmpty else {
            return nil
        }
        daylight = Daylight(offset: daylightOffset, start: start, end: end)
    }

    /// At least three letters, or anything between angle brackets; or nothing, before a number.
    private static func takeName(_ rest: inout ArraySlice<UInt8>) -> Bool {
        guard let first = rest.first else { return false }
        if first == UInt8(ascii: "<") {
            guard let end = rest.firstIndex(of: UInt8(ascii: ">")) else { return false }
            rest = rest[(end + 1)...]
            return true
        }
        if first == UInt8(ascii: "+") || first == UInt8(ascii: "-") || isDigit(first) {
            return true
        }
        let name = rest.prefix { isLetter($0) }
        rest = rest[name.endIndex...]
        return name.count >= 3
    }

    /// `h[h[h]][:mm[:ss]]` in seconds.
    private static func takeTime(
        _ rest: inout ArraySlice<UInt8>, isSigned: Bool
    ) -> Int64? {
        var sign: Int64 = 1
        if isSigned, let first = rest.first,
            first == UInt8(ascii: "-") || first == UInt8(ascii: "+")
        {
            sign = first == UInt8(ascii: "-") ? -1 : 1
            rest.removeFirst()
        }
        guard let hours = takeNumber(&rest, 0...167) else { return nil }
        var seconds = Int64(hours) * 3600
        for unit: Int64 in [60, 1] {
            guard rest.first == UInt8(ascii: ":") else { break }
            rest.removeFirst()
            guard let number = takeNumber(&rest, 0...59) else { return nil }
            seconds += Int64(number) * unit
        }
        return sign * seconds
    }

    private static func takeNumber(
        _ rest: inout ArraySlice<UInt8>, _ range: ClosedRange<Int>
    ) -> Int? {
        let digits = rest.prefix { isDigit($0) }
        rest = rest[digits.endIndex...]
        guard (1...3).contains(digits.count) else { return nil }
        let number = digits.reduce(0) { $0 * 10 + Int($1 &- UInt8(ascii: "0")) }
        return range.contains(number) ? number : nil
    }

    private static func takeDay(_ rest: inout ArraySlice<UInt8>) -> Day? {
        guard rest.popFirst() == UInt8(ascii: ",") else { return nil }
        var day: Day
        switch rest.first {
        case UInt8(ascii: "M"):
            rest.removeFirst()
            guard let month = takeNumber(&rest, 1...12), rest.popFirst() == UInt8(ascii: "."),
                let week = takeNumber(&rest, 1...5), rest.popFirst() == UInt8(ascii: "."),
                let weekday = takeNumber(&rest, 0...6)
            else { return nil }
            day = Day(rule: .weekday(month: month, week: week, day: weekday))
        case UInt8(ascii: "J"):
            rest.removeFirst()
            guard let number = takeNumber(&rest, 1...365) else { return nil }
            day = Day(rule: .julian(number))
        default:
            guard let number = takeNumber(&rest, 0...365) else { return nil }
            day = Day(rule: .ordinal(number))
        }
        if rest.first == UInt8(ascii: "/") {
            rest.removeFirst()
            guard let seconds = takeTime(&rest, isSigned: true) else { return nil }
            day.seconds = seconds
        }
        return day
    }
}
