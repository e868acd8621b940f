extension Binder {
    /// Expressions made of several others.
    mutating func bindComposite(_ expression: Expression) throws(SQLError) -> Typed {
        switch expression {
        // A test for null, which says nothing about the type of the other side.
        case .isDistinct(let other, .literal(.null, _), let isNegated, _),
            .isDistinct(.literal(.null, _), let other, let isNegated, _):
            return try bind(.isNull(other, isNegated: !isNegated))
        case .isDistinct(let left, let right, let isNegated, let at):
            let (one, two) = try comparable(bind(left), bind(right), "=", at: at)
            return Typed(expression: .isDistinct(one, two, isNegated: isNegated), type: .bool)
        case .isIn(let operand, let list, let isNegated, let at):
            return try membership(operand, list, isNegated: isNegated, at: at)
        case .between(let operand, let lower, let upper, let kind, let at):
            return try between(operand, lower, upper, kind, at: at)
        case .like(let text, let pattern, let kind, let at):
            return try like(bind(text), bind(pattern), kind, at: at)
        case .choice(let operand, let arms, let otherwise, let at):
            return try choice(operand, arms, otherwise, at: at)
        case .coalesce(let operands, let at):
            let (expressions, type) = try unified(bindAll(operands), of: "COALESCE", at: at)
            return Typed(expression: .coalesce(expressions), type: type)
        case .extreme(let isGreatest, let operands, let at):
            let (expressions, type) = try unified(
                bindAll(operands), of: isGreatest ? "GREATEST" : "LEAST", at: at)
            return Typed(
                expression: .extreme(isGreatest: isGreatest, expressions), type: type)
        case .nullIf(let left, let right, let at):
            let one = try bind(left)
            let two = try bind(right)
            let (leftSide, rightSide) = try comparable(one, two, "=", at: at)
            let type = Self.comparedType(one.type, two.type)
            let value =
                one.type == .unknown
                ? leftSide : try coerce(one, to: type, at: at).expression
            if value != leftSide { try copy(one, times: 1, at: at) }
            return Typed(
                expression: .nullIf(
                    leftSide, rightSide, value: value == leftSide ? nil : value),
                type: type)
        default: throw unsupported("this kind of expression", at: expression.location)
        }
    }

    /// The type that the left side of `=` has in PostgreSQL once its operator is chosen: there is one
    /// for two kinds of integers, of floating-point numbers or of times, but for no other two types.
    private static func comparedType(_ left: SQLType, _ right: SQLType) -> SQLType {
        let other = right.withoutModifier
        switch left.withoutModifier {
        case .unknown:
            if case .varchar = other { return .text }
            return other == .unknown ? .text : other
        case .int2, .int4, .int8:
            return other == .numeric(nil) ? other
                : other == .float4 || other == .float8 ? .float8 : left
        case .numeric: return other == .float4 || other == .float8 ? .float8 : left
        case .varchar: return other == .char(nil) ? other : .text
        case .char: return other == .text ? other : left
        default: return left
        }
    }

    private mutating func bindAll(_ expressions: [Expression]) throws(SQLError) -> [Typed] {
        var bound: [Typed] = []
        for expression in expressions { bound.append(try bind(expression)) }
        return bound
    }

    /// `x IN (…)`: a comparison with each item.
    ///
    /// As in PostgreSQL, several items that read no column are brought to one type first, together
    /// with what is looked for, if they have one in common.
    private mutating func membership(
        _ operand: Expression, _ list: [Expression], isNegated: Bool, at: Int
    ) throws(SQLError) -> Typed {
        var value = try bind(operand)
        var items = try bindAll(list)
        let fixed = items.indices.filter { !items[$0].expression.readsColumns }
        if fixed.count > 1,
            let type = try? commonType([value] + fixed.map { items[$0] }, of: "IN", at: at)
        {
            for place in fixed {
                items[place] = try coerce(items[place], to: type.withoutModifier, at: at)
            }
            // They are looked at first, and decide about a parameter.
            if undecided(value) != nil { value = try coerce(value, to: Self.compared(type), at: at) }
            items = fixed.map { items[$0] } + items.filter { $0.expression.readsColumns }
        }
        var lists: [(value: BoundExpression, items: [BoundExpression])] = []
        var present: SQLType?
        // One use of a parameter, about which all comparisons decide.
        var deduced = undecided(value)
        for item in items {
            try deduce(&deduced, from: item, at: at)
            let (one, two) = try comparable(value, item, "=", at: at)
            // Items of one type are compared with the value in one form.
            if !lists.isEmpty, item.type == present || lists[lists.count - 1].value == one {
                lists[lists.count - 1].items.append(two)
            } else {
                lists.append((one, [two]))
            }
            present = item.type
        }
        try copy(value, times: lists.count - 1, at: at)
        let alternatives = lists.map { one, items in
            BoundExpression.isIn(one, ValueList(items), isNegated: isNegated && lists.count == 1)
        }
        guard alternatives.count > 1 else { return Typed(expression: alternatives[0], type: .bool) }
        let any = BoundExpression.or(alternatives)
        return Typed(expression: isNegated ? .not(any) : any, type: .bool)
    }

    private mutating func between(
        _ operand: Expression, _ lower: Expression, _ upper: Expression,
        _ kind: Expression.Between, at: Int
    ) throws(SQLError) -> Typed {
        let value = try bind(operand)
        try copy(value, times: kind.isSymmetric ? 3 : 1, at: at)
        let low = try bind(lower)
        let aboveLow = try compare(.greaterOrEqual, ">=", value, low, at: at).expression
        let high = try bind(upper)
        let belowHigh = try compare(.lessOrEqual, "<=", value, high, at: at).expression
        if kind.isSymmetric {
            try copy(low, times: 1, at: at)
            try copy(high, times: 1, at: at)
        }
        var inside = BoundExpression.and([aboveLow, belowHigh])
        if kind.isSymmetric {
            let aboveHigh = try compare(.greaterOrEqual, ">=", value, high, at: at).expression
            let belowLow = try compare(.lessOrEqual, "<=", value, low, at: at).expression
            inside = .or([inside, .and([aboveHigh, belowLow])])
        }
        return Typed(expression: kind.isNegated ? .not(inside) : inside, type: .bool)
    }

    private mutating func choice(
        _ operand: Expression?, _ arms: [Expression.Arm], _ otherwise: Expression?, at: Int
    ) throws(SQLError) -> Typed {
        var value: Typed?
        if let operand {
            // What has no type is a text here, whatever it is compared with.
            let bound = try settled(bind(operand), at: at)
            try copy(bound, times: arms.count - 1, at: at)
            value = bound
        }
        var conditions: [BoundExpression] = []
        var results: [Typed] = []
        for arm in arms {
            if let value {
                conditions.append(
                    try compare(.equal, "=", value, bind(arm.condition), at: at).expression)
            } else {
                conditions.append(try truth(arm.condition, of: "CASE/WHEN"))
            }
            results.append(try bind(arm.result))
        }
        // It is read last, and PostgreSQL lets it decide first among several types.
        results.insert(
            try otherwise.map { (expression) throws(SQLError) in try bind(expression) }
                ?? Typed(expression: .null, type: .unknown), at: 0)
        let (expressions, type) = try unified(results, of: "CASE", at: at)
        let bound = zip(conditions, expressions.dropFirst())
            .map { BoundExpression.Arm(condition: $0, result: $1) }
        return Typed(expression: .choice(bound, otherwise: expressions[0]), type: type)
    }
}
