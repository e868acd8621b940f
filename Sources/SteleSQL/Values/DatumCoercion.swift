/// Conversion of values between types: what assignment to a column and a written cast do.
///
/// Whether a conversion may happen at all is ``SQLType/castContext(from:to:)``.
extension Datum {
    /// This value of type `source` as a value of type `target`.
    ///
    /// An explicit cast to `varchar(n)` or `char(n)` cuts off what is too long, where an assignment
    /// fails.
    package func coerced(
        from source: SQLType, to target: SQLType, explicit: Bool, time: TimeContext = .utc
    ) throws(SQLError) -> Datum {
        switch (self, target) {
        case (.null, _): self
        case (.int(let value), .int8) where source != .oid: .int(value)
        case (.int(let value), .int2), (.int(let value), .int4), (.int(let value), .int8),
            (.int(let value), .oid):
            .int(try Self.integer(value, from: source, to: target))
        case (.bool(let value), .int4): .int(value ? 1 : 0)
        case (.double(let value), .int2), (.double(let value), .int4), (.double(let value), .int8):
            .int(try Self.integer(value.nearestInteger, to: target))
        case (.numeric(let value), .int2), (.numeric(let value), .int4),
            (.numeric(let value), .int8):
            .int(try Self.integer(value, to: target))
        case (.int(let value), .float8): .double(Double(value))
        case (.int(let value), .float4): .double(Double(Float(value)))
        case (.double(let value), .float8): .double(value)
        case (.double(let value), .float4): .double(try Self.single(value))
        case (.numeric(let value), .float4), (.numeric(let value), .float8):
            .double(try Self.double(value, to: target))
        case (.int(let value), .numeric(let modifier)):
            .numeric(try Self.fit(Numeric(value), to: modifier))
        case (.double(let value), .numeric(let modifier)):
            .numeric(
                try Self.fit(
                    source == .float4
                        ? Numeric(approximating: Float(value)) : Numeric(approximating: value),
                    to: modifier))
        case (.numeric(let value), .numeric(let modifier)):
            .numeric(try Self.fit(value, to: modifier))
        case (.int(let value), .bool): .bool(value != 0)
        case (.date, .timestamp), (.date, .timestamptz), (.timestamp, .date),
            (.timestamp, .timestamp), (.timestamp, .timestamptz):
            try convertTime(from: source, to: target, zone: time.zone)
        case (.bool, .bool), (.date, .date), (.bytes, .bytea), (.uuid, .uuid): self
        case (.text(let value), .text), (.text(let value), .unknown), (.text(let value), .varchar),
            (.text(let value), .char), (.text(let value), .name):
            .text(try Self.fit(value, to: target, explicit: explicit))
        case (.text(let value), _): try Self.parse(text: value, as: target, time: time)
        case (.bool(let value), _) where target.category == .string:
            .text(try Self.fit(value ? "true" : "false", to: target, explicit: explicit))
        case (_, _) where target.category == .string:
            .text(
                try Self.fit(
                    text(as: source, zone: time.zone), to: target, explicit: explicit))
        default: throw Self.cannotCast(source, target)
        }
    }

    /// The error for a conversion that does not exist.
    package static func cannotCast(_ source: SQLType, _ target: SQLType) -> SQLError {
        SQLError("42846", "cannot cast type \(source.plainName) to \(target.plainName)")
    }

    private static func fit(
        _ value: Numeric, to modifier: NumericModifier?
    ) throws(SQLError) -> Numeric {
        guard let modifier else { return value }
        return try value.fitted(to: modifier)
    }

    // MARK: Numbers

    private static func integer(
        _ value: Int64, from source: SQLType, to target: SQLType
    ) throws(SQLError) -> Int64 {
        switch (source, target) {
        // These share 32 bits, read with or without a sign.
        case (.int2, .oid), (.int4, .oid): return value & 0xFFFF_FFFF
        case (.oid, .int4): return Int64(Int32(truncatingIfNeeded: value))
        default: return try integer(value, to: target)
        }
    }

    /// Fails when `value`, nil for one beyond 64 bits, is not in the range of `target`.
    static func integer(_ value: Int64?, to target: SQLType) throws(SQLError) -> Int64 {
        let range: ClosedRange<Int64> =
            switch target {
            case .int2: Int64(Int16.min)...Int64(Int16.max)
            case .int4: Int64(Int32.min)...Int64(Int32.max)
            case .oid: 0...Int64(UInt32.max)
            default: Int64.min...Int64.max
            }
        guard let value, range.contains(value) else {
            let name = target == .oid ? "OID" : target.plainName
            throw SQLError("22003", "\(name) out of range")
        }
        return value
    }

    private static func integer(_ value: Numeric, to target: SQLType) throws(SQLError) -> Int64 {
        guard value.isFinite else {
            let what = value.isNaN ? "NaN" : "infinity"
            throw SQLError("0A000", "cannot convert \(what) to \(target.plainName)")
        }
        return try integer(value.integerValue, to: target)
    }

    private static func single(_ value: Double) throws(SQLError) -> Double {
        let single = Float(value)
        if single.isInfinite, value.isFinite {
            throw SQLError("22003", "value out of range: overflow")
        }
        if single == 0, value != 0 { throw SQLError("22003", "value out of range: underflow") }
        return Double(single)
    }

    private static func double(_ value: Numeric, to target: SQLType) throws(SQLError) -> Double {
        guard value.isFinite else { return value.doubleValue }
        if target == .float8, value.doubleValue.isFinite, value.doubleValue != 0 || value.isZero {
            return value.doubleValue
        }
        // Read from the text, which rounds once and knows the error.
        return try FloatText.parse(Array(value.description.utf8)[...], as: target)
    }

    // MARK: Times

    private func convertTime(
        from source: SQLType, to target: SQLType, zone: TimeZone
    ) throws(SQLError) -> Datum {
        let value: Int64
        switch self {
        case .date(let date):
            value = CivilCalendar.timestamp(date)
            guard date == .max || value != .max else {
                throw SQLError("22008", "date out of range for timestamp")
            }
        case .timestamp(let timestamp): value = timestamp
        default: throw Self.cannotCast(source, target)
        }
        let isInfinite = value == .max || value == .min
        if target == .date {
            if isInfinite { return .date(value == .max ? .max : .min) }
            let local = source == .timestamptz ? zone.local(value) : value
            return .date(Int32(CivilCalendar.split(local).days))
        }
        if isInfinite || (source == .timestamptz) == (target == .timestamptz) {
            return .timestamp(value)
        }
        let shifted = target == .timestamptz ? zone.moment(value) : zone.local(value)
        guard CivilCalendar.timestamps.contains(shifted) else {
            throw SQLError("22008", "timestamp out of range")
        }
        return .timestamp(shifted)
    }
}
