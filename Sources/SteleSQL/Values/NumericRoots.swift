extension Numeric {
    /// The square root with at least 16 significant digits, and the scale of PostgreSQL's.
    func squareRoot() throws(SQLError) -> Numeric {
        if isNaN || kind == .infinity { return self }
        // Half of the digits in front of the point are in front of the root's.
        let rootWeight = (Int(weight) + 1) * 2 - 1
        let scale = min(max(16 - rootWeight, Int(self.scale), 0), 1_000)
        return try squareRoot(scale: scale)
    }

    /// The square root, rounded to so many decimals.
    func squareRoot(scale: Int) throws(SQLError) -> Numeric {
        guard signum >= 0 else {
            throw SQLError("2201F", "cannot take square root of a negative number")
        }
        guard !isZero else { return Numeric.zero.rounded(toScale: scale) }
        // Newton's steps at some digits more than are wanted: each doubles those that are right.
        let guardScale = scale + 8
        let last = CivilCalendar.floorDivide(-guardScale, 4)
        var root = try approximateRoot(last)
        while true {
            let quotient = Self.quotient(self, root, lastWeight: last, scale: guardScale)
            let sum = try root.adding(quotient)
            let next = try sum.multiplied(by: Self.half).rounded(toScale: guardScale)
            if next.distanceIsSmall(to: root, last) { return try rounded(next, scale, last) }
            root = next
        }
    }

    /// An approximate root, whose digits down to the power `last` are right, rounded as the root itself
    /// is: where it lies too close to the middle of two numbers the square of the middle decides.
    private func rounded(_ root: Numeric, _ scale: Int, _ last: Int) throws(SQLError) -> Numeric {
        let below = root.truncated(toScale: scale)
        let half = Numeric(
            decimals: [5], wholeDigits: -scale, scale: UInt16(min(scale + 1, Self.maximumScale)),
            isBelowZero: false)
        let middle = try below.adding(half)
        guard root.distanceIsSmall(to: middle, last) else { return root.rounded(toScale: scale) }
        let isBelow = try middle.multiplied(by: middle).subtracting(self).signum > 0
        return isBelow ? below : try below.adding(half).adding(half).rounded(toScale: scale)
    }

    /// Almost the root, from steps that each compute twice as many digits as the one before, down to
    /// the power `last`: all of them together take less than one with all digits.
    private func approximateRoot(_ last: Int) throws(SQLError) -> Numeric {
        var root = try rootGuess()
        // A guess in binary floating point is right to three digits at least.
        var right = 3
        while Int(root.weight) - right > last {
            right = 2 * right - 1
            let power = max(Int(root.weight) - right, last)
            let quotient = Self.quotient(
                self, root, lastWeight: power, scale: min(max(0, -4 * power), Self.maximumScale))
            root = try root.adding(quotient).multiplied(by: Self.half).cut(after: power)
        }
        return root
    }

    /// The number without its digits below a power of 10,000.
    private func cut(after power: Int) -> Numeric {
        guard lastWeight < power else { return self }
        return Numeric(
            digits: Array(digits.prefix(max(0, Int(weight) - power + 1))), weight: weight,
            scale: UInt16(min(max(0, -4 * power), Self.maximumScale)))
    }

    private static let half = Numeric(digits: [5000], weight: -1, scale: 1)

    /// From the first digits: the root of a number of an even power of the base.
    private func rootGuess() throws(SQLError) -> Numeric {
        let power = CivilCalendar.floorDivide(Int(weight), 2)
        var head = 0.0
        for place in 0..<4 { head = head * 10_000 + Double(digit(at: 2 * power + 1 - place)) }
        // The head counts from 2·power + 1 down to 2·power - 2.
        let root = (head * 1e-8).squareRoot()
        let guess = Numeric(approximating: max(root, 1e-4))
        return Numeric(
            digits: guess.digits, weight: guess.weight + Int32(power), scale: guess.scale)
    }

    /// Whether two numbers differ by no more than the last digit of the calculation.
    private func distanceIsSmall(to other: Numeric, _ last: Int) -> Bool {
        guard let difference = try? subtracting(other), !difference.isZero else { return true }
        return Int(difference.weight) <= last
    }

    /// The quotient without its fraction.
    func wholeQuotient(dividingBy divisor: Numeric) throws(SQLError) -> Numeric {
        guard isFinite, divisor.isFinite, !divisor.isZero else {
            // The same special cases as of a division.
            return try divided(by: divisor).truncated(toScale: 0)
        }
        if isZero { return .zero }
        return Self.quotient(self, divisor, lastWeight: 0, scale: 0)
    }
}
