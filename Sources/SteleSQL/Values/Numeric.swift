/// An exact decimal number with PostgreSQL's range, results and rounding.
///
/// The value is `±d₀.d₁d₂… × 10000^weight`: digits to base 10,000, as PostgreSQL holds and sends
/// them, so that the wire format is a copy. Digits carry no zeros at either end, which makes one
/// value one sequence of digits; ``scale`` says how many decimal digits to show and takes no part
/// in comparison. Results of operations are rounded half away from zero.
package struct Numeric: Sendable {
    enum Kind: UInt8 {
        case finite, infinity, negativeInfinity, notANumber
    }

    /// Digits to base 10,000, the most significant first; none for 0.
    var digits: [UInt16]
    /// The power of 10,000 of the first digit.
    var weight: Int32
    /// Decimal digits shown after the point.
    package internal(set) var scale: UInt16
    var kind: Kind
    /// Whether a finite value is below 0.
    var isBelowZero: Bool

    /// Largest number of decimal digits after the point.
    static let maximumScale = 16_383
    /// Powers of 10,000 that the first digit may have.
    static let weights: ClosedRange<Int32> = -32_768...32_767

    /// How many bytes its text has, at the most: few digits may stand for many.
    var shownBytes: Int { 8 + 4 * max(0, Int(weight) + 1) + Int(scale) }

    package static let zero = Numeric(digits: [], weight: 0, scale: 0)
    package static let nan = Numeric(kind: .notANumber)
    package static let infinity = Numeric(kind: .infinity)
    package static let negativeInfinity = Numeric(kind: .negativeInfinity)

    /// A finite value; zeros at either end of `digits` are removed.
    init(digits: [UInt16], weight: Int32, scale: UInt16, isBelowZero: Bool = false) {
        self.digits = digits
        self.weight = weight
        self.scale = scale
        self.kind = .finite
        self.isBelowZero = isBelowZero
        normalize()
    }

    private init(kind: Kind) {
        self.digits = []
        self.weight = 0
        self.scale = 0
        self.kind = kind
        self.isBelowZero = false
    }

    package var isNaN: Bool { kind == .notANumber }
    package var isInfinite: Bool { kind == .infinity || kind == .negativeInfinity }
    package var isFinite: Bool { kind == .finite }
    package var isZero: Bool { isFinite && digits.isEmpty }

    /// -1, 0 or 1; 0 for NaN.
    package var signum: Int {
        switch kind {
        case .finite: digits.isEmpty ? 0 : isBelowZero ? -1 : 1
        case .infinity: 1
        case .negativeInfinity: -1
        case .notANumber: 0
        }
    }

    /// The power of 10,000 of the last digit.
    var lastWeight: Int { Int(weight) - digits.count + 1 }

    /// The digit at a power of 10,000.
    func digit(at power: Int) -> Int {
        let index = Int(weight) - power
        return index >= 0 && index < digits.count ? Int(digits[index]) : 0
    }

    private mutating func normalize() {
        let trailing = digits.reversed().prefix { $0 == 0 }.count
        if trailing > 0 { digits.removeLast(trailing) }
        let leading = digits.prefix { $0 == 0 }.count
        if leading > 0 {
            digits.removeFirst(leading)
            weight -= Int32(leading)
        }
        if digits.isEmpty {
            weight = 0
            isBelowZero = false
        }
    }

    /// Fails when the number cannot be held or sent in PostgreSQL's format.
    func checked() throws(SQLError) -> Numeric {
        guard Self.weights.contains(weight), scale <= Self.maximumScale else {
            throw Self.overflow
        }
        return self
    }

    static let overflow = SQLError("22003", "value overflows numeric format")
}

extension Numeric: Hashable {
    package static func == (left: Numeric, right: Numeric) -> Bool {
        left.kind == right.kind && left.isBelowZero == right.isBelowZero
            && left.weight == right.weight && left.digits == right.digits
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(kind)
        hasher.combine(isBelowZero)
        hasher.combine(weight)
        hasher.combine(digits)
    }

    /// -1, 0 or 1 as this value sorts before, with or after `other`; NaN sorts last.
    package func compare(_ other: Numeric) -> Int {
        guard isFinite, other.isFinite else { return order(kindRank, other.kindRank) }
        let sign = signum
        guard sign == other.signum, sign != 0 else { return order(sign, other.signum) }
        return sign * compareMagnitude(other)
    }

    /// Compares without regard to signs.
    func compareMagnitude(_ other: Numeric) -> Int {
        if digits.isEmpty || other.digits.isEmpty {
            return order(digits.count, other.digits.count)
        }
        if weight != other.weight { return order(weight, other.weight) }
        for (left, right) in zip(digits, other.digits) where left != right {
            return order(left, right)
        }
        return order(digits.count, other.digits.count)
    }

    private var kindRank: Int {
        switch kind {
        case .negativeInfinity: -1
        case .finite: 0
        case .infinity: 1
        case .notANumber: 2
        }
    }
}

extension Numeric {
    /// Rounded half away from zero to `scale` decimal digits; below 0, those before the point.
    package func rounded(toScale scale: Int) -> Numeric { limited(toScale: scale, rounding: true) }

    /// Cut off after `scale` decimal digits; below 0, those before the point.
    package func truncated(toScale scale: Int) -> Numeric {
        limited(toScale: scale, rounding: false)
    }

    private func limited(toScale wanted: Int, rounding: Bool) -> Numeric {
        guard isFinite else { return self }
        let wanted = min(max(wanted, -4 * Int(Self.weights.upperBound)), Self.maximumScale)
        let scale = UInt16(max(wanted, 0))
        // The last digit that survives, at least in part, and what it is a multiple of.
        let last = CivilCalendar.floorDivide(-wanted, 4)
        let unit = UInt16(Self.powersOfTen[-wanted - 4 * last])
        if digits.isEmpty || last < lastWeight {
            return Numeric(
                digits: digits, weight: weight, scale: scale, isBelowZero: isBelowZero)
        }
        var kept = Array(digits.prefix(max(0, Int(weight) - last + 1)))
        var weight = kept.isEmpty ? Int32(last) : weight
        var roundsUp = unit == 1 && digit(at: last - 1) >= 5000
        if let digit = kept.last {
            kept[kept.count - 1] = digit - digit % unit
            if unit > 1 { roundsUp = digit % unit >= unit / 2 }
        }
        if rounding && roundsUp {
            var carry = unit
            var index = kept.count
            while carry > 0, index > 0 {
                index -= 1
                let sum = kept[index] + carry
                kept[index] = sum % 10_000
                carry = sum / 10_000
            }
            if carry > 0 {
                if !kept.isEmpty { weight += 1 }
                kept.insert(carry, at: 0)
            }
        }
        return Numeric(digits: kept, weight: weight, scale: scale, isBelowZero: isBelowZero)
    }

    /// The value as a column of a declared precision and scale holds it.
    package func fitted(to modifier: NumericModifier) throws(SQLError) -> Numeric {
        guard isFinite else {
            guard isInfinite else { return self }
            throw Self.fieldOverflow(modifier, "cannot hold an infinite value")
        }
        let result = rounded(toScale: modifier.scale)
        let integerDigits = modifier.precision - modifier.scale
        if let first = result.digits.first {
            let width = first >= 1000 ? 4 : first >= 100 ? 3 : first >= 10 ? 2 : 1
            if Int(result.weight) * 4 + width > integerDigits {
                let bound = integerDigits == 0 ? "1" : "10^\(integerDigits)"
                throw Self.fieldOverflow(
                    modifier, "must round to an absolute value less than \(bound)")
            }
        }
        return result
    }

    private static func fieldOverflow(_ modifier: NumericModifier, _ why: String) -> SQLError {
        SQLError(
            "22003", "numeric field overflow",
            detail: "A field with precision \(modifier.precision), scale \(modifier.scale) \(why).")
    }

    static let powersOfTen = [1, 10, 100, 1000]
}
