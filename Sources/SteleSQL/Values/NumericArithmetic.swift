/// Sums, products and quotients of exact decimals, with the scales that PostgreSQL gives them.
extension Numeric {
    /// The sum, with the larger of the two scales.
    package func adding(_ other: Numeric) throws(SQLError) -> Numeric {
        guard isFinite, other.isFinite else {
            if isNaN || other.isNaN || signum * other.signum < 0 && isInfinite && other.isInfinite {
                return .nan
            }
            return isInfinite ? self : other
        }
        let scale = max(scale, other.scale)
        if isBelowZero == other.isBelowZero {
            return try Self.sum(self, other, scale: scale, isBelowZero: isBelowZero).checked()
        }
        return compareMagnitude(other) >= 0
            ? Self.difference(self, other, scale: scale, isBelowZero: isBelowZero)
            : Self.difference(other, self, scale: scale, isBelowZero: other.isBelowZero)
    }

    /// The difference, with the larger of the two scales.
    package func subtracting(_ other: Numeric) throws(SQLError) -> Numeric {
        try adding(other.negated)
    }

    /// The product, with the sum of the scales.
    package func multiplied(by other: Numeric) throws(SQLError) -> Numeric {
        guard isFinite, other.isFinite else {
            let sign = signum * other.signum
            return sign == 0 ? .nan : sign < 0 ? .negativeInfinity : .infinity
        }
        let scale = Int(scale) + Int(other.scale)
        // The last digits of both give the last one of the product, however many there are.
        let digits = Self.product(self.digits, other.digits)
        let product = Numeric(
            digits: digits, weight: Int32(lastWeight + other.lastWeight + digits.count - 1),
            scale: UInt16(scale), isBelowZero: isBelowZero != other.isBelowZero)
        let limited =
            scale > Self.maximumScale
            ? product.rounded(toScale: Self.maximumScale) : product
        return try limited.checked()
    }

    /// The quotient, with at least 16 significant digits and no fewer decimals than either operand.
    package func divided(by other: Numeric) throws(SQLError) -> Numeric {
        if isNaN || other.isNaN { return .nan }
        if other.isZero { throw SQLError("22012", "division by zero") }
        if isInfinite {
            if other.isInfinite { return .nan }
            return signum * other.signum < 0 ? .negativeInfinity : .infinity
        }
        if other.isInfinite { return .zero }
        let scale = Self.quotientScale(self, other)
        // One decimal digit more than wanted decides the rounding.
        let last = -((scale + 4) / 4)
        return try Self.quotient(self, other, lastWeight: last, scale: Self.maximumScale)
            .rounded(toScale: scale).checked()
    }

    /// What is left of this number after taking away `other` a whole number of times; it has this
    /// number's sign.
    package func remainder(dividingBy other: Numeric) throws(SQLError) -> Numeric {
        if isNaN || other.isNaN { return .nan }
        if other.isZero { throw SQLError("22012", "division by zero") }
        if isInfinite { return .nan }
        if other.isInfinite { return self }
        let whole = Self.quotient(self, other, lastWeight: 0, scale: 0)
        let rest = try subtracting(whole.multiplied(by: other))
        return rest.rounded(toScale: Int(max(scale, other.scale)))
    }

    /// The number with the opposite sign.
    package var negated: Numeric {
        var result = self
        switch kind {
        case .finite: result.isBelowZero = !isBelowZero && !digits.isEmpty
        case .infinity: result.kind = .negativeInfinity
        case .negativeInfinity: result.kind = .infinity
        case .notANumber: break
        }
        return result
    }

    /// The number without its sign.
    package var magnitude: Numeric { signum < 0 ? negated : self }

    /// The largest whole number that is not above this one.
    package var floor: Numeric {
        let whole = truncated(toScale: 0)
        guard isFinite, isBelowZero, whole != self else { return whole }
        return Self.sum(whole, Numeric(1), scale: 0, isBelowZero: true)
    }

    /// The smallest whole number that is not below this one.
    package var ceiling: Numeric { negated.floor.negated }

    private static func sum(
        _ left: Numeric, _ right: Numeric, scale: UInt16, isBelowZero: Bool
    ) -> Numeric {
        combine(left, right, scale: scale, isBelowZero: isBelowZero) { $0 + $1 }
    }

    /// `left` is not below `right` in magnitude.
    private static func difference(
        _ left: Numeric, _ right: Numeric, scale: UInt16, isBelowZero: Bool
    ) -> Numeric {
        combine(left, right, scale: scale, isBelowZero: isBelowZero) { $0 - $1 }
    }

    @inline(__always)
    private static func combine(
        _ left: Numeric, _ right: Numeric, scale: UInt16, isBelowZero: Bool,
        _ operation: (Int, Int) -> Int
    ) -> Numeric {
        if right.digits.isEmpty || left.digits.isEmpty {
            let value = right.digits.isEmpty ? left : right
            return Numeric(
                digits: value.digits, weight: value.weight, scale: scale, isBelowZero: isBelowZero)
        }
        let first = Int(max(left.weight, right.weight)) + 1
        let last = min(left.lastWeight, right.lastWeight)
        var digits = [UInt16](repeating: 0, count: first - last + 1)
        var carry = 0
        for power in last...first {
            var digit = operation(left.digit(at: power), right.digit(at: power)) + carry
            carry = digit < 0 ? -1 : digit >= 10_000 ? 1 : 0
            digit -= carry * 10_000
            digits[first - power] = UInt16(digit)
        }
        return Numeric(digits: digits, weight: Int32(first), scale: scale, isBelowZero: isBelowZero)
    }

    private static func product(_ left: [UInt16], _ right: [UInt16]) -> [UInt16] {
        if min(left.count, right.count) > fewDigits { return largeProduct(left, right) }
        var digits = [UInt16](repeating: 0, count: left.count + right.count)
        for (index, factor) in left.enumerated().reversed() {
            var carry: UInt32 = 0
            for other in stride(from: right.count - 1, through: 0, by: -1) {
                let place = index + other + 1
                let sum = UInt32(factor) * UInt32(right[other]) + UInt32(digits[place]) + carry
                digits[place] = UInt16(sum % 10_000)
                carry = sum / 10_000
            }
            digits[index] = UInt16(carry)
        }
        return digits
    }

    private static let fewDigits = 16

    /// The same to base 100,000,000, where carries are left in place as long as nothing overflows.
    private static func largeProduct(_ left: [UInt16], _ right: [UInt16]) -> [UInt16] {
        let left = packed(left)
        let right = packed(right)
        var columns = [Int](repeating: 0, count: left.count + right.count)
        for (row, (place, factor)) in left.enumerated().reversed().enumerated() {
            // A column takes 900 products of less than 10^16.
            if row % 900 == 899 { carry(&columns) }
            columns.withUnsafeMutableBufferPointer { columns in
                right.withUnsafeBufferPointer { right in
                    for other in 0..<right.count {
                        columns[place + other + 1] &+= factor &* right[other]
                    }
                }
            }
        }
        carry(&columns)
        return unpacked(columns)
    }

    private static func carry(_ columns: inout [Int]) {
        var carry = 0
        for place in stride(from: columns.count - 1, through: 0, by: -1) {
            let sum = columns[place] + carry
            carry = sum / packedBase
            columns[place] = sum - carry * packedBase
        }
    }

    /// PostgreSQL's `select_div_scale`.
    private static func quotientScale(_ left: Numeric, _ right: Numeric) -> Int {
        var weight = Int(left.weight) - Int(right.weight)
        if (left.digits.first ?? 0) <= (right.digits.first ?? 0) { weight -= 1 }
        let scale = max(16 - weight * 4, Int(left.scale), Int(right.scale), 0)
        return min(scale, 1000)
    }
}

extension Numeric {
    /// About what an operation on two numbers takes, in nanoseconds: with thousands of digits each
    /// it may be a second.
    static func cost(of operation: ArithmeticOperator, _ left: Numeric, _ right: Numeric) -> Int {
        let (most, least) = (
            max(left.digits.count, right.digits.count), min(left.digits.count, right.digits.count)
        )
        switch operation {
        case .multiply: return most + WorkMeter.product(most, least) / 2
        case .divide, .remainder:
            // A quotient has as many digits as the dividend has more, and up to a thousand decimals.
            let quotient = max(0, Int(left.weight) - Int(right.weight)) + 256
            return 2 * most + 2 * WorkMeter.product(quotient, right.digits.count)
        default:
            return 4 * (most + abs(Int(left.weight) - Int(right.weight)))
        }
    }

    /// About what the square root takes.
    var rootCost: Int {
        let digits = abs(Int(weight)) / 2 + Int(scale) / 4 + 16
        return 4 * WorkMeter.product(digits, digits)
    }
}
