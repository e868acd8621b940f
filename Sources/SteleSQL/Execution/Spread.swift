/// How far numbers are from their average, for `variance` and `stddev`, and the average of
/// floating-point numbers.
///
/// Floating-point numbers are taken in by the method of Youngs and Cramer, which PostgreSQL uses
/// too, so that the results agree to the last digit; all others are summed exactly.
struct Spread {
    private var count: Int64 = 0
    private var sum = Numeric.zero
    private var squares = Numeric.zero
    private var isDouble = false
    private var doubleSum = 0.0
    /// The sum of the squares of the distances from the average.
    private var doubleSquares = 0.0

    mutating func add(_ datum: Datum) throws(SQLError) {
        count += 1
        switch datum {
        case .double(let value): try add(value)
        case .int(let value): try add(Numeric(value))
        case .numeric(let value): try add(value)
        default: break
        }
    }

    private mutating func add(_ value: Numeric) throws(SQLError) {
        sum = try sum.adding(value)
        squares = try squares.adding(value.multiplied(by: value))
    }

    private mutating func add(_ value: Double) throws(SQLError) {
        isDouble = true
        let number = Double(count)
        let before = doubleSum
        doubleSum += value
        guard count > 1 else {
            if !value.isFinite { doubleSquares = .nan }
            return
        }
        let distance = value * number - doubleSum
        doubleSquares += distance * distance / (number * (number - 1))
        guard doubleSum.isInfinite || doubleSquares.isInfinite else { return }
        // Infinite of finite numbers, or of infinite ones.
        guard before.isInfinite || value.isInfinite else {
            throw SQLError("22003", "value out of range: overflow")
        }
        doubleSquares = .nan
    }

    /// The average of floating-point numbers.
    var average: Double { doubleSum / Double(count) }

    /// Null of no numbers, and of a single one if they are a sample.
    func variance(isSample: Bool) throws(SQLError) -> Datum {
        let (dividend, divisor) = (count, isSample ? count - 1 : count)
        guard divisor > 0 else { return .null }
        if isDouble { return .double(doubleSquares / Double(divisor)) }
        guard let value = try numericVariance(dividend, divisor) else { return .numeric(.zero) }
        return .numeric(value)
    }

    func deviation(isSample: Bool) throws(SQLError) -> Datum {
        switch try variance(isSample: isSample) {
        case .double(let variance): return .double(variance.squareRoot())
        case .numeric(let variance):
            if !variance.isFinite || variance.isZero { return .numeric(variance) }
            return .numeric(try variance.squareRoot(scale: Int(variance.scale)))
        default: return .null
        }
    }

    /// About what the result takes, in nanoseconds: some products, a quotient and a root.
    var resultCost: Int {
        guard !squares.isZero, squares.isFinite else { return 0 }
        return 4 * Numeric.cost(of: .multiply, sum, sum) + 2 * squares.rootCost
    }

    /// nil if all numbers are equal.
    private func numericVariance(_ count: Int64, _ divisor: Int64) throws(SQLError) -> Numeric? {
        guard sum.isFinite, squares.isFinite else { return .nan }
        let whole = try Numeric(count).multiplied(by: squares)
        let distance = try whole.subtracting(sum.multiplied(by: sum))
        guard distance.signum > 0 else { return nil }
        return try distance.divided(by: Numeric(count).multiplied(by: Numeric(divisor)))
    }
}
