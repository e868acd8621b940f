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
