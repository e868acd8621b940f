// `AT TIME ZONE`, `date_trunc`, `extract` and what else is made of times.

extension Function {
    func time(_ values: [Datum], _ context: StatementContext) throws(SQLError) -> Datum {
        switch self {
        case .inZone, .fromZone: return try zoned(values, context)
        case .cut(let type): return try cut(values, type, context)
        case .extract(let type): return try Self.extracted(values, type, context)
        case .datePart(let type):
            guard case .numeric(let value) = try Self.extracted(values, type, context) else {
                return .null
            }
            return .double(value.doubleValue)
        case .makeDate: return try Self.makeDate(values)
        case .toTimestamp: return try Self.toTimestamp(values)
        case .startOfDay: return Self.startOfDay(values, context.time.zone)
        default: return .null
        }
    }

    /// What a clock in a zone shows at a moment, or the moment at which it shows a time.
    private func zoned(
        _ values: [Datum], _ context: StatementContext
    ) throws(SQLError) -> Datum {
        guard case .text(let name) = values[0], case .timestamp(let time) = values[1] else {
            return .null
        }
        let zone = try context.time.zones.zone(name, at: time)
        if time == .max || time == .min { return values[1] }
        return try Self.timestamp(self == .inZone ? zone.local(time) : zone.moment(time))
    }

    private static func timestamp(_ value: Int64) throws(SQLError) -> Datum {
        guard CivilCalendar.timestamps.contains(value) else {
            throw SQLError("22008", "timestamp out of range")
        }
        return .timestamp(value)
    }

    /// - Parameter values: the unit, the time, and maybe the zone that counts.
    private func cut(
        _ values: [Datum], _ type: SQLType, _ context: StatementContext
    ) throws(SQLError) -> Datum {
        guard case .text(let unit) = values[0], case .timestamp(let time) = values[1] else {
            return .null
        }
        var zone = type == .timestamptz ? context.time.zone : nil
        if values.count > 2, case .text(let name) = values[2] {
            zone = try context.time.zones.zone(name, at: time)
        }
        guard let field = DateField(unit), !field.isOnlyExtracted else {
            throw DateField.notRecognized(unit, type)
        }
        guard let start = field.beginning(of: time == .max || time == .min ? 0 : time, in: zone)
        else { throw DateField.notSupported(unit, type) }
        return time == .max || time == .min ? values[1] : try Self.timestamp(start)
    }

    private static func extracted(
        _ values: [Datum], _ type: SQLType, _ context: StatementContext
    ) throws(SQLError) -> Datum {
        guard case .text(let unit) = values[0] else { return .null }
        guard let field = DateField(unit) else { throw DateField.notRecognized(unit, type) }
        let infinity: Int
        let value: (number: Int128, decimals: Int)?
        switch values[1] {
        case .date(let date):
            infinity = date == .max ? 1 : date == .min ? -1 : 0
            value = DateField.value(field, infinity == 0 ? Int(date) : 0)
                .map { (Int128($0), 0) }
        case .timestamp(let time):
            infinity = time == .max ? 1 : time == .min ? -1 : 0
            value = field.value(
                of: infinity == 0 ? time : 0, in: type == .timestamptz ? context.time.zone : nil)
        default: return .null
        }
        guard let value else { throw DateField.notSupported(unit, type) }
        guard infinity == 0 else {
            if !field.isUnbounded { return .null }
            return .numeric(infinity > 0 ? .infinity : .negativeInfinity)
        }
        if field == .julian, case .timestamp(let time) = values[1] {
            return try julian(type == .timestamptz ? context.time.zone.local(time) : time)
        }
        if field == .epoch, value.number > Int64.max {
            // PostgreSQL divides what exceeds 64 bits, with the fewer decimals of a quotient.
            let micros = try Numeric(Array("\(value.number)".utf8)[...])
            return .numeric(try micros.divided(by: Numeric(1_000_000)).rounded(toScale: 6))
        }
        let unitsPerWhole: Int128 = value.decimals == 0 ? 1 : value.decimals == 3 ? 1_000 : 1_000_000
        let (whole, part) = value.number.magnitude
            .quotientAndRemainder(dividingBy: unitsPerWhole.magnitude)
        let sign = value.number < 0 ? "-" : ""
        guard value.decimals > 0 else {
            return .numeric(try Numeric(Array("\(sign)\(whole)".utf8)[...]))
        }
        let digits = String(part)
        let zeros = String(repeating: "0", count: value.decimals - digits.utf8.count)
        return .numeric(try Numeric(Array("\(sign)\(whole).\(zeros)\(digits)".utf8)[...]))
    }

    /// The Julian day of a local time, whose part of the day is a fraction.
    private static func julian(_ local: Int64) throws(SQLError) -> Datum {
        let (days, clock) = CivilCalendar.split(local)
        let part = try Numeric(Int64(clock)).divided(by: Numeric(CivilCalendar.dayLength))
        return .numeric(try Numeric(Int64(days + CivilCalendar.julianEpoch)).adding(part))
    }

    private static func makeDate(_ values: [Datum]) throws(SQLError) -> Datum {
        guard case .int(let year) = values[0], case .int(let month) = values[1],
            case .int(let day) = values[2]
        else { return .null }
        let astronomical = Int(year < 0 ? year + 1 : year)
        guard year != 0, (1...12).contains(month), day >= 1,
            day <= CivilCalendar.length(ofMonth: Int(month), year: astronomical)
        else {
            throw SQLError(
                "22008", "date field value out of range: \(year)-\(two(month))-\(two(day))")
        }
        let days = CivilCalendar.days(
            .init(year: astronomical, month: Int(month), day: Int(day)))
        guard let date = Int32(exactly: days), CivilCalendar.dates.contains(date) else {
            throw SQLError("22008", "date out of range: \(year)-\(two(month))-\(two(day))")
        }
        return .date(date)
    }

    private static func two(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }

    /// The moment at which a day begins; of one beyond all moments the one after the last.
    private static func startOfDay(_ values: [Datum], _ zone: TimeZone) -> Datum {
        guard case .date(let date) = values[0] else { return .null }
        if date == .max || date == .min { return .timestamp(date == .max ? .max : .min) }
        let last = CivilCalendar.timestamps.upperBound
        let local = CivilCalendar.timestamp(date)
        return .timestamp(local == .max ? last : min(zone.moment(local), last))
    }

    /// Seconds since 1970.
    private static func toTimestamp(_ values: [Datum]) throws(SQLError) -> Datum {
        guard case .double(let seconds) = values[0] else { return .null }
        if seconds.isNaN { throw SQLError("22008", "timestamp cannot be NaN") }
        if seconds.isInfinite { return .timestamp(seconds > 0 ? .max : .min) }
        let micros = ((seconds - 946_684_800) * 1_000_000).rounded(.toNearestOrEven)
        guard let value = Int64(exactly: micros), CivilCalendar.timestamps.contains(value) else {
            throw SQLError("22008", "timestamp out of range: \"\(seconds)\"")
        }
        return .timestamp(value)
    }
}
