/// The decimal digits of floating-point numbers: the fewest that suffice, or all of them.

/// The fewest decimal digits that tell a number from its neighbours.
///
/// Swift's `description` has them, but for numbers of which the shortest form lies exactly halfway
/// to a neighbour. Reading rounds such a tie to even and so may give the number back, but
/// PostgreSQL does not rely on it (1e23 is `9.999999999999999e+22`), and neither do we.
struct ShortestDecimal {
    /// The digits d₀.d₁d₂…, each from 0 to 9, without zeros at either end; none for 0.
    private(set) var digits: [UInt8] = []
    /// The power of ten of the first digit.
    private(set) var exponent = 0
    private(set) var isInfinite = false
    private(set) var isNaN = false

    init(_ value: Double) {
        self.init(description: value.description)
        // Below, numbers halfway between two have more digits than the shortest forms.
        guard value.magnitude >= 0x1p53, value.magnitude < 1e40 else { return }
        resolveTie(
            value.magnitude, significand: value.significandBitPattern | 1 << 52, bits: 53,
            power: Int(value.exponent) - 52)
    }

    init(_ value: Float) {
        self.init(description: value.description)
        guard value.magnitude >= 0x1p24, value.isFinite else { return }
        resolveTie(
            Double(value.magnitude), significand: UInt64(value.significandBitPattern | 1 << 23),
            bits: 24, power: Int(value.exponent) - 23)
    }

    /// Takes Swift's form apart: `-1.25e-07`, `100.0`, `inf`.
    private init(description: String) {
        digits.reserveCapacity(20)
        var point: Int?
        var power = 0
        var rest = description.utf8[...]
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "-"): continue
            case UInt8(ascii: "."): point = digits.count
            case UInt8(ascii: "e"):
                power = Int(Substring(rest)) ?? 0
                rest = rest[rest.endIndex...]
            case UInt8(ascii: "i"):
                isInfinite = true
                return
            case UInt8(ascii: "n"):
                isNaN = true
                return
            default: digits.append(byte &- UInt8(ascii: "0"))
            }
        }
        exponent = (point ?? digits.count) + power - 1
        while digits.last == 0 { digits.removeLast() }
        let zeros = digits.prefix { $0 == 0 }.count
        digits.removeFirst(zeros)
        exponent -= zeros
    }

    /// Adds digits while the decimal is halfway to a neighbour of `significand × 2^power`.
    private mutating func resolveTie(
        _ value: Double, significand: UInt64, bits: Int, power: Int
    ) {
        guard isHalfway(significand, bits: bits, power: power) else { return }
        let exact = ExactDecimal(value)
        for count in (digits.count + 1)...17 {
            let candidate = exact.rounded(to: count)
            digits = candidate.digits
            exponent = candidate.wholeDigits - 1
            let text =
                ArraySlice(digits.map { $0 &+ UInt8(ascii: "0") })
                + Array("e\(exponent + 1 - digits.count)".utf8)
            let reads =
                bits == 24
                ? Double(Float(String(decoding: text, as: UTF8.self)) ?? 0)
                : Double(String(decoding: text, as: UTF8.self)) ?? 0
            if reads == value, !isHalfway(significand, bits: bits, power: power) { return }
        }
    }

    /// Whether the decimal is the mean of `significand × 2^power` and the next number either way.
    private func isHalfway(_ significand: UInt64, bits: Int, power: Int) -> Bool {
        // The decimal is odd × 2^twos × 5^zeros; the mean is odd as well times a power of two.
        let whole = digits.reduce(0 as UInt64) { $0 * 10 + UInt64($1) }
        let zeros = exponent + 1 - digits.count
        guard zeros >= 0, whole > 0 else { return false }
        let twos = whole.trailingZeroBitCount
        var odd = whole >> UInt64(twos)
        for _ in 0..<zeros {
            let (product, overflow) = odd.multipliedReportingOverflow(by: 5)
            if overflow { return false }
            odd = product
        }
        let exponentOfTwo = twos + zeros
        if odd == 2 * significand + 1 { return exponentOfTwo == power - 1 }
        // Numbers below a power of two are twice as dense.
        return significand == 1 << UInt64(bits - 1)
            ? odd == 4 * significand - 1 && exponentOfTwo == power - 2
            : odd == 2 * significand - 1 && exponentOfTwo == power - 1
    }
}

/// All decimal digits of a finite floating-point number above 0, each of which has finitely many.
struct ExactDecimal {
    /// The digits from 0 to 9, the first one above 0.
    private(set) var digits: [UInt8]
    /// How many of them stand before the point; below 0, the zeros behind it.
    private(set) var wholeDigits: Int

    init(_ value: Double) {
        // significand × 2^-shift; dividing by 2^n is multiplying by 5^n and moving the point.
        let shift = value.isNormal ? 52 - Int(value.exponent) : 1074
        var rest = value.significandBitPattern | (value.isNormal ? 1 << 52 : 0)
        /// To base 10,000, the least significant first.
        var number: [UInt32] = []
        while rest > 0 {
            number.append(UInt32(rest % 10_000))
            rest /= 10_000
        }
        for _ in 0..<shift.magnitude { Self.multiply(&number, by: shift < 0 ? 2 : 5) }
        digits = number.reversed().flatMap { digit in
            [digit / 1000, digit / 100 % 10, digit / 10 % 10, digit % 10].map { UInt8($0) }
        }
        digits.removeFirst(digits.prefix { $0 == 0 }.count)
        wholeDigits = digits.count - max(shift, 0)
    }

    private static func multiply(_ number: inout [UInt32], by factor: UInt32) {
        var carry: UInt32 = 0
        for index in number.indices {
            let value = number[index] * factor + carry
            number[index] = value % 10_000
            carry = value / 10_000
        }
        if carry > 0 { number.append(carry) }
    }

    /// At most `count` digits, half to even as C's `%g` does, without zeros behind the last one.
    func rounded(to count: Int) -> ExactDecimal {
        var result = self
        if digits.count > count {
            let next = digits[count]
            let isTie = next == 5 && digits[(count + 1)...].allSatisfy { $0 == 0 }
            result.digits.removeLast(digits.count - count)
            if isTie ? digits[count - 1] % 2 == 1 : next >= 5 { result.increment() }
        }
        while result.digits.last == 0 { result.digits.removeLast() }
        return result
    }

    private mutating func increment() {
        while digits.last == 9 { digits.removeLast() }
        if digits.isEmpty {
            digits = [1]
            wholeDigits += 1
        } else {
            digits[digits.count - 1] += 1
        }
    }
}
