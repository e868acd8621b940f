#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// A function of one floating-point number, by its name in SQL.
enum DoubleFunction: String, CaseIterable, Hashable, Sendable {
    case squareRoot = "sqrt"
    case cubeRoot = "cbrt"
    case exponential = "exp"
    case naturalLogarithm = "ln"
    case logarithm = "log"
    case decimalLogarithm = "log10"
    case sine = "sin"
    case cosine = "cos"
    case tangent = "tan"
    case cotangent = "cot"
    case arcSine = "asin"
    case arcCosine = "acos"
    case arcTangent = "atan"
    case hyperbolicSine = "sinh"
    case hyperbolicCosine = "cosh"
    case hyperbolicTangent = "tanh"
    case degrees, radians

    /// The value, with PostgreSQL's errors where there is none.
    func apply(_ value: Double) throws(SQLError) -> Double {
        switch self {
        case .squareRoot where value < 0:
            throw SQLError("2201F", "cannot take square root of a negative number")
        case .naturalLogarithm, .logarithm, .decimalLogarithm:
            if value == 0 { throw SQLError("2201E", "cannot take logarithm of zero") }
            if value < 0 { throw SQLError("2201E", "cannot take logarithm of a negative number") }
        case .arcSine where value.magnitude > 1, .arcCosine where value.magnitude > 1,
            .sine where value.isInfinite, .cosine where value.isInfinite,
            .tangent where value.isInfinite, .cotangent where value.isInfinite:
            throw SQLError("22003", "input is out of range")
        default: break
        }
        let result = computed(value)
        if value.isFinite, result.isInfinite, self != .cotangent, self != .hyperbolicSine,
            self != .hyperbolicCosine
        {
            throw SQLError("22003", "value out of range: overflow")
        }
        if self == .exponential, result == 0, value.isFinite {
            throw SQLError("22003", "value out of range: underflow")
        }
        return result
    }

    private func computed(_ value: Double) -> Double {
        switch self {
        case .squareRoot: value.squareRoot()
        case .cubeRoot: cbrt(value)
        case .exponential: exp(value)
        case .naturalLogarithm: log(value)
        case .logarithm, .decimalLogarithm: log10(value)
        case .sine: sin(value)
        case .cosine: cos(value)
        case .tangent: tan(value)
        case .cotangent: 1 / tan(value)
        case .arcSine: asin(value)
        case .arcCosine: acos(value)
        case .arcTangent: atan(value)
        case .hyperbolicSine: sinh(value)
        case .hyperbolicCosine: cosh(value)
        case .hyperbolicTangent: tanh(value)
        case .degrees: value / (.pi / 180)
        case .radians: value * (.pi / 180)
        }
    }

    static func arcTangent(_ y: Double, _ x: Double) -> Double { atan2(y, x) }

    /// One number to the power of another.
    static func power(_ base: Double, _ exponent: Double) throws(SQLError) -> Double {
        if base.isNaN { return exponent == 0 ? 1 : .nan }
        if exponent.isNaN { return base == 1 ? 1 : .nan }
        if base == 0, exponent < 0 {
            throw SQLError("2201F", "zero raised to a negative power is undefined")
        }
        if base < 0, exponent.rounded(.down) != exponent {
            throw SQLError(
                "2201F", "a negative number raised to a non-integer power yields a complex result")
        }
        let result = pow(base, exponent)
        if base.isFinite, exponent.isFinite {
            if result.isInfinite { throw SQLError("22003", "value out of range: overflow") }
            if result == 0, base != 0 {
                throw SQLError("22003", "value out of range: underflow")
            }
        }
        return result
    }
}
