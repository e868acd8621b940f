/// Long division to base 100,000,000 (Knuth, The Art of Computer Programming, 4.3.1, algorithm D).
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
        return unpacked(divide(packed(dividend), by: packed(divisor)))
    }

    private static func divide(_ dividend: [Int], by divisor: [Int]) -> [Int] {
        if divisor.count == 1 { return divide(dividend, by: divisor[0]) }
        // Scaling makes the first digit of the divisor at least half the base, so that a guess
        // from the first two digits is at most two too large.
        let factor = packedBase / (divisor[0] + 1)
        let divisor = Array(scale(divisor, by: factor).dropFirst())
        var rest = scale(dividend, by: factor)
        let width = divisor.count
        var quotient: [Int] = []
        guard rest.count > width else { return quotient }
        quotient.reserveCapacity(rest.count - width)
        for start in 0..<(rest.count - width) {
            let head = rest[start] * packedBase + rest[start + 1]
            var guess = min(head / divisor[0], packedBase - 1)
            while guess * divisor[1] > (head - guess * divisor[0]) * packedBase + rest[start + 2] {
                guess -= 1
            }
            if guess > 0, subtract(guess, times: divisor, from: &rest, at: start) {
                guess -= 1
                add(divisor, to: &rest, at: start)
            }
            quotient.append(guess)
        }
        return quotient
    }

    private static func divide(_ dividend: [Int], by divisor: Int) -> [Int] {
        var rest = 0
        return dividend.map { digit in
            let value = rest * packedBase + digit
            rest = value % divisor
            return value / divisor
        }
    }

    /// The digits times `factor`, with one digit more in front.
    private static func scale(_ digits: [Int], by factor: Int) -> [Int] {
        var result = [Int](repeating: 0, count: digits.count + 1)
        var carry = 0
        for index in stride(from: digits.count - 1, through: 0, by: -1) {
            let value = digits[index] * factor + carry
            result[index + 1] = value % packedBase
            carry = value / packedBase
        }
        result[0] = carry
        return result
    }

    /// Returns whether the result is below 0, in which case one divisor has to be added back.
    private static func subtract(
        _ factor: Int, times divisor: [Int], from rest: inout [Int], at start: Int
    ) -> Bool {
        var borrow = 0
        rest.withUnsafeMutableBufferPointer { rest in
            for index in stride(from: divisor.count - 1, through: 0, by: -1) {
                // Above -10^16: what is borrowed is rounded up to whole digits.
                let value = rest[start + 1 + index] - factor * divisor[index] - borrow
                borrow = value < 0 ? (packedBase - 1 - value) / packedBase : 0
                rest[start + 1 + index] = value + borrow * packedBase
            }
            rest[start] -= borrow
        }
        return rest[start] < 0
    }

    private static func add(_ divisor: [Int], to rest: inout [Int], at start: Int) {
        var carry = 0
        for index in stride(from: divisor.count - 1, through: 0, by: -1) {
            let value = rest[start + 1 + index] + divisor[index] + carry
            carry = value >= packedBase ? 1 : 0
            rest[start + 1 + index] = value - carry * packedBase
        }
        rest[start] += carry
    }
}

extension Numeric {
    /// The base of long calculations: two digits in one.
    static let packedBase = 100_000_000

    /// Digits of a whole number to base 10,000 as such to base 100,000,000, from the last one on.
    static func packed(_ digits: [UInt16]) -> [Int] {
        var packed: [Int] = []
        packed.reserveCapacity(digits.count / 2 + 1)
        var index = digits.count % 2
        if index == 1 { packed.append(Int(digits[0])) }
        while index < digits.count {
            packed.append(Int(digits[index]) * 10_000 + Int(digits[index + 1]))
            index += 2
        }
        return packed
    }

    static func unpacked(_ packed: [Int]) -> [UInt16] {
        var digits: [UInt16] = []
        digits.reserveCapacity(2 * packed.count)
        for pair in packed {
            digits.append(UInt16(pair / 10_000))
            digits.append(UInt16(pair % 10_000))
        }
        return digits
    }
}
