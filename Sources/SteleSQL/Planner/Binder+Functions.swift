extension Binder {
    mutating func function(_ call: Expression.FunctionCall) throws(SQLError) -> Typed {
        if let kind = Aggregate.Kind(name: call.name) { return try aggregate(kind, call) }
        if call.isStar || call.isDistinct {
            throw error(
                "42809", "\(call.name) is not an aggregate function", at: call.at)
        }
        var arguments: [Typed] = []
        for argument in call.arguments { arguments.append(try bind(argument)) }
        if let variadic = Function.variadic[call.name] {
            guard arguments.count >= variadic.least,
                // What stands between the others is text already.
                variadic.least < 2 || [.string, .unknown].contains(arguments[0].type.category)
            else { throw noFunction(call, arguments) }
            var values: [BoundExpression] = []
            for argument in arguments {
                guard argument.type != .bool else {
                    throw unsupported("a boolean argument of \(call.name)", at: call.at)
                }
                if leavesOpen(argument) {
                    values.append(argument.expression)
                    continue
                }
                let text = try coerce(argument, to: .text, in: .assignment, at: call.at)
                values.append(Self.padded(text.expression, argument.type))
            }
            return Typed(expression: .call(variadic.function, values), type: variadic.result)
        }
        if call.name == "pg_typeof", arguments.count == 1 {
            let name = arguments[0].type.plainName
            return Typed(expression: .constant(.text(name)), type: .text)
        }
        if Self.exactFunctions.contains(call.name), Self.areExact(arguments) {
            throw unsupported(
                "function \(call.name) of type numeric", at: call.at,
                hint: "Cast the argument to double precision.")
        }
        let (signature, isUnique) = Self.best(Function.signatures[call.name] ?? [], arguments)
        guard let signature else { throw noFunction(call, arguments) }
        // PostgreSQL has these for intervals and for addresses of networks too.
        let hasOthers =
            Self.functionsOfOtherTypes.contains(call.name)
            && arguments[arguments.count > 1 ? 1 : 0].type == .unknown
        guard isUnique, !hasOthers else {
            let types = arguments.map(\.type.plainName).joined(separator: ", ")
            throw notUnique("function", "\(call.name)(\(types))", at: call.at)
        }
        guard let function = signature.function else {
            let types = signature.arguments.map(\.plainName).joined(separator: ", ")
            throw unsupported(
                "function \(call.name)(\(types))", at: call.at,
                hint: call.name == "substring" ? "Cast a position to integer." : nil)
        }
        if call.name == "octet_length" {
            arguments[0].expression = Self.padded(arguments[0].expression, arguments[0].type)
        }
        var values: [BoundExpression] = []
        for (argument, type) in zip(arguments, signature.arguments) {
            values.append(try coerce(argument, to: type, at: call.at).expression)
        }
        return Typed(expression: .call(function, values), type: signature.result)
    }

    /// A value of type `char(n)` with the blanks that pad it, which are not held.
    private static func padded(_ value: BoundExpression, _ type: SQLType) -> BoundExpression {
        guard case .char(let width?) = type else { return value }
        return .call(.padEnd, [value, .constant(.int(Int64(width)))])
    }

    private static let functionsOfOtherTypes: Set<String> = [
        "extract", "date_part", "date_trunc", "trunc",
    ]

    /// Functions that PostgreSQL computes exactly for `numeric`, and that here are only there for
    /// floating-point numbers.
    private static let exactFunctions: Set<String> = ["exp", "ln", "log", "log10", "pow", "power"]

    private static func areExact(_ arguments: [Typed]) -> Bool {
        arguments.contains { $0.type.withoutModifier == .numeric(nil) }
            && !arguments.contains { $0.type == .float8 || $0.type == .float4 }
    }

    private func noFunction(_ call: Expression.FunctionCall, _ arguments: [Typed]) -> SQLError {
        let types = arguments.map(\.type.plainName).joined(separator: ", ")
        if Function.signatures[call.name] == nil, Function.variadic[call.name] == nil,
            Aggregate.Kind(name: call.name) == nil, ForeignNames.hasFunction(call.name)
        {
            return error(
                "0A000", "function \(call.name)(\(types)) is not supported", at: call.at,
                hint: "PostgreSQL has this function, this subset of it has not.")
        }
        return error(
            "42883", "function \(call.name)(\(types)) does not exist", at: call.at,
            hint: "No function matches the given name and argument types. "
                + "You might need to add explicit type casts.")
    }

    /// The signature that fits with the fewest conversions; the first of several.
    private static func best(
        _ signatures: [Function.Signature], _ arguments: [Typed]
    ) -> (signature: Function.Signature?, isUnique: Bool) {
        var best: (signature: Function.Signature, score: Int)?
        var isUnique = true
        for signature in signatures where signature.arguments.count == arguments.count {
            var score = 0
            for (argument, type) in zip(arguments, signature.arguments) {
                if argument.type.withoutModifier == type {
                    score += 4
                } else if argument.type == .unknown {
                    score += type.category == .string ? 2 : type.isPreferred ? 1 : 0
                } else if SQLType.castContext(from: argument.type, to: type) == .implicit {
                    score += type.isPreferred ? 1 : 0
                } else {
                    score = -1
                    break
                }
            }
            if score >= 0, score > best?.score ?? -1 {
                best = (signature, score)
                isUnique = true
            } else if score >= 0, score == best?.score {
                isUnique = false
            }
        }
        return (best?.signature, isUnique)
    }

    // MARK: Aggregates

    private mutating func aggregate(
        _ kind: Aggregate.Kind, _ call: Expression.FunctionCall
    ) throws(SQLError) -> Typed {
        try checkAggregateAllowed(at: call.at)
        if call.isStar {
            guard kind == .count else {
                throw error("42883", "function \(call.name)() does not exist", at: call.at)
            }
            return add(Aggregate(kind: .count, argument: nil, isDistinct: false), type: .int8)
        }
        guard call.arguments.count == kind.argumentCount else {
            throw error(
                "42883", "function \(call.name) with \(call.arguments.count) arguments does not "
                    + "exist", at: call.at)
        }
        var argument = try aggregateArgument(call.arguments[0], at: call.at)
        if argument.type == .unknown, kind == .every || kind == .some {
            argument = try coerce(argument, to: .bool, at: call.at)
        }
        if argument.type == .unknown {
            // PostgreSQL has these for intervals too.
            if kind == .sum || kind == .average {
                throw notUnique("function", "\(call.name)(unknown)", at: call.at)
            }
            let type: SQLType = kind.isNumeric ? .float8 : .text
            if kind != .count || call.isDistinct || !leavesOpen(argument) {
                argument = try coerce(argument, to: type, at: call.at)
            }
        }
        guard let result = kind.result(of: argument.type) else {
            throw noFunction(call, [argument])
        }
        if kind.isSpread, argument.type == .float4 {
            argument = try coerce(argument, to: .float8, at: call.at)
        }
        var delimiter: BoundExpression?
        if kind == .joined {
            if argument.type == .bytea {
                throw unsupported("string_agg of type bytea", at: call.at)
            }
            let second = try aggregateArgument(call.arguments[1], at: call.at)
            delimiter = try coerce(second, to: .text, at: call.at).expression
            argument = try coerce(argument, to: .text, at: call.at)
        }
        return add(
            Aggregate(
                kind: kind, argument: argument.expression, delimiter: delimiter,
                isDistinct: call.isDistinct, type: result), type: result)
    }

    private mutating func add(_ aggregate: Aggregate, type: SQLType) -> Typed {
        let index = aggregates.firstIndex(of: aggregate) ?? aggregates.count
        if index == aggregates.count { aggregates.append(aggregate) }
        return Typed(expression: .aggregate(index), type: type)
    }
}
