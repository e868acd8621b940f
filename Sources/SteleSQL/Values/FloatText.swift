/// Floating-point numbers to and from text as PostgreSQL 12 and later write them.
///
/// The digits are the fewest that read back as the same number, see ``ShortestDecimal``.
enum FloatText {
    static func append(_ value: Double, to out: inout [UInt8]) {
        if let integer = value.exactInteger, integer.magnitude < 1_000_000_000_000_000,
            integer != 0
        {
            appendDecimal(integer, to: &out)
        } else if value.magnitude >= 0.0001, value.magnitude < 1e15 {
            // Here Swift's form is PostgreSQL's, as the number is not whole.
            out.append(contentsOf: value.description.utf8)
        } else {
            append(
                ShortestDecimal(value), isBelowZero: value.sign == .minus, fixedBelow: 15, to: &out)
        }
    }

    static func append(_ value: Float, to out: inout [UInt8]) {
        append(ShortestDecimal(value), isBelowZero: value.sign == .minus, fixedBelow: 6, to: &out)
    }

    /// Reads a number; blanks around it, `Infinity` and `NaN` are allowed.
    static func parse(
        _ text: ArraySlice<UInt8>, as type: SQLType
    ) throws(SQLError) -> Double {
        let bytes = trimmed(text)
        if let special = parseSpecial(bytes) { return special }
        if let value = parseHexadecimal(bytes, isSingle: type == .float4) {
            if value.isFinite { return value }
            throw SQLError("22003", "\(quoted(text)) is out of range for type \(type.plainName)")
        }
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

    /// `0x1.8p3`, which C's `strtod` reads too; infinite if it is out of range.
    private static func parseHexadecimal(_ text: ArraySlice<UInt8>, isSingle: Bool) -> Double? {
        let sign = text.first.map { $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "+") } ?? false
        let digits = text.dropFirst(sign ? 1 : 0)
        guard digits.count > 2, digits.first == UInt8(ascii: "0"),
            digits.dropFirst().first.map({ $0 | 0x20 }) == UInt8(ascii: "x")
        else { return nil }
        let string = String(decoding: text, as: UTF8.self)
        guard let value = isSingle ? Float(string).map(Double.init) : Double(string) else {
            return nil
        }
        let mantissa = digits.dropFirst(2).prefix { $0 | 0x20 != UInt8(ascii: "p") }
        let isZero = mantissa.allSatisfy { $0 == UInt8(ascii: "0") || $0 == UInt8(ascii: ".") }
        return value == 0 && !isZero ? .infinity : value
    }

    private static func parseSpecial(_ text: ArraySlice<UInt8>) -> Double? {
        guard let last = text.last, isLetter(last) || last == UInt8(ascii: ")") else { return nil }
        var word = text
        let negative = word.first == UInt8(ascii: "-")
        if negative || word.first == UInt8(ascii: "+") { word.removeFirst() }
        if matches(word.prefix(3), "nan"), isPayload(word.dropFirst(3)) { return .nan }
        guard matches(word, "infinity") || matches(word, "inf") else { return nil }
        return negative ? -.infinity : .infinity
    }

    /// What C's `strtod` takes behind `nan`: nothing, or letters, digits and `_` in parentheses.
    private static func isPayload(_ text: ArraySlice<UInt8>) -> Bool {
        guard let first = text.first else { return true }
        return first == UInt8(ascii: "(") && text.last == UInt8(ascii: ")") && text.count > 1
            && text.dropFirst().dropLast().allSatisfy {
                isLetter($0) || isDigit($0) || $0 == UInt8(ascii: "_")
            }
    }

    /// Values from `10^limit` on, and those below 0.0001, get an exponent of at least two digits.
    private static func append(
        _ decimal: ShortestDecimal, isBelowZero: Bool, fixedBelow limit: Int, to out: inout [UInt8]
    ) {
        if decimal.isNaN { return SteleSQL.append("NaN", to: &out) }
        let zero = UInt8(ascii: "0")
        let dot = UInt8(ascii: ".")
        if isBelowZero { out.append(UInt8(ascii: "-")) }
        if decimal.isInfinite { return SteleSQL.append("Infinity", to: &out) }
        guard !decimal.digits.isEmpty else { return out.append(zero) }
        let digits = decimal.digits.map { $0 &+ zero }
        let exponent = decimal.exponent
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

// The standard library's own rounding calls the C mathematics library, for which this target would
// have to import it.
extension Double {
    /// The value as an integer, if it is one of 64 bits.
    var exactInteger: Int64? {
        guard self >= -0x1p63, self < 0x1p63 else { return nil }
        let integer = Int64(self)
        return Double(integer) == self ? integer : nil
    }

    /// The nearest integer, the even one of two; nil beyond 64 bits.
    var nearestInteger: Int64? {
        // Adding this leaves no bits for a fraction, so that the addition rounds it away.
        let shift = self < 0 ? -0x1p52 : 0x1p52
        return (magnitude < 0x1p52 ? self + shift - shift : self).exactInteger
    }
}
