/// What reading and writing of dates depends on besides the text.
package struct TimeContext: Sendable {
    /// When the transaction began, in microseconds since 2000-01-01 UTC: what `'now'` means.
    package var now: Int64?
    /// The session's time zone.
    package var zone: TimeZone
    /// Where the names of other zones are looked up.
    package var zones: ZoneDatabase
    /// How dates of three numbers are read.
    package var order: DateOrder

    package init(
        now: Int64?, zone: TimeZone = .utc, zones: ZoneDatabase = .none,
        order: DateOrder = .monthFirst
    ) {
        self.now = now
        self.zone = zone
        self.zones = zones
        self.order = order
    }

    /// No clock, and UTC.
    package static let utc = TimeContext(now: nil)
}

/// The order of a date's parts when none of them is a year of three or more digits.
package enum DateOrder: Hashable, Sendable {
    case monthFirst, dayFirst, yearFirst
}

/// How far clocks are from UTC.
package struct ZoneOffset: Hashable, Sendable {
    /// Seconds east of Greenwich.
    package let seconds: Int32

    package init(seconds: Int32) { self.seconds = seconds }

    package static let utc = ZoneOffset(seconds: 0)

    /// What a clock in this zone shows at a moment.
    package func local(_ moment: Int64) -> Int64 { moment &+ Int64(seconds) * 1_000_000 }

    /// The moment at which a clock in this zone shows `local`.
    package func moment(_ local: Int64) -> Int64 { local &- Int64(seconds) * 1_000_000 }

    /// The limit of what a timestamp's text may name: just below 16 hours.
    static let limit: Int32 = 15 * 3600 + 59 * 60 + 59

    /// PostgreSQL's name for a zone set by number: `<+02>-02`.
    package var posixName: String {
        var east: [UInt8] = []
        append(to: &east)
        var west: [UInt8] = []
        ZoneOffset(seconds: -seconds).append(to: &west)
        let name = String(decoding: east, as: UTF8.self)
        if seconds == 0 { return "<+00>-00" }
        return "<\(name)>\(String(decoding: west, as: UTF8.self))"
    }

    /// Appends `+05:30`: minutes and seconds only when there are any.
    @inline(__always)
    func append(to out: inout [UInt8]) {
        if seconds == 0 { return SteleSQL.append("+00", to: &out) }
        out.append(UInt8(ascii: seconds < 0 ? "-" : "+"))
        let magnitude = UInt64(seconds.magnitude)
        appendDecimal(magnitude / 3600, width: 2, to: &out)
        if magnitude % 3600 != 0 {
            out.append(UInt8(ascii: ":"))
            appendDecimal(magnitude / 60 % 60, width: 2, to: &out)
        }
        if magnitude % 60 != 0 {
            out.append(UInt8(ascii: ":"))
            appendDecimal(magnitude % 60, width: 2, to: &out)
        }
    }

    /// The spelling of a synonym for UTC.
    static func utcName(_ text: ArraySlice<UInt8>) -> String? {
        let names: [StaticString] = [
            "UTC", "GMT", "Etc/UTC", "Etc/GMT", "UCT", "Zulu", "Universal", "Greenwich",
        ]
        return names.lazy.map(\.description).first { name in
            name.utf8.count == text.count
                && zip(name.utf8, text).allSatisfy { one, two in
                    one == two || isLetter(one) && isLetter(two) && one | 0x20 == two | 0x20
                }
        }
    }

    /// Seconds of a decimal number of hours.
    static func hours(_ text: ArraySlice<UInt8>) -> Int32? {
        guard let decimal = ScannedDecimal(text) else { return nil }
        guard let value = (decimal.double(text) * 3600).nearestInteger else { return nil }
        return value.magnitude < 168 * 3600 ? Int32(value) : nil
    }

    /// Reads `±HH[:MM[:SS]]` or `±HHMM` and says where it ends.
    static func scan(_ text: ArraySlice<UInt8>) -> (seconds: Int32, end: Int)? {
        guard let sign = text.first, sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") else {
            return nil
        }
        var rest = text.dropFirst()
        var parts: [Int32] = []
        let first = rest.prefix { isDigit($0) }
        rest = rest[first.endIndex...]
        switch first.count {
        case 1, 2: parts = [number(first)]
        case 3, 4: parts = [number(first.dropLast(2)), number(first.suffix(2))]
        default: return nil
        }
        while first.count <= 2, parts.count < 3, rest.first == UInt8(ascii: ":") {
            let digits = rest.dropFirst().prefix { isDigit($0) }
            guard digits.count == 1 || digits.count == 2 else { return nil }
            parts.append(number(digits))
            rest = rest[digits.endIndex...]
        }
        guard parts.dropFirst().allSatisfy({ $0 < 60 }) else { return nil }
        let seconds = zip(parts, [3600, 60, 1]).reduce(0 as Int32) { $0 + $1.0 * $1.1 }
        return (sign == UInt8(ascii: "-") ? -seconds : seconds, rest.startIndex)
    }

    private static func number(_ digits: ArraySlice<UInt8>) -> Int32 {
        digits.reduce(0) { $0 * 10 + Int32($1 &- UInt8(ascii: "0")) }
    }
}
