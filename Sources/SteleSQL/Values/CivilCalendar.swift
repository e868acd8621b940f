/// Days, moments and the Gregorian calendar extended to all times, as SQL has them.
///
/// Years are astronomical: 0 is 1 BC. Dates count days and timestamps microseconds from
/// 2000-01-01, PostgreSQL's epoch. Day arithmetic follows H. Hinnant's "chrono-compatible
/// low-level date algorithms": years that begin in March put the leap day last.
package enum CivilCalendar {
    /// A day of the calendar.
    package struct Day: Hashable, Sendable {
        package var year: Int
        package var month: Int
        package var day: Int
    }

    /// Microseconds in a day.
    package static let dayLength: Int64 = 86_400_000_000
    /// The Julian day of 2000-01-01.
    static let julianEpoch = 2_451_545
    /// The moments that PostgreSQL can hold: 4714-11-24 BC up to the end of 294276.
    package static let timestamps: Range<Int64> =
        -211_813_488_000_000_000..<9_223_371_331_200_000_000
    /// The dates that PostgreSQL can hold: 4714-11-24 BC up to the end of 5874897.
    package static let dates: Range<Int32> = -2_451_545..<2_145_031_949

    /// Days from 1970-01-01 to 2000-01-01.
    private static let epochShift = 10_957

    /// The number of a day, counted from 2000-01-01.
    package static func days(_ day: Day) -> Int {
        let year = day.month <= 2 ? day.year - 1 : day.year
        let era = floorDivide(year, 400)
        let yearOfEra = year - era * 400
        let month = day.month > 2 ? day.month - 3 : day.month + 9
        let dayOfYear = (153 * month + 2) / 5 + day.day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468 - epochShift
    }

    /// The day with a number counted from 2000-01-01.
    package static func day(_ days: Int) -> Day {
        let shifted = days + epochShift + 719_468
        let era = floorDivide(shifted, 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let month = (5 * dayOfYear + 2) / 153
        let year = yearOfEra + era * 400
        return Day(
            year: month < 10 ? year : year + 1, month: month < 10 ? month + 3 : month - 9,
            day: dayOfYear - (153 * month + 2) / 5 + 1)
    }

    /// How many days a month has.
    package static func length(ofMonth month: Int, year: Int) -> Int {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// The day on which a timestamp falls, and the microseconds since its midnight.
    package static func split(_ timestamp: Int64) -> (days: Int, time: Int64) {
        let days = floorDivide(timestamp, dayLength)
        // Wrapping, for values beyond the range that a damaged row may hold.
        return (Int(days), timestamp &- days &* dayLength)
    }

    /// -1, 0 or 1 as a date's midnight is before, at or after a time. A date that timestamps do not
    /// reach is later than all of them, but no infinity.
    static func compare(_ date: Int32, _ time: Int64) -> Int {
        let midnight = timestamp(date)
        if midnight == .max, date != .max { return time == .max ? -1 : 1 }
        return order(midnight, time)
    }

    /// Midnight of a date; dates that timestamps do not reach become the infinity beyond them.
    package static func timestamp(_ date: Int32) -> Int64 {
        if date == .min { return .min }
        let (result, overflow) = Int64(date).multipliedReportingOverflow(by: dayLength)
        return date == .max || overflow || result >= timestamps.upperBound ? .max : result
    }

    @inline(__always)
    static func floorDivide<Value: FixedWidthInteger>(_ value: Value, _ divisor: Value) -> Value {
        let (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? quotient - 1 : quotient
    }
}
