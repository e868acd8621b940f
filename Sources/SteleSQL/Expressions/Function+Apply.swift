import SteleBase

extension Function {
    /// The function's value; null if an argument is null, except for `concat`.
    func apply(_ values: [Datum], _ context: StatementContext) throws(SQLError) -> Datum {
        if self == .concat { return try Self.concatenated(values) }
        if self == .joined { return try Self.joined(values) }
        if self == .changeSetting { return try Self.changeSetting(values, context) }
        for value in values where value.isNull { return .null }
        switch self {
        case .transactionTimestamp: return .timestamp(context.now)
        case .statementTimestamp: return .timestamp(context.statementTime)
        case .clockTimestamp: return .timestamp(context.environment.clock())
        case .localTimestamp: return .timestamp(context.time.zone.local(context.now))
        case .currentDate:
            let days = CivilCalendar.split(context.time.zone.local(context.now)).days
            return .date(Int32(clamping: days))
        case .version:
            return .text("PostgreSQL \(context.environment.serverVersion) (Stele)")
        case .currentSchema: return .text("public")
        case .currentDatabase: return .text(context.environment.database)
        case .currentUser: return .text(context.environment.user)
        case .processID: return .int(Int64(context.environment.processID))
        case .isInRecovery: return .bool(false)
        case .unlockAll: return .text("")
        case .sleep:
            guard case .double(let seconds) = values[0] else { return .null }
            // Rows are computed first and the time is spent before they are handed out.
            if seconds > 0 { context.sleep += seconds * 1_000 }
            return .text("")
        case .inZone, .fromZone, .makeDate, .toTimestamp, .startOfDay, .cut, .extract, .datePart:
            return try time(values, context)
        case .random: return .double(Double(context.environment.random() >> 11) * 0x1p-53)
        case .randomUUID: return Self.randomUUID(context)
        case .pi: return .double(.pi)
        case .digest, .bitLength, .firstCode, .capitalized, .field, .translated, .character, .hex:
            return try words(values)
        case .setting:
            guard case .text(let name) = values[0] else { return .null }
            do {
                return .text(try context.value(ofSetting: name))
            } catch where error.state == "42704" && values.last == .bool(true) { return .null }
        case .magnitude, .sign, .round, .truncate, .ceiling, .floor, .remainder, .double, .power,
            .arcTangent2, .squareRoot, .quotient:
            return try number(values)
        default: return try text(values)
        }
    }

    /// About what ``apply(_:_:)`` takes, in nanoseconds.
    func cost(of values: [Datum]) -> Int {
        var bytes = 0
        for value in values { bytes += value.outsideBytes }
        switch (self, values.first) {
        case (.repeated, _), (.padStart, _), (.padEnd, _):
            guard case .int(let count)? = values.dropFirst().first else { break }
            return 8 * bytes + WorkMeter.product(Int(max(count, 0)), max(bytes, 8))
        case (.replace, .text(let text)?):
            guard values.count == 3, case .text(let old) = values[1], case .text(let new) = values[2]
            else { break }
            let places = text.utf8.count / max(1, old.utf8.count)
            return 8 * bytes + WorkMeter.product(places, new.utf8.count)
        case (.joined, .text(let separator)?):
            return 8 * bytes + WorkMeter.product(values.count, separator.utf8.count)
        case (.squareRoot, .numeric(let number)): return number.rootCost
        case (.quotient, .numeric(let left)):
            guard case .numeric(let right)? = values.dropFirst().first else { break }
            return Numeric.cost(of: .divide, left, right)
        default: break
        }
        return 8 * bytes
    }

    // MARK: Session

    private static func changeSetting(
        _ values: [Datum], _ context: StatementContext
    ) throws(SQLError) -> Datum {
        guard case .text(let name) = values[0] else {
            throw SQLError("22004", "SET requires parameter name")
        }
        var change = StatementContext.SettingChange(name: name, value: nil, isLocal: false)
        if case .text(let value) = values[1] { change.value = value }
        if case .bool(let isLocal) = values[2] { change.isLocal = isLocal }
        try context.change(change)
        return .text(try context.value(ofSetting: name))
    }

    /// Version 4 of RFC 9562.
    private static func randomUUID(_ context: StatementContext) -> Datum {
        let high = context.environment.random() & ~0xF000 | 0x4000
        let low = context.environment.random() >> 2 | 1 << 63
        return .uuid(UniqueID(high: high, low: low))
    }

    // MARK: Numbers

    private func number(_ values: [Datum]) throws(SQLError) -> Datum {
        switch (self, values[0]) {
        case (.double(let function), .double(let value)):
            return .double(try function.apply(value))
        case (.power, .double(let base)):
            guard case .double(let exponent) = values[1] else { return .null }
            return .double(try DoubleFunction.power(base, exponent))
        case (.arcTangent2, .double(let y)):
            guard case .double(let x) = values[1] else { return .null }
            return .double(DoubleFunction.arcTangent(y, x))
        case (.squareRoot, .numeric(let value)): return .numeric(try value.squareRoot())
        case (.quotient, .numeric(let value)):
            guard case .numeric(let divisor) = values[1] else { return .null }
            return .numeric(try value.wholeQuotient(dividingBy: divisor))
        case (.magnitude(let type), .int(let value)):
            return value < 0 ? try values[0].negated(as: type) : values[0]
        case (.remainder(let type), _):
            return try Datum.arithmetic(.remainder, values[0], values[1], as: type)
        case (.magnitude, .double(let value)): return .double(value.magnitude)
        case (.magnitude, .numeric(let value)): return .numeric(value.magnitude)
        case (.sign, .double(let value)):
            // 0 for NaN too, which is below and above nothing.
            return .double(value > 0 ? 1 : value < 0 ? -1 : 0)
        case (.sign, .numeric(let value)):
            return .numeric(value.isNaN ? value : Numeric(Int64(value.signum)))
        case (.round, .double(let value)): return .double(value.rounded(.toNearestOrEven))
        case (.truncate, .double(let value)): return .double(value.rounded(.towardZero))
        case (.ceiling, .double(let value)): return .double(value.rounded(.up))
        case (.floor, .double(let value)): return .double(value.rounded(.down))
        case (.round, .numeric(let value)):
            return .numeric(value.rounded(toScale: Self.scale(values)))
        case (.truncate, .numeric(let value)):
            return .numeric(value.truncated(toScale: Self.scale(values)))
        case (.ceiling, .numeric(let value)): return .numeric(value.ceiling)
        case (.floor, .numeric(let value)): return .numeric(value.floor)
        default: return .null
        }
    }

    /// The number of decimals to keep, within PostgreSQL's limits.
    private static func scale(_ values: [Datum]) -> Int {
        guard values.count > 1, case .int(let scale) = values[1] else { return 0 }
        return Int(max(-131_073, min(16_383, scale)))
    }

    // MARK: Text

    private func text(_ values: [Datum]) throws(SQLError) -> Datum {
        if case .bytes(let bytes) = values[0] {
            guard self == .byteSubstring else { return .int(Int64(bytes.count)) }
            let (start, length) = try Self.stretch(values)
            return .bytes(Array(bytes.dropFirst(start).prefix(length)))
        }
        guard case .text(let text) = values[0] else { return .null }
        switch self {
        case .lower: return .text(text.inLowerCase)
        case .upper: return .text(text.inUpperCase)
        case .length: return .int(Int64(text.unicodeScalars.count))
        case .byteLength: return .int(Int64(text.utf8.count))
        case .reversed: return .text(Self.reversed(text))
        case .substring: return .text(try Self.substring(text, values))
        case .left: return .text(Self.part(text, values, fromEnd: false))
        case .right: return .text(Self.part(text, values, fromEnd: true))
        case .trim: return .text(Self.trimmed(text, values, atStart: true, atEnd: true))
        case .trimStart: return .text(Self.trimmed(text, values, atStart: true, atEnd: false))
        case .trimEnd: return .text(Self.trimmed(text, values, atStart: false, atEnd: true))
        case .padStart: return .text(try Self.padded(text, values, atStart: true))
        case .padEnd: return .text(try Self.padded(text, values, atStart: false))
        case .repeated:
            guard case .int(let count) = values[1] else { return .null }
            guard count > 0, !text.isEmpty else { return .text("") }
            try Self.checkLength(count, of: text.utf8.count)
            return .text(String(repeating: text, count: Int(count)))
        case .replace:
            guard case .text(let old) = values[1], case .text(let new) = values[2] else {
                return .null
            }
            return .text(try Self.replaced(text, old, new))
        case .position:
            guard case .text(let part) = values[1] else { return .null }
            var search = TextSearch(for: part, in: text)
            return .int(
                search.next().map { Int64(String(decoding: text.utf8.prefix($0), as: UTF8.self)
                        .unicodeScalars.count + 1) } ?? 0)
        case .startsWith:
            guard case .text(let start) = values[1] else { return .null }
            return .bool(text.utf8.starts(with: start.utf8))
        default: return .null
        }
    }

    private static func concatenated(_ values: [Datum]) throws(SQLError) -> Datum {
        var result = ""
        for case .text(let text) in values {
            try checkLength(result.utf8.count + text.utf8.count)
            result += text
        }
        return .text(result)
    }

    private static func substring(_ text: String, _ values: [Datum]) throws(SQLError) -> String {
        let (start, length) = try stretch(values)
        return String(text.unicodeScalars.dropFirst(start).prefix(length))
    }

    /// How many characters `substring` leaves out, and how many it takes then.
    private static func stretch(
        _ values: [Datum]
    ) throws(SQLError) -> (start: Int, length: Int) {
        guard case .int(let start) = values[1] else { return (0, 0) }
        var end = Int64.max
        if values.count > 2, case .int(let length) = values[2] {
            guard length >= 0 else {
                throw SQLError("22011", "negative substring length not allowed")
            }
            end = start + length
        }
        let from = max(1, start)
        guard end > from else { return (0, 0) }
        return (Int(from - 1), Int(clamping: end - from))
    }

    /// A negative count leaves out so many characters at the other end.
    private static func part(_ text: String, _ values: [Datum], fromEnd: Bool) -> String {
        guard case .int(let count) = values[1] else { return "" }
        let scalars = text.unicodeScalars
        let size = count >= 0 ? Int(count) : max(0, scalars.count + Int(count))
        return String(fromEnd ? scalars.suffix(size) : scalars.prefix(size))
    }

    private static func trimmed(
        _ text: String, _ values: [Datum], atStart: Bool, atEnd: Bool
    ) -> String {
        var set: Set<Unicode.Scalar> = [" "]
        if values.count > 1, case .text(let characters) = values[1] {
            set = Set(characters.unicodeScalars)
        }
        var scalars = text.unicodeScalars[...]
        if atStart { scalars = scalars.drop(while: set.contains) }
        if atEnd { while let last = scalars.last, set.contains(last) { scalars.removeLast() } }
        return String(scalars)
    }

    private static func padded(
        _ text: String, _ values: [Datum], atStart: Bool
    ) throws(SQLError) -> String {
        guard case .int(let width) = values[1] else { return "" }
        var fill = " "
        if values.count > 2, case .text(let written) = values[2] { fill = written }
        if !fill.isEmpty { try checkLength(max(0, width), of: 4) }
        let missing = Int(width) - text.unicodeScalars.count
        guard missing > 0 else { return String(text.unicodeScalars.prefix(Int(max(0, width)))) }
        let count = fill.unicodeScalars.count
        guard count > 0 else { return text }
        let padding =
            String(repeating: fill, count: missing / count)
            + String(fill.unicodeScalars.prefix(missing % count))
        return atStart ? padding + text : text + padding
    }

    private static func reversed(_ text: String) -> String {
        var text = text
        return text.withUTF8 { bytes in
            String(unsafeUninitializedCapacity: bytes.count) { result in
                var end = bytes.count
                while end > 0 {
                    var start = end - 1
                    while start > 0, bytes[start] & 0xC0 == 0x80 { start -= 1 }
                    let place = bytes.count - end
                    for index in start..<end { result[place + index - start] = bytes[index] }
                    end = start
                }
                return bytes.count
            }
        }
    }

    private static func checkLength(_ count: Int64, of size: Int) throws(SQLError) {
        let (length, overflow) = count.multipliedReportingOverflow(by: Int64(size))
        try checkLength(overflow ? .max : Int(length))
    }

    /// Refuses a text of so many bytes before it is made.
    static func checkLength(_ length: Int) throws(SQLError) {
        guard length < Limits.textBytes else {
            throw SQLError("54000", "requested length too large")
        }
    }

    static func replaced(
        _ text: String, _ old: String, _ new: String
    ) throws(SQLError) -> String {
        guard !old.isEmpty else { return text }
        let bytes = Array(text.utf8)
        var result: [UInt8] = []
        var position = 0
        var search = TextSearch(for: old, in: text)
        while let found = search.next() {
            try checkLength(result.count + (found - position) + new.utf8.count)
            result.append(contentsOf: bytes[position..<found])
            result.append(contentsOf: new.utf8)
            position = found + old.utf8.count
        }
        try checkLength(result.count + bytes.count - position)
        result.append(contentsOf: bytes[position...])
        return String(decoding: result, as: UTF8.self)
    }
}
