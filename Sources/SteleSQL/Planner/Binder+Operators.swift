extension Binder {
    // MARK: Operators by name

    mutating func operation(
        _ name: String, _ left: Expression?, _ right: Expression, at: Int
    ) throws(SQLError) -> Typed {
        guard let left else { return try prefix(name, right, at: at) }
        let one = try bind(left)
        let two = try bind(right)
        if let comparison = Self.comparisons[name] {
            return try compare(comparison, name, one, two, at: at)
        }
        if let arithmetic = Self.arithmetic[name] {
            return try calculate(arithmetic, name, one, two, at: at)
        }
        switch name {
        case "||": return try concatenate(one, two, at: at)
        case "^": return try power(one, two, at: at)
        case "~~", "!~~", "~~*", "!~~*":
            return try like(
                one, two,
                Expression.Like(isNegated: name.hasPrefix("!"), ignoresCase: name.hasSuffix("*")),
                at: at)
        default: throw unsupported("operator \(name)", at: at)
        }
    }

    private static let comparisons: [String: BoundExpression.Comparison] = [
        "=": .equal, "<>": .notEqual, "<": .less, "<=": .lessOrEqual, ">": .greater,
        ">=": .greaterOrEqual,
    ]

    private static let arithmetic: [String: ArithmeticOperator] = [
        "+": .add, "-": .subtract, "*": .multiply, "/": .divide, "%": .remainder,
    ]

    private mutating func prefix(
        _ name: String, _ operand: Expression, at: Int
    ) throws(SQLError) -> Typed {
        var typed = try bind(operand)
        guard name == "-" || name == "+" else { throw unsupported("operator \(name)", at: at) }
        if typed.type == .unknown {
            if name == "-" { throw notUnique("operator", "- unknown", at: at) }
            typed = try coerce(typed, to: .float8, at: at)
        }
        guard typed.type.category == .number, typed.type != .oid else {
            throw error(
                "42883", "operator does not exist: \(name) \(typed.type.plainName)", at: at,
                hint: Self.operatorHint)
        }
        if name == "+" { return typed }
        let type = typed.type.withoutModifier
        return Typed(expression: .negated(typed.expression, type), type: type)
    }

    private static let operatorHint =
        "No operator matches the given name and argument types. "
        + "You might need to add explicit type casts."

    /// Of several operators or functions that literals and parameters without a type fit.
    func notUnique(_ kind: String, _ call: String, at: Int) -> SQLError {
        error(
            "42725",
            kind == "operator"
                ? "operator is not unique: \(call)" : "function \(call) is not unique", at: at,
            hint: "Could not choose a best candidate \(kind). "
                + "You might need to add explicit type casts.")
    }

    private func noOperator(
        _ name: String, _ left: SQLType, _ right: SQLType, at: Int
    ) -> SQLError {
        error(
            "42883",
            "operator does not exist: \(left.plainName) \(name) \(right.plainName)", at: at,
            hint: Self.operatorHint)
    }

    // MARK: Comparisons

    mutating func compare(
        _ comparison: BoundExpression.Comparison, _ name: String, _ left: Typed, _ right: Typed,
        at: Int
    ) throws(SQLError) -> Typed {
        let (one, two) = try comparable(left, right, name, at: at)
        return Typed(expression: .comparison(comparison, one, two), type: .bool)
    }

    /// Both operands in a form in which ``Datum/compare(_:)`` compares them.
    mutating func comparable(
        _ left: Typed, _ right: Typed, _ name: String, at: Int
    ) throws(SQLError) -> (BoundExpression, BoundExpression) {
        var left = known(left)
        var right = known(right)
        if left.type == .unknown, right.type == .unknown {
            left = try coerce(left, to: .text, at: at)
            right = try coerce(right, to: .text, at: at)
        } else if left.type == .unknown {
            left = try coerce(left, to: Self.compared(right.type), at: at)
        } else if right.type == .unknown {
            right = try coerce(right, to: Self.compared(left.type), at: at)
        }
        if left.type.withoutModifier == right.type.withoutModifier {
            return (left.expression, right.expression)
        }
        guard left.type.category == right.type.category,
            left.type.category != .other, left.type.category != .unknown,
            left.type != .oid || Self.isOrdinal(right.type),
            right.type != .oid || Self.isOrdinal(left.type)
        else { throw noOperator(name, left.type, right.type, at: at) }
        if left.type == .timestamptz || right.type == .timestamptz {
            left = try moment(left, at: at)
            right = try moment(right, at: at)
        }
        // Blanks at the end count between char and text, but not between char and varchar.
        switch (left.type.withoutModifier, right.type.withoutModifier) {
        case (.char, .varchar): right = try coerce(right, to: .char(nil), at: at)
        case (.varchar, .char): left = try coerce(left, to: .char(nil), at: at)
        // Some decimals are no floating-point numbers.
        case (.float4, .numeric), (.float8, .numeric): right = try coerce(right, to: .float8, at: at)
        case (.numeric, .float4), (.numeric, .float8): left = try coerce(left, to: .float8, at: at)
        default: break
        }
        return (left.expression, right.expression)
    }

    /// What a literal beside a value of this type becomes: varchar has no operators of its own.
    static func compared(_ type: SQLType) -> SQLType {
        if case .varchar = type { return .text }
        return type.withoutModifier
    }

    /// The type that comparisons of one use of a parameter have found for it, if nothing else has.
    struct DeducedType {
        let parameter: Int
        var type: SQLType?
    }

    /// Nil if it is no parameter, or has a type already.
    func undecided(_ typed: Typed) -> DeducedType? {
        guard typed.type == .unknown, case .parameter(let index) = typed.expression,
            parameters[index] == nil
        else { return nil }
        return DeducedType(parameter: index)
    }

    /// A comparison with `other` decides about the parameter too, if there is one to decide about.
    func deduce(_ deduced: inout DeducedType?, from other: Typed, at: Int) throws(SQLError) {
        guard let before = deduced else { return }
        let other = known(other)
        let type = other.type == .unknown ? .text : Self.compared(other.type)
        guard before.type == nil || before.type == type else {
            throw error(
                "42P08", "inconsistent types deduced for parameter $\(before.parameter + 1)",
                at: at)
        }
        deduced?.type = type
    }

    /// A parameter has a type as soon as one use of it has decided.
    private func known(_ typed: Typed) -> Typed {
        guard typed.type == .unknown, case .parameter(let index) = typed.expression,
            let type = parameters[index]
        else { return typed }
        return Typed(expression: typed.expression, type: type)
    }

    /// A time as it is compared with a moment. A date beyond all moments is later than they are, where
    /// as a value it could not be converted.
    private mutating func moment(_ typed: Typed, at: Int) throws(SQLError) -> Typed {
        guard typed.type == .date else { return try coerce(typed, to: .timestamptz, at: at) }
        return Typed(expression: .call(.startOfDay, [typed.expression]), type: .timestamptz)
    }

    /// What an oid is compared with.
    private static func isOrdinal(_ type: SQLType) -> Bool {
        switch type {
        case .int2, .int4, .int8, .oid: true
        default: false
        }
    }

    // MARK: Arithmetic

    private mutating func calculate(
        _ operation: ArithmeticOperator, _ name: String, _ left: Typed, _ right: Typed, at: Int
    ) throws(SQLError) -> Typed {
        if left.type.category == .dateTime || right.type.category == .dateTime {
            return try calculateDate(operation, name, left, right, at: at)
        }
        var left = left
        var right = right
        switch (left.type, right.type) {
        case (.unknown, .unknown):
            throw notUnique("operator", "unknown \(name) unknown", at: at)
        // Whether there is such an operator comes before what the literal says.
        case (.unknown, let other), (let other, .unknown):
            guard Self.hasOperator(operation, Self.resultType(other, other)) else {
                throw noOperator(name, left.type, right.type, at: at)
            }
            if left.type == .unknown {
                left = try coerce(left, to: other.withoutModifier, at: at)
            } else {
                right = try coerce(right, to: other.withoutModifier, at: at)
            }
        default: break
        }
        guard let type = Self.resultType(left.type, right.type), Self.hasOperator(operation, type)
        else { throw noOperator(name, left.type, right.type, at: at) }
        left = try coerce(left, to: type, at: at)
        right = try coerce(right, to: type, at: at)
        return Typed(
            expression: .arithmetic(operation, left.expression, right.expression, type),
            type: type)
    }

    /// There is no remainder of floating-point numbers.
    private static func hasOperator(_ operation: ArithmeticOperator, _ type: SQLType?) -> Bool {
        guard let type else { return false }
        return operation != .remainder || (type != .float4 && type != .float8)
    }

    /// The type in which two numbers are calculated; nil if they cannot be.
    private static func resultType(_ left: SQLType, _ right: SQLType) -> SQLType? {
        func rank(_ type: SQLType) -> Int? {
            switch type {
            case .int2: 0
            case .int4: 1
            case .int8: 2
            case .numeric: 3
            case .float4: 4
            case .float8: 5
            default: nil
            }
        }
        guard let one = rank(left), let two = rank(right) else { return nil }
        if one == two { return left.withoutModifier }
        let higher = one > two ? left : right
        // There is no operator for a float4 and another kind of number.
        return higher == .float4 ? .float8 : higher.withoutModifier
    }

    /// Only of floating-point numbers; integers become such, as in PostgreSQL.
    private mutating func power(
        _ left: Typed, _ right: Typed, at: Int
    ) throws(SQLError) -> Typed {
        let types = [left.type, right.type]
        guard types.allSatisfy({ $0.category == .number || $0 == .unknown }) else {
            throw noOperator("^", left.type, right.type, at: at)
        }
        if types.contains(where: { $0.withoutModifier == .numeric(nil) }),
            !types.contains(.float8), !types.contains(.float4)
        {
            throw unsupported("operator ^ of type numeric", at: at)
        }
        let base = try coerce(left, to: .float8, at: at).expression
        let exponent = try coerce(right, to: .float8, at: at).expression
        return Typed(expression: .call(.power, [base, exponent]), type: .float8)
    }

    private mutating func calculateDate(
        _ operation: ArithmeticOperator, _ name: String, _ left: Typed, _ right: Typed, at: Int
    ) throws(SQLError) -> Typed {
        let isInteger = { (type: SQLType) in type == .int4 || type == .int2 }
        switch (operation, left.type, right.type) {
        case (.add, .date, let other) where isInteger(other):
            return Typed(
                expression: .dateSum(left.expression, right.expression, sign: 1), type: .date)
        case (.add, let other, .date) where isInteger(other):
            return Typed(
                expression: .dateSum(right.expression, left.expression, sign: 1), type: .date)
        case (.subtract, .date, let other) where isInteger(other):
            return Typed(
                expression: .dateSum(left.expression, right.expression, sign: -1), type: .date)
        case (.subtract, .date, .date), (.subtract, .date, .unknown):
            let other = try coerce(right, to: .date, at: at)
            return Typed(
                expression: .dateDifference(left.expression, other.expression), type: .int4)
        case (.add, _, _), (.subtract, _, _):
            throw unsupported("arithmetic with intervals of time", at: at)
        default: throw noOperator(name, left.type, right.type, at: at)
        }
    }

    // MARK: Text

    private mutating func concatenate(
        _ left: Typed, _ right: Typed, at: Int
    ) throws(SQLError) -> Typed {
        guard left.type != .bytea, right.type != .bytea else {
            throw unsupported("concatenating byte strings", at: at)
        }
        guard [left, right].contains(where: {
            $0.type.category == .string || $0.type == .unknown
        }) else { throw noOperator("||", left.type, right.type, at: at) }
        let one = try coerce(left, to: .text, in: .assignment, at: at)
        let two = try coerce(right, to: .text, in: .assignment, at: at)
        return Typed(expression: .concatenation(one.expression, two.expression), type: .text)
    }

    mutating func like(
        _ text: Typed, _ pattern: Typed, _ like: Expression.Like, at: Int
    ) throws(SQLError) -> Typed {
        guard text.type != .bytea, pattern.type != .bytea else {
            throw unsupported("LIKE of byte strings", at: at)
        }
        guard [text, pattern].allSatisfy({ $0.type.category == .string || $0.type == .unknown })
        else {
            throw noOperator(
                (like.isNegated ? "!~~" : "~~") + (like.ignoresCase ? "*" : ""), text.type,
                pattern.type, at: at)
        }
        // The blanks that pad a value of type character count here.
        if case .char(.some) = text.type { throw unsupported("LIKE on type character", at: at) }
        let one = try coerce(text, to: .text, at: at)
        let two = try coerce(pattern, to: .text, at: at)
        return Typed(expression: .like(one.expression, two.expression, like), type: .bool)
    }
}
