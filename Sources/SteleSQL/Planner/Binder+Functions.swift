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
            var values: [BoundExpression] = []
            for argument in arguments {
                guard argument.type != .bool else {
                    throw unsupported("a boolean argument of \(call.name)", at: call.at)
                }
                values.append(
                    try coerce(argument, to: .text, in: .assignment, at: call.at).expression)
            }
            return Typed(expression: .call(variadic.function, values), type: variadic.result)
        }
        guard let signature = Self.best(Function.signatures[call.name] ?? [], arguments) else {
            throw noFunction(call, arguments)
        }
        var values: [BoundExpression] = []
        for (argument, type) in zip(arguments, signature.arguments) {
            values.append(try coerce(argument, to: type, at: call.at).expression)
        }
        return Typed(expression: .call(signature.function, values), type: signature.result)
    }

    private func noFunction(_ call: Expression.FunctionCall, _ arguments: [Typed]) -> SQLError {
        let types = arguments.map(\.type.plainName).joined(separator: ", ")
        return error(
            "42883", "function \(call.name)(\(types)) does not exist", at: call.at,
            hint: "No function matches the given name and argument types. "
                + "You might need to add explicit type casts.")
    }

    /// The signature that fits with the fewest conversions; the first of several.
    private static func best(
        _ signatures: [Function.Signature], _ arguments: [Typed]
    ) -> Function.Signature? {
        var best: (signature: Function.Signature, score: Int)?
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
            if score >= 0, score > best?.score ?? -1 { best = (signature, score) }
        }
        return best?.signature
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
        guard call.arguments.count == 1 else {
            throw error(
                "42883", "function \(call.name) with \(call.arguments.count) arguments does not "
                    + "exist", at: call.at)
        }
        var argument = try aggregateArgument(call.arguments[0], at: call.at)
        if argument.type == .unknown {
            let type: SQLType = kind == .sum || kind == .average ? .float8 : .text
            argument = try coerce(argument, to: type, at: call.at)
        }
        guard let result = kind.result(of: argument.type) else {
            throw noFunction(call, [argument])
        }
        return add(
            Aggregate(
                kind: kind, argument: argument.expression, isDistinct: call.isDistinct,
                type: result), type: result)
    }

    private mutating func add(_ aggregate: Aggregate, type: SQLType) -> Typed {
        let index = aggregates.firstIndex(of: aggregate) ?? aggregates.count
        if index == aggregates.count { aggregates.append(aggregate) }
        return Typed(expression: .aggregate(index), type: type)
    }
}
