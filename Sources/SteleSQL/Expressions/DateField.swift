/// The parts of a date or time that `date_trunc`, `extract` and `date_part` name.
enum DateField: Hashable, Sendable {
    case microseconds, milliseconds, second, minute, hour, day, week, month, quarter, year, decade
    case century, millennium
    // These are only extracted.
    case weekday, isoWeekday, dayOfYear, isoYear, epoch, zone, zoneHour, zoneMinute, julian

    /// The field with a name of PostgreSQL's, in any case.
    init?(_ name: String) {
        switch name.lowercased() {
        case "us", "usec", "usecs", "usecond", "useconds", "microsecon", "microsecond",
            "microseconds":
            self = .microseconds
        case "ms", "msec", "msecs", "msecond", "mseconds", "millisecon", "millisecond",
            "milliseconds":
            self = .milliseconds
        case "s", "sec", "secs", "second", "seconds": self = .second
        case "m", "min", "mins", "minute", "minutes": self = .minute
        case "h", "hr", "hrs", "hour", "hours": self = .hour
        case "d", "day", "days": self = .day
        case "w", "week", "weeks": self = .week
        case "mon", "mons", "month", "months": self = .month
        case "qtr", "quarter": self = .quarter
        case "y", "yr", "yrs", "year", "years": self = .year
        case "dec", "decs", "decade", "decades": self = .decade
        case "c", "cent", "century", "centuries": self = .century
        case "mil", "mils", "millennia", "millennium": self = .millennium
        case "dow": self = .weekday
        case "isodow": self = .isoWeekday
        case "doy": self = .dayOfYear
        case "isoyear": self = .isoYear
        case "epoch": self = .epoch
        case "j", "jd", "julian": self = .julian
        case "timezone": self = .zone
        case "timezone_h", "timezone_hour": self = .zoneHour
        case "timezone_m", "timezone_minute": self = .zoneMinute
        default: return nil
        }
    }

    /// Days, not hours, are what it is made of: its beginning may have another offset from UTC.
    private var isDateField: Bool {
        switch self {
        case .day, .week, .month, .quarter, .year, .decade, .century, .millennium: true
        default: false
        }
    }

    /// `date_trunc` does not know the name.
    var isOnlyExtracted: Bool {
        switch self {
        case .weekday, .isoWeekday, .dayOfYear, .isoYear, .epoch: true
        default: false
        }
    }

    static func notRecognized(_ name: String, _ type: SQLType) -> SQLError {
        SQLError("22023", "unit \"\(name)\" not recognized for type \(type.plainName)")
    }

    static func notSupported(_ name: String, _ type: SQLType) -> SQLError {
        SQLError("0A000", "unit \"\(name)\" not supported for type \(type.plainName)")
    }

    // MARK: date_trunc

    /// The beginning of the field in which a time lies; nil if the field cannot be cut off at.
    ///
    /// - Parameter zone: where the time is a moment; nil if it is local.
    func beginning(of time: Int64, in zone: TimeZone?) -> Int64? {
        let offset = zone?.offset(at: time)
        let local = offset?.local(time) ?? time
        guard let start = beginning(of: local) else { return nil }
        guard let zone, let offset else { return start }
        return isDateField ? zone.moment(start) : offset.moment(start)
    }

    private func beginning(of local: Int64) -> Int64? {
        func cut(_ length: Int64) -> Int64 {
            CivilCalendar.floorDivide(local, length) * length
        }
        switch self {
        case .microseconds: return local
        case .milliseconds: return cut(1_000)
        case .second: return cut(1_000_000)
        case .minute: return cut(60_000_000)
        case .hour: return cut(3_600_000_000)
        case .day: return cut(CivilCalendar.dayLength)
        default: break
        }
        let days = CivilCalendar.split(local).days
        var day = CivilCalendar.day(days)
        day.day = 1
        switch self {
        case .week: return Int64(days - Self.isoWeekday(days) + 1) * CivilCalendar.dayLength
        case .month: break
        case .quarter: day.month = (day.month - 1) / 3 * 3 + 1
        case .year: day.month = 1
        case .decade: (day.year, day.month) = (CivilCalendar.floorDivide(day.year, 10) * 10, 1)
        // The first century began with the year 1.
        case .century:
            (day.year, day.month) = (CivilCalendar.floorDivide(day.year - 1, 100) * 100 + 1, 1)
        case .millennium:
            (day.year, day.month) = (CivilCalendar.floorDivide(day.year - 1, 1000) * 1000 + 1, 1)
        default: return nil
        }
        return Int64(CivilCalendar.days(day)) * CivilCalendar.dayLength
    }

    // MARK: extract

    /// A field's value as a whole number and how many decimals of it are behind the point; nil if
    /// times of this kind have no such field.
    func value(of time: Int64, in zone: TimeZone?) -> (number: Int128, decimals: Int)? {
        let offset = zone?.offset(at: time)
        let (days, clock) = CivilCalendar.split(offset?.local(time) ?? time)
        switch self {
        case .microseconds: return (Int128(clock % 60_000_000), 0)
        case .milliseconds: return (Int128(clock % 60_000_000), 3)
        case .second: return (Int128(clock % 60_000_000), 6)
        case .minute: return (Int128(clock / 60_000_000 % 60), 0)
        case .hour: return (Int128(clock / 3_600_000_000), 0)
        // The last thirty years that there are exceed 64 bits.
        case .epoch: return (Int128(time) + 946_684_800_000_000, 6)
        case .zone, .zoneHour, .zoneMinute:
            guard let offset else { return nil }
            let seconds = Int128(offset.seconds)
            return (
                self == .zone
                    ? seconds : self == .zoneHour ? seconds / 3600 : seconds / 60 % 60, 0
            )
        default: return Self.value(self, days).map { (Int128($0), 0) }
        }
    }

    /// A field's value for a day since 2000; nil if days have no such field.
    static func value(_ field: DateField, _ days: Int) -> Int64? {
        let day = CivilCalendar.day(days)
        let year = day.year
        let value: Int
        switch field {
        case .day: value = day.day
        case .month: value = day.month
        case .quarter: value = (day.month - 1) / 3 + 1
        // There was no year 0: 1 BC is -1.
        case .year: value = year > 0 ? year : year - 1
        case .decade: value = CivilCalendar.floorDivide(year, 10)
        case .century: value = period(year, 100)
        case .millennium: value = period(year, 1000)
        case .weekday: value = isoWeekday(days) % 7
        case .isoWeekday: value = isoWeekday(days)
        case .dayOfYear:
            value = days - CivilCalendar.days(.init(year: year, month: 1, day: 1)) + 1
        case .week: value = isoWeek(days).week
        case .isoYear:
            let year = isoWeek(days).year
            value = year > 0 ? year : year - 1
        case .epoch: return Int64(days + 10_957) * 86_400
        case .julian: value = days + CivilCalendar.julianEpoch
        default: return nil
        }
        return Int64(value)
    }

    /// Counted from 1 to both sides.
    private static func period(_ year: Int, _ length: Int) -> Int {
        year > 0 ? (year - 1) / length + 1 : -((-year) / length + 1)
    }

    /// Monday is 1; 2000-01-01 was a Saturday.
    static func isoWeekday(_ days: Int) -> Int { ((days + 5) % 7 + 7) % 7 + 1 }

    /// A week belongs to the year of its Thursday.
    private static func isoWeek(_ days: Int) -> (year: Int, week: Int) {
        let thursday = days - isoWeekday(days) + 4
        let year = CivilCalendar.day(thursday).year
        let newYear = CivilCalendar.days(.init(year: year, month: 1, day: 1))
        return (year, (thursday - newYear) / 7 + 1)
    }

    /// Whether it grows without end as time does, so that infinite times have it.
    var isUnbounded: Bool {
        switch self {
        case .year, .decade, .century, .millennium, .isoYear, .epoch, .julian: true
        default: false
        }
    }
}
