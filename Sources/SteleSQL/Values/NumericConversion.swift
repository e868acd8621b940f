/// Exact decimals from and to integers and floating-point numbers.
extension Numeric {
    /// A whole number, without decimals.
    package init(_ value: Int64) {
        var digits: [UInt16] = []
        var rest = value.magnitude
        while rest > 0 {
            digits.append(UInt16(rest % 10_000))
            rest /= 10_000
        }
        digits.reverse()
        self.init(
            digits: digits, weight: Int32(digits.count) - 1, scale: 0, isBelowZero: value < 0)
    }

    /// The value rounded to a whole number; nil when that is not finite or exceeds 64 bits.
    package var integerValue: Int64? {
        guard isFinite else { return nil }
        let whole = rounded(toScale: 0)
        guard whole.weight < 5 else { return nil }
        // Counted downwards, because there is one negative number more.
        var value: Int64 = 0
        for power in stride(from: Int(whole.weight), through: 0, by: -1) {
            let (product, tooLarge) = value.multipliedReportingOverflow(by: 10_000)
            let digit = Int64(whole.digit(at: power))
            let (difference, tooSmall) = product.subtractingReportingOverflow(digit)
            if tooLarge || tooSmall { return nil }
            value = difference
        }
        if whole.isBelowZero { return value }
        return value == .min ? nil : -value
    }

    /// The nearest double; infinite when the value is beyond the range of doubles.
    package var doubleValue: Double {
        switch kind {
        case .notANumber: return .nan
        case .infinity: return .infinity
        case .negativeInfinity: return -.infinity
        case .finite: break
        }
        let exponent = 4 * lastWeight
        if digits.count <= 3, exponent.magnitude <= 20 {
            // Both operands are exact, so the one operation rounds correctly.
            let whole = Double(digits.reduce(0 as Int64) { $0 * 10_000 + Int64($1) })
            let power = Self.powers[Int(exponent.magnitude) / 4]
            let value = exponent < 0 ? whole / power : whole * power
            return isBelowZero ? -value : value
        }
        return Double(description) ?? .nan
    }

    private static let powers: [Double] = [1, 1e4, 1e8, 1e12, 1e16, 1e20]

    /// The value to the 15 significant digits that every double has, as PostgreSQL converts.
    package init(approximating value: Double) { self.init(value, significantDigits: 15) }

    /// The value to the 6 significant digits that every float has, as PostgreSQL converts.
    package init(approximating value: Float) { self.init(Double(value), significantDigits: 6) }

    private init(_ value: Double, significantDigits: Int) {
        if value.isNaN {
            self = .nan
        } else if value.isInfinite {
            self = value < 0 ? .negativeInfinity : .infinity
        } else if let integer = Int64(exactly: value), integer.magnitude < 1_000_000 {
            self.init(integer)
        } else {
            var (decimals, wholeDigits) = Self.exactDecimals(value.magnitude)
            Self.round(&decimals, to: significantDigits, wholeDigits: &wholeDigits)
            self.init(
                decimals: decimals, wholeDigits: wholeDigits,
                scale: UInt16(max(0, decimals.count - wholeDigits)), isBelowZero: value < 0)
        }
    }

    /// All decimal digits of a finite number above 0: every double is a decimal fraction.
    private static func exactDecimals(_ value: Double) -> (decimals: [UInt8], wholeDigits: Int) {
        // significand × 2^-shift, with a whole significand.
        let shift = value.isNormal ? 52 - Int(value.exponent) : 1074
        let significand = value.significandBitPattern | (value.isNormal ? 1 << 52 : 0)
        // Dividing by 2^n is multiplying by 5^n and moving the point by n places.
        let power = product(
            of: Numeric(Int64(significand)).digits, powerOf: shift < 0 ? 2 : 5,
            exponent: Int(shift.magnitude))
        var text: [UInt8] = []
        Numeric(digits: power, weight: Int32(power.count) - 1, scale: 0).appendText(to: &text)
        let decimals = text.map { $0 &- UInt8(ascii: "0") }
        return (decimals, decimals.count - max(shift, 0))
    }

    /// The whole number with these digits times `base^exponent`.
    private static func product(
        of digits: [UInt16], powerOf base: UInt32, exponent: Int
    ) -> [UInt16] {
        var digits = digits
        var exponent = exponent
        while exponent > 0 {
            let step = min(exponent, 5)
            let factor = (0..<step).reduce(1 as UInt32) { product, _ in product * base }
            digits = scale(digits, by: factor)
            if digits[0] == 0 { digits.removeFirst() }
            exponent -= step
        }
        return digits
    }

    /// Rounds half to even, as C's `%g` does, and removes the zeros behind the last digit.
    private static func round(
        _ decimals: inout [UInt8], to count: Int, wholeDigits: inout Int
    ) {
        if decimals.count > count {
            let next = decimals[count]
            let isTie = next == 5 && decimals[(count + 1)...].allSatisfy { $0 == 0 }
            let roundsUp = isTie ? decimals[count - 1] % 2 == 1 : next >= 5
            decimals.removeLast(decimals.count - count)
            if roundsUp {
                while decimals.last == 9 { decimals.removeLast() }
                if decimals.isEmpty {
                    decimals = [1]
                    wholeDigits += 1
                } else {
                    decimals[decimals.count - 1] += 1
                }
            }
        }
        while decimals.last == 0 { decimals.removeLast() }
    }
}
