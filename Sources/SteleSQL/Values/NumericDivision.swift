/// Long division to base 10,000 (Knuth, The Art of Computer Programming, 4.3.1, algorithm D).
extension Numeric {
    /// The quotient of finite numbers, cut off after the digit at the power `last` of 10,000.
    static func quotient(
        _ left: Numeric, _ right: Numeric, lastWeight last: Int, scale: Int
    ) -> Numeric {
        // Both as whole numbers, the dividend shifted so that the quotient's last digit is at 0.
        let shift = left.lastWeight - right.lastWeight - last
        var dividend = left.digits
        if shift >= 0 {
            dividend.append(contentsOf: repeatElement(0, count: shift))
        } else {
            dividend.removeLast(min(dividend.count, -shift))
        }
        let digits = divide(dividend, by: right.digits)
        return Numeric(
            digits: digits, weight: Int32(last + digits.count - 1), scale: UInt16(scale),
            isBelowZero: left.isBelowZero != right.isBelowZero)
    }

    /// The whole part of a quotient of whole numbers; the divisor begins with a digit above 0.
    private static func divide(_ dividend: [UInt16], by divisor: [UInt16]) -> [UInt16] {
        guard dividend.count >= divisor.count, !dividend.isEmpty else { return [] }
        if divisor.count == 1 { return divide(dividend, by: UInt32(divisor[0])) }
        // Scaling makes the first digit of the divisor at least half the base, so that a guess
        // from the first two digits is at most two too large.
        let factor = 10_000 / (UInt32(divisor[0]) + 1)
        let divisor = scale(divisor, by: factor).dropFirst().map { Int($0) }
        var rest = scale(dividend, by: factor).map { Int($0) }
        let width = divisor.count
        var quotient: [UInt16] = []
        quotient.reserveCapacity(rest.count - width)
        for start in 0..<(rest.count - width) {
            let head = rest[start] * 10_000 + rest[start + 1]
            var guess = min(head / divisor[0], 9999)
            while guess * divisor[1] > (head - guess * divisor[0]) * 10_000 + rest[start + 2] {
                guess -= 1
            }
            if guess > 0, subtract(guess, times: divisor, from: &rest, at: start) {
                guess -= 1
                add(divisor, to: &rest, at: start)
            }
            quotient.append(UInt16(guess))
        }
        return quotient
    }

    private static func divide(_ dividend: [UInt16], by divisor: UInt32) -> [UInt16] {
        var rest: UInt32 = 0
        return dividend.map { digit in
            let value = rest * 10_000 + UInt32(digit)
            rest = value % divisor
            return UInt16(value / divisor)
        }
    }

    /// The digits times `factor`, with one digit more in front.
    private static func scale(_ digits: [UInt16], by factor: UInt32) -> [UInt16] {
        var result = [UInt16](repeating: 0, count: digits.count + 1)
        var carry: UInt32 = 0
        for index in stride(from: digits.count - 1, through: 0, by: -1) {
            let value = UInt32(digits[index]) * factor + carry
            result[index + 1] = UInt16(value % 10_000)
            carry = value / 10_000
        }
        result[0] = UInt16(carry)
        return result
    }

    /// Returns whether the result is below 0, in which case one divisor has to be added back.
    private static func subtract(
        _ factor: Int, times divisor: [Int], from rest: inout [Int], at start: Int
    ) -> Bool {
        var borrow = 0
        for index in stride(from: divisor.count - 1, through: 0, by: -1) {
            let value = rest[start + 1 + index] - factor * divisor[index] - borrow
            borrow = -CivilCalendar.floorDivide(value, 10_000)
            rest[start + 1 + index] = value + borrow * 10_000
        }
        rest[start] -= borrow
        return rest[start] < 0
    }

    private static func add(_ divisor: [Int], to rest: inout [Int], at start: Int) {
        var carry = 0
        for index in stride(from: divisor.count - 1, through: 0, by: -1) {
            let value = rest[start + 1 + index] + divisor[index] + carry
            carry = value >= 10_000 ? 1 : 0
            rest[start + 1 + index] = value - carry * 10_000
        }
        rest[start] += carry
    }
}
