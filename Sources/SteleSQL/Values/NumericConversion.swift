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
        } else if let integer = value.exactInteger, integer.magnitude < 1_000_000 {
            self.init(integer)
        } else {
            let decimal = ExactDecimal(value.magnitude).rounded(to: significantDigits)
            self.init(
                decimals: decimal.digits, wholeDigits: decimal.wholeDigits,
                scale: UInt16(max(0, decimal.digits.count - decimal.wholeDigits)),
                isBelowZero: value < 0)
        }
    }
}
