extension BoundExpression {
    /// The value of the expression over a row.
    func evaluate(_ row: [Datum], _ context: StatementContext) throws(SQLError) -> Datum {
        switch self {
        case .constant(let value): return value
        case .column(let index):
            guard index < row.count else { throw .noValue(ofColumn: index) }
            return row[index]
        case .parameter(let index):
            guard index < context.parameters.count else { throw .noParameter(index + 1) }
            return context.parameters[index]
        default:
            try context.meter.charge(WorkMeter.evaluated)
            return try compute(row, context)
        }
    }

    /// The value of an expression that has parts.
    private func compute(
        _ row: [Datum], _ context: StatementContext
    ) throws(SQLError) -> Datum {
        switch self {
        case .comparison(let comparison, let left, let right):
            let (left, right) = try Self.both(left, right, row, context)
            if left.isNull || right.isNull { return .null }
            return .bool(comparison.holds(left.compare(right)))
        case .arithmetic(let operation, let left, let right, let type):
            let (left, right) = (try left.evaluate(row, context), try right.evaluate(row, context))
            if case (.numeric(let left), .numeric(let right)) = (left, right) {
                try context.meter.charge(Numeric.cost(of: operation, left, right))
            }
            return try Datum.arithmetic(operation, left, right, as: type)
        case .and(let operands): return try conjunction(operands, row, context)
        case .or(let operands): return try disjunction(operands, row, context)
        case .not(let operand):
            guard case .bool(let value) = try operand.evaluate(row, context) else { return .null }
            return .bool(!value)
        case .isNull(let operand, let isNegated):
            return .bool(try operand.evaluate(row, context).isNull != isNegated)
        case .cast(let operand, let from, let to, let isExplicit):
            let value = try operand.evaluate(row, context)
            if value.outsideBytes > 0 {
                try context.meter.charge(8 * max(value.outsideBytes, value.shownBytes(as: from)))
            }
            return try value.coerced(from: from, to: to, explicit: isExplicit, time: context.time)
        case .call(let function, let arguments):
            let values = try Self.row(arguments, of: row, context)
            try context.meter.charge(function.cost(of: values))
            return try function.apply(values, context)
        case .isIn(let operand, let list, let isNegated):
            return try membership(operand, list, isNegated, row, context)
        default: return try evaluateRarer(row, context)
        }
    }

    /// Both operands; a first one that is large counts as held while the second is computed.
    @inline(__always)
    private static func both(
        _ left: BoundExpression, _ right: BoundExpression, _ row: [Datum],
        _ context: StatementContext
    ) throws(SQLError) -> (Datum, Datum) {
        let first = try left.evaluate(row, context)
        guard first.outsideBytes > 1_024 else { return (first, try right.evaluate(row, context)) }
        let before = context.held
        try context.hold(first)
        let second = try right.evaluate(row, context)
        context.held = before
        try context.meter.charge(min(first.outsideBytes, second.outsideBytes))
        return (first, second)
    }

    /// The cases that hot statements do not have.
    private func evaluateRarer(
        _ row: [Datum], _ context: StatementContext
    ) throws(SQLError) -> Datum {
        switch self {
        case .negated(let operand, let type):
            return try operand.evaluate(row, context).negated(as: type)
        case .dateSum(let date, let days, let sign):
            let date = try date.evaluate(row, context)
            guard case .int(let count) = try days.evaluate(row, context) else { return .null }
            return try date.adding(days: sign * count)
        case .dateDifference(let left, let right):
            return try Self.days(left.evaluate(row, context), right.evaluate(row, context))
        case .isTruth(let operand, let test):
            let value = try operand.evaluate(row, context)
            let holds: Bool
            if case .bool(let value) = value { holds = value == test.value } else {
                holds = test.value == nil
            }
            return .bool(holds != test.isNegated)
        case .isDistinct(let left, let right, let isNegated):
            let (left, right) = try Self.both(left, right, row, context)
            let areDistinct =
                left.isNull || right.isNull
                ? left.isNull != right.isNull : left.compare(right) != 0
            return .bool(areDistinct != isNegated)
        case .like(let text, let pattern, let like):
            guard
                case (.text(let text), .text(let pattern)) = try Self.both(
                    text, pattern, row, context)
            else { return .null }
            return .bool(
                try LikePattern(pattern, like).matches(text, context.meter) != like.isNegated)
        case .concatenation(let left, let right):
            guard
                case (.text(let left), .text(let right)) = try Self.both(left, right, row, context)
            else { return .null }
            let length = left.utf8.count + right.utf8.count
            try Function.checkLength(length)
            try context.meter.charge(length / 4)
            return .text(left + right)
        case .choice(let arms, let otherwise):
            for arm in arms {
                if case .bool(true) = try arm.condition.evaluate(row, context) {
                    return try arm.result.evaluate(row, context)
                }
            }
            return try otherwise.evaluate(row, context)
        case .coalesce(let operands):
            for operand in operands {
                let value = try operand.evaluate(row, context)
                if !value.isNull { return value }
            }
            return .null
        case .nullIf(let left, let right, let value):
            let (left, right) = try Self.both(left, right, row, context)
            if !left.isNull, !right.isNull, left.compare(right) == 0 { return .null }
            return try value?.evaluate(row, context) ?? left
        case .extreme(let isGreatest, let operands):
            var best = Datum.null
            let before = context.held
            defer { context.held = before }
            for operand in operands {
                let value = try operand.evaluate(row, context)
                if value.isNull { continue }
                try context.meter.charge(min(value.outsideBytes, best.outsideBytes))
                let order = best.isNull ? 0 : value.compare(best)
                // Of equal values, such as 1.0 and 1.00, the first one.
                if best.isNull || (isGreatest ? order > 0 : order < 0) {
                    best = value
                    context.held = before
                    try context.hold(best)
                }
            }
            return best
        default: return .null
        }
    }

    private func conjunction(
        _ operands: [BoundExpression], _ row: [Datum], _ context: StatementContext
    ) throws(SQLError) -> Datum {
        var isUnknown = false
        for operand in operands {
            switch try operand.evaluate(row, context) {
            case .bool(false): return .bool(false)
            case .bool: break
            default: isUnknown = true
            }
        }
        return isUnknown ? .null : .bool(true)
    }

    private func disjunction(
        _ operands: [BoundExpression], _ row: [Datum], _ context: StatementContext
    ) throws(SQLError) -> Datum {
        var isUnknown = false
        for operand in operands {
            switch try operand.evaluate(row, context) {
            case .bool(true): return .bool(true)
            case .bool: break
            default: isUnknown = true
            }
        }
        return isUnknown ? .null : .bool(false)
    }

    private func membership(
        _ operand: BoundExpression, _ list: ValueList, _ isNegated: Bool,
        _ row: [Datum], _ context: StatementContext
    ) throws(SQLError) -> Datum {
        let value = try operand.evaluate(row, context)
        if value.isNull {
            // As with any comparison, both sides are computed.
            try list.computeItems(row, context)
            return .null
        }
        let before = context.held
        defer { context.held = before }
        try context.hold(value)
        guard let isMember = try list.contains(value, row, context) else { return .null }
        return .bool(isMember != isNegated)
    }

    private static func days(_ left: Datum, _ right: Datum) throws(SQLError) -> Datum {
        guard case .date(let left) = left, case .date(let right) = right else { return .null }
        guard ![left, right].contains(where: { $0 == .max || $0 == .min }) else {
            throw SQLError("22008", "cannot subtract infinite dates")
        }
        return .int(Int64(left) - Int64(right))
    }

    /// The values of several expressions over a row; each counts as held while others are computed.
    static func row(
        _ expressions: some Collection<BoundExpression>, of row: [Datum],
        _ context: StatementContext
    ) throws(SQLError) -> [Datum] {
        var values: [Datum] = []
        values.reserveCapacity(expressions.count)
        let before = context.held
        for expression in expressions {
            let value = try expression.evaluate(row, context)
            try context.hold(value)
            values.append(value)
        }
        context.held = before
        return values
    }

    /// Whether a condition holds: neither false nor unknown.
    ///
    /// Of several conditions joined by `AND` the first that does not hold ends it, unknown ones too.
    func holds(_ row: [Datum], _ context: StatementContext) throws(SQLError) -> Bool {
        if case .and(let operands) = self {
            for operand in operands where try !operand.holds(row, context) { return false }
            return true
        }
        if case .bool(true) = try evaluate(row, context) { return true }
        return false
    }
}

extension BoundExpression.Comparison {
    /// Whether the comparison holds for two values of this order.
    @inline(__always)
    func holds(_ order: Int) -> Bool {
        switch self {
        case .equal: order == 0
        case .notEqual: order != 0
        case .less: order < 0
        case .lessOrEqual: order <= 0
        case .greater: order > 0
        case .greaterOrEqual: order >= 0
        }
    }
}
