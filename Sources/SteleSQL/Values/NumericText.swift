/// Decimal numbers to and from text.
extension Numeric {
    /// Reads `[+-] digits [. digits] [e [+-] digits]`, `NaN` or `Infinity`, blanks around allowed.
    package init(_ text: ArraySlice<UInt8>) throws(SQLError) {
        let bytes = trimmed(text)
        if let special = Self.special(bytes) {
            self = special
            return
        }
        var index = bytes.startIndex
        var isBelowZero = false
        if let sign = bytes.first, sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") {
            isBelowZero = sign == UInt8(ascii: "-")
            index += 1
        }
        var decimals: [UInt8] = []
        decimals.reserveCapacity(bytes.count)
        var point: Int?
        while index < bytes.endIndex {
            let byte = bytes[index]
            if isDigit(byte) {
                decimals.append(byte &- UInt8(ascii: "0"))
            } else if byte == UInt8(ascii: "."), point == nil {
                point = decimals.count
            } else {
                break
            }
            index += 1
        }
        guard !decimals.isEmpty else { throw Self.invalid(text) }
        let exponent = try Self.exponent(bytes[index...], of: text)
        let wholeDigits = (point ?? decimals.count) + exponent
        let scale = max(0, decimals.count - wholeDigits)
        guard scale <= Self.maximumScale else { throw Self.overflow }
        self = try Numeric(
            decimals: decimals, wholeDigits: wholeDigits, scale: UInt16(scale),
            isBelowZero: isBelowZero
        ).checked()
    }

    private static func exponent(
        _ bytes: ArraySlice<UInt8>, of text: ArraySlice<UInt8>
    ) throws(SQLError) -> Int {
        guard let first = bytes.first else { return 0 }
        let digits = bytes.dropFirst()
        guard first | 0x20 == UInt8(ascii: "e"), let next = digits.first, !isBlank(next) else {
            throw invalid(text)
        }
        switch scanInteger(digits) {
        case .value(let value) where value.magnitude < 1 << 20: return Int(value)
        case .value, .outOfRange: throw overflow
        case .invalid: throw invalid(text)
        }
    }

    /// The number `0.d₀d₁d₂… × 10^wholeDigits` from decimal digits.
    init(decimals: [UInt8], wholeDigits: Int, scale: UInt16, isBelowZero: Bool) {
        let weight = CivilCalendar.floorDivide(wholeDigits - 1, 4)
        // Zeros in front, to fill the first digit to base 10,000.
        var filled = (weight + 1) * 4 - wholeDigits
        var digits: [UInt16] = []
        digits.reserveCapacity((decimals.count + filled + 3) / 4)
        var digit: UInt16 = 0
        for decimal in decimals {
            digit = digit * 10 + UInt16(decimal)
            filled += 1
            if filled == 4 {
                digits.append(digit)
                digit = 0
                filled = 0
            }
        }
        if filled > 0 { digits.append(digit * UInt16(Self.powersOfTen[(4 - filled) & 3])) }
        self.init(
            digits: digits, weight: Int32(weight), scale: scale, isBelowZero: isBelowZero)
    }

    private static func special(_ text: ArraySlice<UInt8>) -> Numeric? {
        guard let last = text.last, isLetter(last) else { return nil }
        if matches(text, "nan") { return .nan }
        var word = text
        let negative = word.first == UInt8(ascii: "-")
        if negative || word.first == UInt8(ascii: "+") { word.removeFirst() }
        guard matches(word, "infinity") || matches(word, "inf") else { return nil }
        return negative ? .negativeInfinity : .infinity
    }

    private static func invalid(_ text: ArraySlice<UInt8>) -> SQLError {
        SQLError("22P02", "invalid input syntax for type numeric: \(quoted(text))")
    }

    /// Appends the number with as many decimals as ``scale`` says.
    package func appendText(to out: inout [UInt8]) {
        switch kind {
        case .notANumber: return append("NaN", to: &out)
        case .infinity: return append("Infinity", to: &out)
        case .negativeInfinity: return append("-Infinity", to: &out)
        case .finite: break
        }
        if isBelowZero { out.append(UInt8(ascii: "-")) }
        if digits.isEmpty || weight < 0 {
            out.append(UInt8(ascii: "0"))
        } else {
            appendDecimal(UInt64(digits[0]), to: &out)
            for power in stride(from: Int(weight) - 1, through: 0, by: -1) {
                appendDecimal(UInt64(digit(at: power)), width: 4, to: &out)
            }
        }
        guard scale > 0 else { return }
        out.append(UInt8(ascii: "."))
        let start = out.count
        var power = -1
        while out.count - start < Int(scale) {
            appendDecimal(UInt64(digit(at: power)), width: 4, to: &out)
            power -= 1
        }
        out.removeLast(out.count - start - Int(scale))
    }
}

extension Numeric: CustomStringConvertible {
    package var description: String {
        var bytes: [UInt8] = []
        appendText(to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }
}
