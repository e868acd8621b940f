/// Floating-point numbers to and from text as PostgreSQL 12 and later write them.
///
/// The digits are the fewest that read back as the same number, which is what Swift's
/// `description` has; PostgreSQL differs in when it uses an exponent and in how it writes it.
enum FloatText {
    static func append(_ value: Double, to out: inout [UInt8]) {
        if let integer = Int64(exactly: value), integer.magnitude < 1_000_000_000_000_000,
            integer != 0
        {
            appendDecimal(integer, to: &out)
        } else {
            append(description: value.description, fixedBelow: 15, to: &out)
        }
    }

    static func append(_ value: Float, to out: inout [UInt8]) {
        append(description: value.description, fixedBelow: 6, to: &out)
    }

    /// Reads a number; blanks around it, `Infinity` and `NaN` are allowed.
    static func parse(
        _ text: ArraySlice<UInt8>, as type: SQLType
    ) throws(SQLError) -> Double {
        let bytes = trimmed(text)
        if let special = parseSpecial(bytes) { return special }
        guard let decimal = ScannedDecimal(bytes) else {
            throw SQLError(
                "22P02", "invalid input syntax for type \(type.plainName): \(quoted(text))")
        }
        if case .float4 = type {
            let value = decimal.float(bytes)
            if value.isFinite, value != 0 || decimal.isZero { return Double(value) }
        } else {
            let value = decimal.double(bytes)
            if value.isFinite, value != 0 || decimal.isZero { return value }
        }
        throw SQLError("22003", "\(quoted(text)) is out of range for type \(type.plainName)")
    }

    private static func parseSpecial(_ text: ArraySlice<UInt8>) -> Double? {
        guard let last = text.last, isLetter(last) else { return nil }
        if matches(text, "nan") { return .nan }
        var word = text
        let negative = word.first == UInt8(ascii: "-")
        if negative || word.first == UInt8(ascii: "+") { word.removeFirst() }
        guard matches(word, "infinity") || matches(word, "inf") else { return nil }
        return negative ? -.infinity : .infinity
    }

    /// Rewrites Swift's form (`-1.25e-07`, `100.0`, `inf`); values of `10^limit` and above, and
    /// those below 0.0001, get an exponent of at least two digits.
    private static func append(
        description: String, fixedBelow limit: Int, to out: inout [UInt8]
    ) {
        var digits: [UInt8] = []
        digits.reserveCapacity(24)
        /// The decimal point stands behind this many digits.
        var point: Int?
        var exponent = 0
        var bytes = description.utf8[...]
        if bytes.first == UInt8(ascii: "-") {
            bytes.removeFirst()
            out.append(UInt8(ascii: "-"))
        }
        if bytes.first == UInt8(ascii: "i") { return SteleSQL.append("Infinity", to: &out) }
        if bytes.first == UInt8(ascii: "n") { return SteleSQL.append("NaN", to: &out) }
        while let byte = bytes.popFirst() {
            switch byte {
            case UInt8(ascii: "."): point = digits.count
            case UInt8(ascii: "e"):
                exponent = Int(Substring(bytes)) ?? 0
                bytes = bytes[bytes.endIndex...]
            default: digits.append(byte)
            }
        }
        var scientific = (point ?? digits.count) + exponent - 1
        // 0.00012 has zeros in front that are no digits of the number.
        let zeros = digits.prefix { $0 == UInt8(ascii: "0") }.count
        if zeros == digits.count { return out.append(UInt8(ascii: "0")) }
        digits.removeFirst(zeros)
        scientific -= zeros
        while digits.last == UInt8(ascii: "0") { digits.removeLast() }
        append(digits: digits, exponent: scientific, fixedBelow: limit, to: &out)
    }

    /// Writes `d.ddd × 10^exponent`.
    private static func append(
        digits: [UInt8], exponent: Int, fixedBelow limit: Int, to out: inout [UInt8]
    ) {
        let zero = UInt8(ascii: "0")
        let dot = UInt8(ascii: ".")
        if exponent < -4 || exponent >= limit {
            out.append(digits[0])
            if digits.count > 1 {
                out.append(dot)
                out.append(contentsOf: digits[1...])
            }
            out.append(UInt8(ascii: "e"))
            out.append(UInt8(ascii: exponent < 0 ? "-" : "+"))
            appendDecimal(UInt64(exponent.magnitude), width: 2, to: &out)
        } else if exponent < 0 {
            SteleSQL.append("0.", to: &out)
            out.append(contentsOf: repeatElement(zero, count: -exponent - 1))
            out.append(contentsOf: digits)
        } else if digits.count <= exponent + 1 {
            out.append(contentsOf: digits)
            out.append(contentsOf: repeatElement(zero, count: exponent + 1 - digits.count))
        } else {
            out.append(contentsOf: digits[...exponent])
            out.append(dot)
            out.append(contentsOf: digits[(exponent + 1)...])
        }
    }
}

/// The parts of a decimal literal; reads most numbers exactly without the general algorithm.
struct ScannedDecimal {
    /// The digits as one integer, when it is exact in a double.
    private var significand: UInt64 = 0
    private var isExact = true
    private var exponent = 0
    private(set) var isNegative = false
    /// Whether every digit is 0.
    private(set) var isZero = true

    /// Nil unless all of `text` is `[+-] digits [. digits] [e [+-] digits]`.
    init?(_ text: ArraySlice<UInt8>) {
        var index = text.startIndex
        let end = text.endIndex
        if index < end, text[index] == UInt8(ascii: "-") || text[index] == UInt8(ascii: "+") {
            isNegative = text[index] == UInt8(ascii: "-")
            index += 1
        }
        var count = 0
        var afterPoint = false
        while index < end {
            let byte = text[index]
            if isDigit(byte) {
                take(byte &- UInt8(ascii: "0"))
                if afterPoint { exponent -= 1 }
                count += 1
            } else if byte == UInt8(ascii: "."), !afterPoint {
                afterPoint = true
            } else {
                break
            }
            index += 1
        }
        guard count > 0 else { return nil }
        guard index < end else { return }
        guard text[index] | 0x20 == UInt8(ascii: "e") else { return nil }
        guard index + 1 < end, !isBlank(text[index + 1]), !isBlank(text[end - 1]) else {
            return nil
        }
        switch scanInteger(text[(index + 1)...]) {
        case .value(let value) where value.magnitude < 1_000_000: exponent += Int(value)
        case .value, .outOfRange: isExact = false
        case .invalid: return nil
        }
    }

    private mutating func take(_ digit: UInt8) {
        if digit != 0 { isZero = false }
        if significand < 900_000_000_000_000 {
            significand = significand * 10 + UInt64(digit)
        } else {
            isExact = false
        }
    }

    /// The nearest double to the literal; infinite or 0 when it is out of range.
    func double(_ text: ArraySlice<UInt8>) -> Double {
        // Both operands are exact, so the one operation rounds correctly (Clinger's fast path).
        if isExact, exponent.magnitude <= 22 {
            let power = Self.powers[Int(exponent.magnitude)]
            let value = Double(significand)
            let result = exponent < 0 ? value / power : value * power
            return isNegative ? -result : result
        }
        return Double(String(decoding: text, as: UTF8.self)) ?? .nan
    }

    /// The nearest float to the literal; infinite or 0 when it is out of range.
    func float(_ text: ArraySlice<UInt8>) -> Float {
        Float(String(decoding: text, as: UTF8.self)) ?? .nan
    }

    private static let powers: [Double] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
        1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
    ]
}
