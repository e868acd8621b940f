/// An arithmetic operator of SQL.
package enum ArithmeticOperator: Hashable, Sendable {
    case add, subtract, multiply, divide, remainder
}

/// Arithmetic with PostgreSQL's results and errors.
extension Datum {
    /// The result of an operator on two values of the numeric type `type`; null if either is null.
    package static func arithmetic(
        _ operation: ArithmeticOperator, _ left: Datum, _ right: Datum, as type: SQLType
    ) throws(SQLError) -> Datum {
        switch (left, right) {
        case (.int(let left), .int(let right)):
            .int(try integer(integers(operation, left, right), to: type))
        case (.double(let left), .double(let right)):
            .double(
                type == .float4
                    ? Double(try floats(operation, Float(left), Float(right)))
                    : try floats(operation, left, right))
        case (.numeric(let left), .numeric(let right)):
            .numeric(try numerics(operation, left, right))
        case (.null, _), (_, .null): .null
        default:
            throw SQLError(
                "42883", "operator does not exist for type \(type.plainName)")
        }
    }

    /// The value of type `type` with the opposite sign.
    package func negated(as type: SQLType) throws(SQLError) -> Datum {
        switch self {
        case .int(let value):
            let (result, overflow) = (0 as Int64).subtractingReportingOverflow(value)
            return .int(try Self.integer(overflow ? nil : result, to: type))
        case .double(let value): return .double(-value)
        case .numeric(let value): return .numeric(value.negated)
        default: return self
        }
    }

    /// A date some days later; infinite dates stay.
    package func adding(days: Int64) throws(SQLError) -> Datum {
        guard case .date(let date) = self, date != .max, date != .min else { return self }
        let (sum, overflow) = Int64(date).addingReportingOverflow(days)
        guard !overflow, let result = Int32(exactly: sum), CivilCalendar.dates.contains(result)
        else { throw SQLError("22008", "date out of range") }
        return .date(result)
    }

    /// Nil when the result exceeds 64 bits.
    private static func integers(
        _ operation: ArithmeticOperator, _ left: Int64, _ right: Int64
    ) throws(SQLError) -> Int64? {
        let result: (partialValue: Int64, overflow: Bool)
        switch operation {
        case .add: result = left.addingReportingOverflow(right)
        case .subtract: result = left.subtractingReportingOverflow(right)
        case .multiply: result = left.multipliedReportingOverflow(by: right)
        case .divide, .remainder:
            guard right != 0 else { throw divisionByZero }
            if operation == .remainder { return right == -1 ? 0 : left % right }
            result = left.dividedReportingOverflow(by: right)
        }
        return result.overflow ? nil : result.partialValue
    }

    private static func floats<Value: BinaryFloatingPoint>(
        _ operation: ArithmeticOperator, _ left: Value, _ right: Value
    ) throws(SQLError) -> Value {
        let result: Value
        switch operation {
        case .add: result = left + right
        case .subtract: result = left - right
        case .multiply:
            result = left * right
            if result == 0, left != 0, right != 0 { throw underflow }
        case .divide:
            if right == 0, !left.isNaN { throw divisionByZero }
            result = left / right
            if result == 0, left != 0, right.isFinite { throw underflow }
        case .remainder:
            throw SQLError("42883", "operator does not exist: double precision % double precision")
        }
        if result.isInfinite, left.isFinite, right.isFinite {
            throw SQLError("22003", "value out of range: overflow")
        }
        return result
    }

    private static func numerics(
        _ operation: ArithmeticOperator, _ left: Numeric, _ right: Numeric
    ) throws(SQLError) -> Numeric {
        switch operation {
        case .add: try left.adding(right)
        case .subtract: try left.subtracting(right)
        case .multiply: try left.multiplied(by: right)
        case .divide: try left.divided(by: right)
        case .remainder: try left.remainder(dividingBy: right)
        }
    }

    private static let divisionByZero = SQLError("22012", "division by zero")
    private static let underflow = SQLError("22003", "value out of range: underflow")
}
