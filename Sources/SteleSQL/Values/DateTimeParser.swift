/// Reads the text of a date or timestamp, in the forms that PostgreSQL takes (`ISO, MDY`).
///
/// The text is a sequence of parts in almost any order: a date (`2024-01-02`, `1/2/2024`,
/// `20240102`, `Jan 2, 2024`), a time (`03:04:05.678`, `3:04 PM`), a zone (`+05:30`, `Z`, `UTC`)
/// and an era. Zones are also known by name (`Europe/Berlin`) and abbreviation (`CEST`).
struct DateTimeParser {
    /// What a text stands for.
    enum Value {
        case infinity
        case negativeInfinity
        /// A moment in microseconds since 2000-01-01 UTC.
        case moment(Int64)
        /// A day since 2000-01-01, microseconds since its midnight, and the zone if one was named.
        case local(days: Int, time: Int64, zone: TimeZone?)
    }

    private let text: ArraySlice<UInt8>
    private let type: SQLType
    private let context: TimeContext
    private var rest: ArraySlice<UInt8>

    /// Numbers that belong to the date, with how many digits each was written.
    private var numbers: [(value: Int, width: Int)] = []
    /// The numbers were written without separators, the year first; they are month, day, year.
    private var isCompact = false
    private var month: Int?
    private var dayNumber: Int?
    private var time: Int64?
    private var hour = 0
    private var isAfternoon: Bool?
    private var isBeforeChrist: Bool?
    private var zone: TimeZone?
    /// An abbreviation, and the zone in which it means something.
    private var abbreviation: (name: String, rules: ZoneRules)?

    init(_ text: ArraySlice<UInt8>, as type: SQLType, context: TimeContext) {
        self.text = text
        self.type = type
        self.context = context
        rest = trimmed(text)
    }

    mutating func parse() throws(SQLError) -> Value {
        if let value = try parseSpecial() { return value }
        while let byte = rest.first {
            if isBlank(byte) || byte == UInt8(ascii: ",") {
                rest.removeFirst()
            } else if isDigit(byte) {
                try parseNumber()
            } else if isLetter(byte) {
                try parseWord()
            } else if byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-") {
                try parseZone(sign: 1)
            } else if Self.isPunctuation(byte) {
                // Only separates.
                rest.removeFirst()
            } else {
                throw invalid
            }
        }
        let days = try resolveDay()
        let time = try resolveTime()
        if let abbreviation {
            let (local, overflow) = Int64(days)
                .multipliedReportingOverflow(by: CivilCalendar.dayLength)
            let offset = abbreviation.rules.offset(
                ofAbbreviation: abbreviation.name, at: overflow ? .max : local &+ time)
            zone = .fixed(offset)
        }
        return .local(days: days, time: time, zone: zone)
    }

    /// A word that stands alone, but for punctuation around it, which only separates.
    private func parseSpecial() throws(SQLError) -> Value? {
        func isSeparator(_ byte: UInt8) -> Bool {
            isBlank(byte)
                || Self.isPunctuation(byte) && byte != UInt8(ascii: "+") && byte != UInt8(ascii: "-")
        }
        // A mark that begins a number begins none here.
        guard let byte = rest.first, byte != UInt8(ascii: "."), !isDigit(byte) else { return nil }
        var word = rest.drop(while: isSeparator)
        while let last = word.last, isSeparator(last) { word.removeLast() }
        guard let first = word.first, isLetter(first) || first == UInt8(ascii: "-") else {
            return nil
        }
        // With one of these behind it, it would be part of a date.
        if word.endIndex < rest.endIndex, [UInt8(ascii: "."), UInt8(ascii: "/")].contains(rest[word.endIndex]) {
            return nil
        }
        if matches(word, "infinity") { return .infinity }
        if first == UInt8(ascii: "-"), matches(word.dropFirst().drop(while: isBlank), "infinity") {
            return .negativeInfinity
        }
        if matches(word, "epoch") { return .local(days: -10_957, time: 0, zone: .utc) }
        return matches(word, "now") ? .moment(try now()) : nil
    }

    private func now() throws(SQLError) -> Int64 {
        guard let now = context.now else {
            throw .unsupported("a date relative to now in this place")
        }
        return now
    }

    // MARK: Parts

    private mutating func parseNumber() throws(SQLError) {
        let digits = takeDigits()
        let next = rest.first ?? 0
        let hasDate = dayNumber != nil || numbers.count + (month == nil ? 0 : 1) == 3
        if next == UInt8(ascii: ":") {
            try parseTime(hours: digits)
        } else if !hasDate, isSeparator(next), numbers.isEmpty, month == nil {
            try parseDate(first: digits)
        } else if !hasDate, month == nil, numbers.isEmpty, digits.count == 8 || digits.count == 6 {
            let width = digits.count - 4
            let day = digits.dropFirst(width)
            isCompact = true
            numbers = [
                (try number(day.prefix(2)), 2), (try number(day.suffix(2)), 2),
                (try number(digits.prefix(width)), width),
            ]
        } else if hasDate, time == nil, digits.count == 4 || digits.count == 6 {
            let minutes = digits.dropFirst(2)
            try setTime(
                hours: number(digits.prefix(2)), minutes: number(minutes.prefix(2)),
                seconds: number(minutes.dropFirst(2)))
        } else if !hasDate {
            numbers.append((try number(digits), digits.count))
        } else {
            throw invalid
        }
        skipTimeMark()
    }

    /// Two more parts of a date, the separator comes next.
    private mutating func parseDate(first: ArraySlice<UInt8>) throws(SQLError) {
        numbers.append((try number(first), first.count))
        let separator = rest.first
        for _ in 0..<2 {
            guard rest.first == separator else { throw invalid }
            rest.removeFirst()
            let word = rest.prefix { isLetter($0) }
            if word.isEmpty {
                let digits = takeDigits()
                guard !digits.isEmpty else { throw invalid }
                numbers.append((try number(digits), digits.count))
            } else {
                guard month == nil, let named = Self.month(word) else { throw invalid }
                month = named
                rest = rest[word.endIndex...]
            }
        }
    }

    private mutating func parseTime(hours: ArraySlice<UInt8>) throws(SQLError) {
        guard time == nil else { throw invalid }
        rest.removeFirst()
        let minutes = takeDigits()
        guard !minutes.isEmpty else { throw invalid }
        var seconds: ArraySlice<UInt8> = []
        if rest.first == UInt8(ascii: ":") {
            rest.removeFirst()
            seconds = takeDigits()
            guard !seconds.isEmpty else { throw invalid }
        }
        try setTime(
            hours: number(hours), minutes: number(minutes), seconds: number(seconds))
    }

    private mutating func setTime(hours: Int, minutes: Int, seconds: Int) throws(SQLError) {
        let fraction = takeFraction()
        guard hours <= 24, minutes <= 59, seconds <= 60,
            hours < 24 || (minutes == 0 && seconds == 0 && fraction == 0)
        else { throw outOfRange }
        hour = hours
        time = Int64((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + fraction
    }

    /// Microseconds of a fraction, rounded half to even as C's `rint` does.
    private mutating func takeFraction() -> Int64 {
        guard rest.first == UInt8(ascii: ".") else { return 0 }
        rest.removeFirst()
        let digits = takeDigits()
        var value = digits.prefix(6).reduce(0 as Int64) { $0 * 10 + Int64($1 - UInt8(ascii: "0")) }
        for _ in digits.prefix(6).count..<6 { value *= 10 }
        guard let next = digits.dropFirst(6).first else { return value }
        let isHalf =
            next == UInt8(ascii: "5")
            && digits.dropFirst(7).allSatisfy { $0 == UInt8(ascii: "0") }
        if isHalf ? value % 2 == 1 : next >= UInt8(ascii: "5") { value += 1 }
        return value
    }

    private mutating func parseWord() throws(SQLError) {
        let word = rest.prefix { isLetter($0) }
        rest = rest[word.endIndex...]
        if let named = Self.month(word) {
            guard month == nil, dayNumber == nil else { throw invalid }
            month = named
            if rest.first == UInt8(ascii: "-") || rest.first == UInt8(ascii: ".") {
                rest.removeFirst()
                let digits = takeDigits()
                guard !digits.isEmpty else { throw invalid }
                numbers.append((try number(digits), digits.count))
                if rest.first == UInt8(ascii: "-") { rest.removeFirst() }
            }
        } else if Self.isJulian(word), let digits = takeJulianDigits() {
            guard numbers.isEmpty, month == nil, dayNumber == nil else { throw invalid }
            dayNumber = try number(digits) - CivilCalendar.julianEpoch
        } else if matches(word, "am") || matches(word, "pm") {
            guard isAfternoon == nil else { throw invalid }
            isAfternoon = matches(word, "pm")
        } else if matches(word, "ad") || matches(word, "bc") {
            isBeforeChrist = matches(word, "bc")
        } else if matches(word, "z") || ZoneOffset.utcName(word) != nil {
            guard zone == nil else { throw invalid }
            zone = .utc
            // Behind a name the offset counts west, as POSIX has it.
            if let sign = rest.first, sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") {
                zone = nil
                try parseZone(sign: -1)
            }
        } else if let offset = Self.relativeDay(word) {
            guard numbers.isEmpty, month == nil, dayNumber == nil else { throw invalid }
            dayNumber = CivilCalendar.split(context.zone.local(try now())).days + offset
        } else if !Self.isWeekday(word) {
            try parseZoneName(word)
        }
    }

    /// An abbreviation, or a zone by its full name, which other signs than letters may continue.
    private mutating func parseZoneName(_ word: ArraySlice<UInt8>) throws(SQLError) {
        let tail = rest.prefix {
            isLetter($0) || isDigit($0) || "/_+-.:".utf8.contains($0)
        }
        let name = String(decoding: word + tail, as: UTF8.self)
        guard zone == nil, abbreviation == nil else { throw invalid }
        if tail.isEmpty, let meaning = context.zones.abbreviation(name) {
            if case .ruled(let rules) = meaning {
                abbreviation = (name.uppercased(), rules)
            } else {
                zone = meaning
            }
            return
        }
        var hint: String?
        if let found = context.zones.find(name, &hint) {
            rest = rest[tail.endIndex...]
            zone = found.zone
            return
        }
        guard tail.contains(UInt8(ascii: "/")) else {
            throw SQLError(invalid.state, invalid.message, hint: time == nil ? nil : hint)
        }
        throw SQLError("22023", "time zone \"\(name)\" not recognized", hint: hint)
    }

    private mutating func parseZone(sign: Int32) throws(SQLError) {
        guard zone == nil, time != nil || dayNumber != nil || !numbers.isEmpty,
            let (seconds, end) = ZoneOffset.scan(rest)
        else { throw invalid }
        guard seconds.magnitude <= ZoneOffset.limit else {
            throw SQLError("22009", "time zone displacement out of range: \(quoted(text))")
        }
        zone = .fixed(ZoneOffset(seconds: sign * seconds))
        rest = rest[end...]
    }

    /// Skips the `T` between a date and a time.
    private mutating func skipTimeMark() {
        guard let mark = rest.first, mark | 0x20 == UInt8(ascii: "t"),
            let digit = rest.dropFirst().first, isDigit(digit)
        else { return }
        rest.removeFirst()
    }

    // MARK: The whole

    private func resolveDay() throws(SQLError) -> Int {
        if let dayNumber { return dayNumber }
        var fields = numbers
        let isYearFirst = (fields.first?.width ?? 0) >= 3
        if let month {
            guard fields.count == 2 else { throw incomplete([fields.first].compactMap { $0 }) }
            let startsWithYear = isYearFirst || context.order == .yearFirst
            fields = startsWithYear ? [(month, 2), fields[1], fields[0]] : [(month, 2)] + fields
        } else {
            guard fields.count == 3 else {
                throw incomplete(isYearFirst ? fields.dropFirst(2) : fields.dropFirst(1))
            }
            if isYearFirst || isCompact || context.order == .yearFirst {
                if !isCompact { fields = [fields[1], fields[2], fields[0]] }
            } else if context.order == .dayFirst {
                fields.swapAt(0, 1)
            }
        }
        var year = fields[2].value
        if fields[2].width <= 2, isBeforeChrist == nil { year += year < 70 ? 2000 : 1900 }
        guard year > 0 else { throw outOfRange }
        if isBeforeChrist == true { year = 1 - year }
        let (month, day) = (fields[0].value, fields[1].value)
        guard (1...12).contains(month), (1...31).contains(day) else {
            var error = outOfRange
            error.hint = "Perhaps you need a different \"datestyle\" setting."
            throw error
        }
        guard day <= CivilCalendar.length(ofMonth: month, year: year) else { throw outOfRange }
        return CivilCalendar.days(CivilCalendar.Day(year: year, month: month, day: day))
    }

    /// The error of a date that lacks a part: the parts that are there are looked at first.
    private func incomplete(_ days: some Collection<(value: Int, width: Int)>) -> SQLError {
        let isYearFirst = (numbers.first?.width ?? 0) >= 3
        let months = month != nil ? [] : Array(isYearFirst ? numbers.dropFirst() : numbers[...]).prefix(1)
        let isGood =
            months.allSatisfy { (1...12).contains($0.value) }
            && days.prefix(1).allSatisfy { $0.width >= 3 || (1...31).contains($0.value) }
            && !(isYearFirst && numbers[0].value == 0)
        return isGood ? invalid : outOfRange
    }

    private func resolveTime() throws(SQLError) -> Int64 {
        guard let isAfternoon else { return time ?? 0 }
        guard let time else { throw invalid }
        guard hour <= 12 else { throw outOfRange }
        let shift = isAfternoon ? (hour == 12 ? 0 : 12) : (hour == 12 ? -12 : 0)
        return time + Int64(shift) * 3_600_000_000
    }

    // MARK: Pieces

    private mutating func takeDigits() -> ArraySlice<UInt8> {
        let digits = rest.prefix { isDigit($0) }
        rest = rest[digits.endIndex...]
        return digits
    }

    /// The number that comes next, blanks in front; nil if none does.
    private mutating func takeJulianDigits() -> ArraySlice<UInt8>? {
        let after = rest.drop(while: isBlank)
        guard let first = after.first, isDigit(first) else { return nil }
        rest = after
        return takeDigits()
    }

    private func number(_ digits: ArraySlice<UInt8>) throws(SQLError) -> Int {
        guard digits.count <= 9 else { throw outOfRange }
        return digits.reduce(0) { $0 * 10 + Int($1 &- UInt8(ascii: "0")) }
    }

    private func isSeparator(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "-") || byte == UInt8(ascii: "/") || byte == UInt8(ascii: ".")
    }

    private var invalid: SQLError {
        SQLError(
            "22007", "invalid input syntax for type \(Self.name(type)): \(quoted(text))")
    }

    private var outOfRange: SQLError {
        SQLError("22008", "date/time field value out of range: \(quoted(text))")
    }

    private static func name(_ type: SQLType) -> String {
        type == .timestamp ? "timestamp" : type.plainName
    }

    private static func relativeDay(_ word: ArraySlice<UInt8>) -> Int? {
        if matches(word, "today") { return 0 }
        if matches(word, "tomorrow") { return 1 }
        return matches(word, "yesterday") ? -1 : nil
    }

    /// A month by its name or at least its first three letters.
    private static func month(_ word: ArraySlice<UInt8>) -> Int? {
        index(
            of: word,
            in: [
                "january", "february", "march", "april", "may", "june", "july", "august",
                "september",
                "october", "november", "december",
            ]
        ).map { $0 + 1 }
    }

    /// C's `ispunct`.
    private static func isPunctuation(_ byte: UInt8) -> Bool {
        (0x21...0x7E).contains(byte) && !isLetter(byte) && !isDigit(byte)
    }

    /// What may come before the number of a Julian day.
    private static func isJulian(_ word: ArraySlice<UInt8>) -> Bool {
        matches(word, "j") || matches(word, "jd") || matches(word, "julian")
    }

    private static func isWeekday(_ word: ArraySlice<UInt8>) -> Bool {
        index(
            of: word,
            in: [
                "sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday",
            ]) != nil
    }

    private static func index(of word: ArraySlice<UInt8>, in names: [String]) -> Int? {
        guard word.count >= 3 else { return nil }
        return names.firstIndex { name in
            (word.count == 3 || word.count == name.utf8.count)
                && zip(name.utf8, word).allSatisfy { $0 == $1 | 0x20 }
        }
    }
}
