extension Binder {
    /// The expression as a value of another type, if the context allows the conversion.
    mutating func coerce(
        _ typed: Typed, to target: SQLType, in context: CastContext = .implicit, at: Int
    ) throws(SQLError) -> Typed {
        if typed.type == target { return typed }
        if typed.type == .unknown {
            return try coerceUnknown(typed, to: target, in: context, at: at)
        }
        guard let needed = SQLType.castContext(from: typed.type, to: target), needed <= context
        else {
            throw error(
                "42846", "cannot cast type \(typed.type.plainName) to \(target.plainName)", at: at)
        }
        if Self.isSameForm(typed.type, target) {
            return Typed(expression: typed.expression, type: target)
        }
        // Of numbers, a constant that can be converted is: there is nothing to do for each execution.
        if case .constant(let value) = typed.expression, typed.type.category == .number,
            target.category == .number,
            let converted = try? value.coerced(
                from: typed.type, to: target, explicit: context == .explicit)
        {
            return Typed(expression: .constant(converted), type: target)
        }
        return Typed(
            expression: .cast(
                typed.expression, from: typed.type, to: target, isExplicit: context == .explicit),
            type: target)
    }

    /// Whether a value of one type is a value of the other as it stands.
    private static func isSameForm(_ source: SQLType, _ target: SQLType) -> Bool {
        if source.withoutModifier == target.withoutModifier { return target.modifier == -1 }
        switch (source, target) {
        case (.int2, .int4), (.int2, .int8), (.int4, .int8): return true
        case (.varchar, .text), (.text, .varchar(nil)), (.char, .text), (.char, .varchar(nil)),
            (.name, .text):
            return true
        default: return false
        }
    }

    private mutating func coerceUnknown(
        _ typed: Typed, to target: SQLType, in context: CastContext, at: Int
    ) throws(SQLError) -> Typed {
        switch typed.expression {
        case .parameter(let index):
            if let known = parameters[index] {
                return try coerce(
                    Typed(expression: typed.expression, type: known), to: target, in: context,
                    at: at)
            }
            setParameter(index, target)
            let plain = Typed(expression: typed.expression, type: target.withoutModifier)
            return try coerce(plain, to: target, in: context, at: at)
        case .constant(.text(let text)):
            return Typed(
                expression: try literal(
                    text, as: target, isExplicit: context == .explicit,
                    at: typed.at >= 0 ? typed.at : at),
                type: target)
        default:
            return Typed(expression: typed.expression, type: target)
        }
    }

    /// A string literal as a value of a type. Its errors are those of the statement's text, so it
    /// is read now; what depends on zone or clock is read again when the statement runs.
    private func literal(
        _ text: String, as type: SQLType, isExplicit: Bool, at: Int
    ) throws(SQLError) -> BoundExpression {
        try charge(8 * text.utf8.count)
        do {
            if type.category == .string {
                let value = try Datum.text(text)
                    .coerced(from: .text, to: type, explicit: isExplicit)
                return .constant(value)
            }
            let value = try Datum.parse(text: text, as: type.withoutModifier, time: time)
            // Whether it fits is seen when it is needed: that may be never, in a branch of a CASE.
            if type != type.withoutModifier, type.category == .number {
                return .cast(
                    .constant(value), from: type.withoutModifier, to: type, isExplicit: isExplicit)
            }
            guard type.category == .dateTime else { return .constant(value) }
            return .cast(.constant(.text(text)), from: .unknown, to: type, isExplicit: true)
        } catch { throw error.at(source.position(of: at)) }
    }

    /// A value for a column, as an assignment converts it.
    mutating func assign(
        _ typed: Typed, to column: TableDefinition.Column, at: Int
    ) throws(SQLError) -> BoundExpression {
        if typed.type != .unknown {
            let context = SQLType.castContext(from: typed.type, to: column.type)
            guard let context, context <= .assignment else {
                throw error(
                    "42804",
                    "column \"\(column.name)\" is of type \(column.type.plainName) but expression "
                        + "is of type \(typed.type.plainName)", at: at,
                    hint: "You will need to rewrite or cast the expression.")
            }
        }
        return try coerce(typed, to: column.type, in: .assignment, at: at).expression
    }

    /// The value with a type that can be shown: what is still unknown becomes text.
    mutating func settled(_ typed: Typed, at: Int) throws(SQLError) -> Typed {
        guard typed.type == .unknown else { return typed }
        return try coerce(typed, to: .text, at: at)
    }

    /// The type to which all operands of `CASE`, `COALESCE` and the like are converted.
    func commonType(
        _ operands: [Typed], of construct: String, at: Int
    ) throws(SQLError) -> SQLType {
        var common: SQLType?
        for operand in operands where operand.type != .unknown {
            let type = operand.type
            guard let present = common else {
                common = type
                continue
            }
            if present == type { continue }
            guard present.category == type.category else {
                throw error(
                    "42804",
                    "\(construct) types \(present.plainName) and \(type.plainName) "
                        + "cannot be matched", at: at)
            }
            if present.withoutModifier == type.withoutModifier {
                common = type.withoutModifier
            } else if !present.isPreferred,
                SQLType.castContext(from: present, to: type) == .implicit,
                SQLType.castContext(from: type, to: present) != .implicit
            {
                common = type.withoutModifier
            } else {
                guard SQLType.castContext(from: type, to: present) == .implicit else {
                    throw error(
                        "42846",
                        "\(construct) could not convert type \(type.plainName) to "
                            + "\(present.plainName)", at: at)
                }
                common = present.withoutModifier
            }
        }
        return common ?? .text
    }

    /// All operands converted to their common type.
    mutating func unified(
        _ operands: [Typed], of construct: String, at: Int
    ) throws(SQLError) -> (expressions: [BoundExpression], type: SQLType) {
        var type = try commonType(operands, of: construct, at: at)
        // What a literal becomes has no modifier, and so the whole has none.
        if operands.contains(where: { $0.type == .unknown }) { type = type.withoutModifier }
        var expressions: [BoundExpression] = []
        for operand in operands {
            expressions.append(try coerce(operand, to: type, at: at).expression)
        }
        return (expressions, type)
    }
}
