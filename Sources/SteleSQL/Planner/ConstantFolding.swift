// Computes the parts of expressions that are the same for all rows before any row is read.
//
// PostgreSQL's planner does the same with the values of the parameters (`eval_const_expressions` in
// its clauses.c), and a client can tell. A part that fails makes the statement fail even if no row
// needs it; what follows a constant that decides, as in `false AND …` or `COALESCE(1, …)`, is never
// looked at; and a function that has no value for NULL is not called if an argument is NULL, so that
// its other arguments are not computed. What depends on the session, as the zone of a time, is left
// for the rows.

extension BoundExpression {
    /// The expression with all that is known before there is a row put in its place.
    func folded(_ context: StatementContext) throws(SQLError) -> BoundExpression {
        try context.meter.charge(WorkMeter.evaluated)
        switch self {
        case .constant, .column, .aggregate: return self
        case .parameter: return .constant(try evaluate([], context))
        case .and(let operands): return try Self.folded(operands, decisive: false, context)
        case .or(let operands): return try Self.folded(operands, decisive: true, context)
        case .choice(let arms, let otherwise):
            return try Self.folded(arms, otherwise: otherwise, context)
        case .coalesce(let operands): return try Self.firstKnown(of: operands, context)
        default:
            return try mapChildren { (child) throws(SQLError) in try child.folded(context) }
                .computed(context)
        }
    }

    /// The condition without those of its terms that are the same for all rows: they are looked at
    /// once, before there is a row.
    func withoutFixedTerms(_ context: StatementContext) throws(SQLError) -> BoundExpression {
        guard case .and(let operands) = self else {
            guard isRowIndependent, !isConstant else { return self }
            return .constant(.bool(try holds([], context)))
        }
        var parts: [BoundExpression] = []
        for operand in operands {
            guard operand.isRowIndependent else {
                parts.append(operand)
                continue
            }
            guard try operand.holds([], context) else { return .constant(.bool(false)) }
        }
        return parts.isEmpty ? .constant(.bool(true)) : parts.count == 1 ? parts[0] : .and(parts)
    }

    /// As a condition of a query, for which unknown is as good as false.
    var asCondition: BoundExpression {
        switch self {
        case .constant(.null): return .constant(.bool(false))
        case .and(let operands):
            let parts = operands.map(\.asCondition)
            return parts.contains(.constant(.bool(false)))
                ? .constant(.bool(false)) : .and(parts)
        case .or(let operands):
            let parts = operands.map(\.asCondition).filter { $0 != .constant(.bool(false)) }
            return parts.isEmpty
                ? .constant(.bool(false)) : parts.count == 1 ? parts[0] : .or(parts)
        // Nothing is unlike null. Several constants are compared together, and not without the value;
        // the other items can add nothing.
        case .isIn(let value, let list, isNegated: true) where list.items.contains(.null):
            let constants = list.items.filter(\.isConstant)
            return constants.count == 1
                ? .constant(.bool(false)) : .isIn(value, ValueList(constants), isNegated: true)
        default: return self
        }
    }

    /// Whether folding may save work or change what comes of the statement.
    var isWorthFolding: Bool { prospect.isWorthFolding }

    /// What can be said of an expression before it is folded.
    private struct Prospect {
        /// The value is the same for all rows.
        var isFixed = false
        /// It may turn out to be null, whatever the row is.
        var mayBeNull = false
        /// It is null, written as such, or compared with what is.
        var isNull = false
        var isWorthFolding = false
    }

    private var prospect: Prospect {
        switch self {
        case .constant(let value):
            return Prospect(isFixed: true, mayBeNull: value.isNull, isNull: value.isNull)
        case .parameter: return Prospect(isFixed: true, mayBeNull: true)
        case .column, .aggregate: return Prospect()
        case .isIn(_, let list, _) where list.isWorthSorting: return Prospect(isWorthFolding: true)
        default: break
        }
        let parts = children.map { (prospect: $0.prospect, isLeaf: $0.isLeaf) }
        if parts.contains(where: \.prospect.isWorthFolding) { return Prospect(isWorthFolding: true) }
        if parts.allSatisfy(\.prospect.isFixed) {
            return Prospect(
                isFixed: true, mayBeNull: !parts.isEmpty, isWorthFolding: isImmutable)
        }
        switch self {
        case .and, .or:
            return Prospect(
                isWorthFolding: parts.contains { $0.prospect.isFixed || $0.prospect.isNull })
        case .choice(let arms, _):
            // Conditions and results come in turns.
            let conditions = stride(from: 0, to: 2 * arms.count, by: 2)
            return Prospect(isWorthFolding: conditions.contains { parts[$0].prospect.isFixed })
        case .coalesce:
            return Prospect(isWorthFolding: parts.dropLast().contains(where: \.prospect.isFixed))
        default: break
        }
        // What is null because of one part needs no other, and those that have parts could fail.
        let nulls = parts.count { $0.prospect.mayBeNull }
        let others = parts.count { !$0.isLeaf }
        let own = parts.count { $0.prospect.mayBeNull && !$0.isLeaf }
        return Prospect(
            mayBeNull: nulls > 0, isNull: parts.contains(where: \.prospect.isNull),
            isWorthFolding: nulls > 0 && others > (nulls == own ? 1 : 0))
    }

    private var isLeaf: Bool {
        switch self {
        case .constant, .parameter, .column, .aggregate: true
        default: false
        }
    }

    private static let mostBytes = 1 << 20

    private var isConstant: Bool { if case .constant = self { true } else { false } }

    private var isNullConstant: Bool { if case .constant(.null) = self { true } else { false } }

    // MARK: Kinds of expressions

    /// `AND` and `OR`: the first operand that decides ends it.
    private static func folded(
        _ operands: [BoundExpression], decisive: Bool, _ context: StatementContext
    ) throws(SQLError) -> BoundExpression {
        var parts: [BoundExpression] = []
        var isUnknown = false
        for operand in operands {
            let part = try operand.folded(context)
            guard case .constant(let value) = part else {
                parts.append(part)
                continue
            }
            if case .bool(decisive) = value { return part }
            isUnknown = isUnknown || value.isNull
        }
        if isUnknown { parts.append(.null) }
        if parts.isEmpty { return .constant(.bool(!decisive)) }
        return parts.count == 1 ? parts[0] : decisive ? .or(parts) : .and(parts)
    }

    /// `CASE`: arms that cannot be taken are left out, and what follows one that is always taken.
    private static func folded(
        _ arms: [Arm], otherwise: BoundExpression, _ context: StatementContext
    ) throws(SQLError) -> BoundExpression {
        var kept: [Arm] = []
        for arm in arms {
            let condition = try arm.condition.folded(context)
            if case .constant(let value) = condition {
                guard case .bool(true) = value else { continue }
                let result = try arm.result.folded(context)
                return kept.isEmpty ? result : .choice(kept, otherwise: result)
            }
            kept.append(Arm(condition: condition, result: try arm.result.folded(context)))
        }
        let otherwise = try otherwise.folded(context)
        return kept.isEmpty ? otherwise : .choice(kept, otherwise: otherwise)
    }

    /// `COALESCE`: nulls are left out, and what follows a value.
    private static func firstKnown(
        of operands: [BoundExpression], _ context: StatementContext
    ) throws(SQLError) -> BoundExpression {
        var kept: [BoundExpression] = []
        for operand in operands {
            let part = try operand.folded(context)
            if part.isNullConstant { continue }
            kept.append(part)
            if part.isConstant { break }
        }
        return kept.isEmpty ? .null : kept.count == 1 ? kept[0] : .coalesce(kept)
    }

    /// The value of an expression whose parts are folded, if they decide about it.
    private func computed(_ context: StatementContext) throws(SQLError) -> BoundExpression {
        let parts = children
        switch self {
        case .nullIf(let left, let right, let value):
            // Nothing is equal to null.
            if left.isNullConstant || right.isNullConstant { return value ?? left }
        case .isDistinct, .isNull, .isTruth, .extreme: break
        case .isIn(let operand, let list, _) where list.items.count > 1:
            if operand.isNullConstant { return .null }
        case .call(let function, _) where !function.isStrict: break
        default: if parts.contains(where: \.isNullConstant) { return .null }
        }
        guard isImmutable, parts.allSatisfy(\.isConstant) else { return self }
        let value = try evaluate([], context)
        // What is large is made when it is needed: of many such parts not all are held at once.
        context.foldedBytes += value.outsideBytes
        return value.outsideBytes > 0 && context.foldedBytes > Self.mostBytes
            ? self : .constant(value)
    }

    /// Whether the same operands always give the same value, also in another session.
    var isImmutable: Bool {
        switch self {
        case .cast(_, let source, let target, _): source.isConvertedAlike(to: target)
        case .call(let function, _): function.isImmutable
        default: true
        }
    }
}

extension SQLType {
    /// Whether a conversion does not depend on the session's zone and clock.
    ///
    /// A literal, whose type is not known, was read as part of the statement's text.
    fileprivate func isConvertedAlike(to target: SQLType) -> Bool {
        if self == .unknown { return true }
        if category != .dateTime && target.category != .dateTime { return true }
        return category == target.category && (self == .timestamptz) == (target == .timestamptz)
    }
}

extension Function {
    /// Whether it is null as soon as one argument is.
    var isStrict: Bool {
        switch self {
        case .concat, .joined, .changeSetting: false
        default: true
        }
    }

    /// Whether the same arguments always give the same value; PostgreSQL's `provolatile`.
    var isImmutable: Bool {
        switch self {
        case .concat, .joined, .random, .randomUUID: false
        case .startOfDay: false
        case .cut(let type), .extract(let type), .datePart(let type): type != .timestamptz
        case .transactionTimestamp, .statementTimestamp, .clockTimestamp, .currentDate,
            .localTimestamp:
            false
        case .version, .currentSchema, .currentDatabase, .currentUser, .processID, .setting,
            .isInRecovery, .unlockAll, .sleep, .changeSetting:
            false
        default: true
        }
    }
}
