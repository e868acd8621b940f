import SteleBase

/// Values to and from text, as PostgreSQL's input and output functions have it.
extension Datum {
    /// Reads the text form of a value of `type`; the modifier of the type is applied.
    package static func parse(
        text: ArraySlice<UInt8>, as type: SQLType, time: TimeContext = .utc
    ) throws(SQLError) -> Datum {
        switch type {
        case .int4: try integer(text, type, Int64(Int32.min)...Int64(Int32.max))
        case .int8: try integer(text, type, Int64.min...Int64.max)
        case .int2: try integer(text, type, Int64(Int16.min)...Int64(Int16.max))
        case .oid: try objectID(text)
        case .text, .unknown, .varchar, .char, .name:
            .text(try fit(string(text), to: type, explicit: false))
        case .bool: .bool(try truth(text))
        case .float4, .float8: .double(try FloatText.parse(text, as: type))
        case .numeric(nil): .numeric(try Numeric(text))
        case .numeric(let modifier?): .numeric(try Numeric(text).fitted(to: modifier))
        case .timestamp, .timestamptz: try timestamp(text, type, time)
        case .date: try date(text, time)
        case .bytea: .bytes(try BytesText.parse(text))
        case .uuid: .uuid(try UUIDText.parse(text))
        }
    }

    /// Reads the text form of a value of `type`; the modifier of the type is applied.
    package static func parse(
        text: String, as type: SQLType, time: TimeContext = .utc
    ) throws(SQLError) -> Datum {
        switch type {
        case .text, .unknown: .text(text)
        case .varchar, .char, .name: .text(try fit(text, to: type, explicit: false))
        default: try parse(text: Array(text.utf8)[...], as: type, time: time)
        }
    }

    /// Appends the text form of the value, which must not be null; moments are shown in `zone`.
    package func appendText(
        to out: inout [UInt8], as type: SQLType, zone: TimeZone = .utc
    ) {
        switch self {
        case .null: break
        case .int(let value): appendDecimal(value, to: &out)
        case .text(let value):
            out.append(contentsOf: value.utf8)
            if case .char(let width?) = type { Self.pad(value, to: width, in: &out) }
        case .bool(let value): out.append(UInt8(ascii: value ? "t" : "f"))
        case .double(let value):
            if type == .float4 {
                FloatText.append(Float(value), to: &out)
            } else {
                FloatText.append(value, to: &out)
            }
        case .numeric(let value): value.appendText(to: &out)
        case .timestamp(let value):
            DateTimeText.append(
                timestamp: value, zone: type == .timestamptz ? zone : nil, to: &out)
        case .date(let value): DateTimeText.append(date: value, to: &out)
        case .bytes(let value): BytesText.append(value, to: &out)
        case .uuid(let value): UUIDText.append(value, to: &out)
        }
    }

    /// The text form as a string.
    package func text(as type: SQLType, zone: TimeZone = .utc) -> String {
        if case .text(let value) = self, type.modifier == -1 { return value }
        var bytes: [UInt8] = []
        appendText(to: &bytes, as: type, zone: zone)
        return String(decoding: bytes, as: UTF8.self)
    }

    // MARK: Input

    private static func integer(
        _ text: ArraySlice<UInt8>, _ type: SQLType, _ range: ClosedRange<Int64>
    ) throws(SQLError) -> Datum {
        switch scanInteger(text, lowest: type == .oid ? .min : range.lowerBound) {
        case .value(let value) where range.contains(value): return .int(value)
        case .value, .outOfRange:
            throw SQLError(
                "22003", "value \(quoted(text)) is out of range for type \(type.plainName)")
        case .invalid:
            throw SQLError(
                "22P02", "invalid input syntax for type \(type.plainName): \(quoted(text))")
        }
    }

    /// Negative numbers are those that have the same 32 bits.
    private static func objectID(_ text: ArraySlice<UInt8>) throws(SQLError) -> Datum {
        let all = Int64(Int32.min)...Int64(UInt32.max)
        guard case .int(let value) = try integer(text, .oid, all) else { return .null }
        return .int(value & 0xFFFF_FFFF)
    }

    static func string(_ bytes: ArraySlice<UInt8>) throws(SQLError) -> String {
        guard let text = bytes.withUnsafeBytes({ validString($0) }), !text.utf8.contains(0) else {
            throw SQLError("22021", "invalid byte sequence for encoding \"UTF8\"")
        }
        return text
    }

    /// Any beginning of `true`, `false`, `yes`, `no`; `on`, `off`, `1`, `0`.
    private static func truth(_ text: ArraySlice<UInt8>) throws(SQLError) -> Bool {
        let word = trimmed(text)
        let lower = word.map { isLetter($0) ? $0 | 0x20 : $0 }
        if !lower.isEmpty {
            if "true".utf8.starts(with: lower) || "yes".utf8.starts(with: lower) { return true }
            if "false".utf8.starts(with: lower) || "no".utf8.starts(with: lower) { return false }
            if matches(word, "on") || matches(word, "1") { return true }
            if lower.count >= 2 && "off".utf8.starts(with: lower) || matches(word, "0") {
                return false
            }
        }
        throw SQLError("22P02", "invalid input syntax for type boolean: \(quoted(text))")
    }

    private static func timestamp(
        _ text: ArraySlice<UInt8>, _ type: SQLType, _ context: TimeContext
    ) throws(SQLError) -> Datum {
        var parser = DateTimeParser(text, as: type, context: context)
        let value: Int64
        switch try parser.parse() {
        case .infinity: return .timestamp(.max)
        case .negativeInfinity: return .timestamp(.min)
        case .moment(let moment):
            value = type == .timestamp ? context.zone.local(moment) : moment
        case .local(let days, let time, let zone):
            let (midnight, overflow) = Int64(days)
                .multipliedReportingOverflow(by: CivilCalendar.dayLength)
            let (local, tooLate) = midnight.addingReportingOverflow(time)
            if overflow || tooLate {
                value = .max
            } else {
                value = type == .timestamptz ? (zone ?? context.zone).moment(local) : local
            }
        }
        guard CivilCalendar.timestamps.contains(value) else {
            throw SQLError("22008", "timestamp out of range: \(quoted(text))")
        }
        return .timestamp(value)
    }

    private static func date(
        _ text: ArraySlice<UInt8>, _ context: TimeContext
    ) throws(SQLError) -> Datum {
        var parser = DateTimeParser(text, as: .date, context: context)
        let number: Int
        switch try parser.parse() {
        case .infinity: return .date(.max)
        case .negativeInfinity: return .date(.min)
        case .moment(let moment):
            number = CivilCalendar.split(context.zone.local(moment)).days
        case .local(let days, _, _): number = days
        }
        guard let date = Int32(exactly: number), CivilCalendar.dates.contains(date) else {
            throw SQLError("22008", "date out of range: \(quoted(text))")
        }
        return .date(date)
    }

    // MARK: Lengths

    /// The string as the type holds it: not longer than the limit, `char` without padding.
    ///
    /// Blanks beyond the limit are cut off silently, other characters only by an explicit cast.
    static func fit(
        _ text: String, to type: SQLType, explicit: Bool
    ) throws(SQLError) -> String {
        var text = text
        let limit: Int
        switch type {
        case .varchar(let length?): limit = length
        case .char(let length):
            if text.utf8.last == UInt8(ascii: " ") {
                let end = text.utf8.lastIndex { $0 != UInt8(ascii: " ") }
                text = end.map { String(text[...$0]) } ?? ""
            }
            guard let length else { return text }
            limit = length
        case .name: return name(text)
        default: return text
        }
        guard text.utf8.count > limit else { return text }
        let scalars = text.unicodeScalars
        let start = scalars.startIndex
        guard let end = scalars.index(start, offsetBy: limit, limitedBy: scalars.endIndex),
            end != scalars.endIndex
        else { return text }
        guard explicit || scalars[end...].allSatisfy({ $0 == " " }) else {
            throw SQLError("22001", "value too long for type \(type.name)")
        }
        return try fit(String(scalars[..<end]), to: type, explicit: explicit)
    }

    /// At most 63 bytes, cut between characters.
    private static func name(_ text: String) -> String {
        guard text.utf8.count > 63 else { return text }
        let utf8 = text.utf8
        var end = utf8.index(utf8.startIndex, offsetBy: 63)
        while utf8[end] & 0xC0 == 0x80 { end = utf8.index(before: end) }
        return String(text[..<end])
    }

    static func pad(_ text: String, to width: Int, in out: inout [UInt8]) {
        let missing = width - text.unicodeScalars.count
        if missing > 0 { out.append(contentsOf: String(repeating: " ", count: missing).utf8) }
    }
}
