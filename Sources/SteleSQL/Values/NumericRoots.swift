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
        // With eight decimals more: the first of them says how to round.
        let last = CivilCalendar.floorDivide(-(scale + 8), 8)
        let first = CivilCalendar.floorDivide(Int(weight), 4)
        guard first >= last else { return Numeric.zero.rounded(toScale: scale) }
        var square = [Int64](repeating: 0, count: 2 * (first - last + 1))
        for place in square.indices {
            let power = 2 * (2 * first + 1 - place)
            square[place] = Int64(digit(at: power + 1) * 10_000 + digit(at: power))
        }
        var digits: [UInt16] = []
        digits.reserveCapacity(square.count)
        for limb in RootDigits.root(ofSquare: square) {
            digits.append(UInt16(limb / 10_000))
            digits.append(UInt16(limb % 10_000))
        }
        let root = Numeric(
            digits: digits, weight: Int32(2 * first + 1),
            scale: UInt16(min(max(0, -8 * last), Self.maximumScale)))
        return root.rounded(toScale: scale)
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

/// Square roots by hand, as one learns it at school, with digits to base 10⁸.
///
/// Digit after digit of the root is found from the first digits of what remains of the square, as in a
/// division (Knuth, The Art of Computer Programming 2, section 4.3.1, algorithm D) whose divisor, twice
/// the root, grows. Carries are left for later, and a digit may be wrong by one, below zero too: what
/// remains is exact all the same, and the next digit makes up for it.
private enum RootDigits {
    private static let base: Int64 = 100_000_000

    /// Steps until carries are made, so that no digit of what remains grows beyond 64 bits: each takes
    /// at most `2 · 2 · 2 · base²` from one.
    private static let stepsBetweenCarries = 64

    /// The root without its fraction of an integer of an even number of digits, the first pair of which
    /// is not zero.
    static func root(ofSquare square: [Int64]) -> [Int64] {
        var rest = square
        let count = square.count / 2
        var root = [Int64](repeating: 0, count: count)
        let head = firstDigits(square)
        root[0] = head.first
        rest[1] += rest[0] * base - root[0] * root[0]
        rest[0] = 0
        for place in 1..<max(1, count) {
            if place % stepsBetweenCarries == 0 { carry(&rest, from: 2 * place + 1, to: place + 1) }
            let digit = place == 1 ? head.second : nextDigit(root, rest, place)
            root[place] = digit
            let double = 2 * digit
            rest.withUnsafeMutableBufferPointer { rest in
                root.withUnsafeBufferPointer { root in
                    for index in 0..<place { rest[place + 1 + index] &-= double &* root[index] }
                }
            }
            rest[2 * place + 1] -= digit * digit
            // What is left there is small, together with the next.
            rest[place + 1] += rest[place] * base
            rest[place] = 0
        }
        carry(&root, from: count - 1, to: 0)
        carry(&rest, from: rest.count - 1, to: count)
        settle(&root, &rest)
        return root
    }

    /// Two digits at once: one alone may be too small to divide by.
    private static func firstDigits(_ square: [Int64]) -> (first: Int64, second: Int64) {
        var head: UInt128 = 0
        for place in 0..<4 {
            head = head * UInt128(base) + UInt128(place < square.count ? square[place] : 0)
        }
        var root = UInt128(Double(head).squareRoot())
        while root * root > head { root -= 1 }
        while (root + 1) * (root + 1) <= head { root += 1 }
        let (first, second) = root.quotientAndRemainder(dividingBy: UInt128(base))
        return (Int64(first), Int64(second))
    }

    /// From the first digits of what remains and of twice the root.
    private static func nextDigit(_ root: [Int64], _ rest: [Int64], _ place: Int) -> Int64 {
        let base = Double(base)
        var divisor = Double(root[0]) + Double(root[1]) / base
        if place > 2 { divisor += Double(root[2]) / (base * base) }
        var dividend = Double(rest[place] * Self.base + rest[place + 1])
        dividend += Double(rest[place + 2]) / base + Double(rest[place + 3]) / (base * base)
        return Int64(dividend / (2 * divisor))
    }

    /// Brings digits below the base; the first takes what is carried out of the others.
    private static func carry(_ digits: inout [Int64], from last: Int, to first: Int) {
        guard first < last else { return }
        for place in stride(from: last, to: first, by: -1) {
            var high = digits[place] / base
            var low = digits[place] % base
            if low < 0 {
                low += base
                high -= 1
            }
            digits[place] = low
            digits[place - 1] += high
        }
    }

    /// Corrects the root by ones, until what remains is neither below zero nor above twice the root.
    private static func settle(_ root: inout [Int64], _ rest: inout [Int64]) {
        let count = root.count
        // Adds so many times 2·root + 1, after or before the root changes by one.
        func add(_ sign: Int64) {
            for place in 0..<count { rest[count + place] += sign * 2 * root[place] }
            rest[2 * count - 1] += sign
            carry(&rest, from: rest.count - 1, to: count)
        }
        func step(_ sign: Int64) {
            root[count - 1] += sign
            carry(&root, from: count - 1, to: 0)
        }
        while rest[count] < 0 {
            step(-1)
            add(1)
        }
        while true {
            let before = rest
            add(-1)
            guard rest[count] >= 0 else {
                rest = before
                return
            }
            step(1)
        }
    }
}
