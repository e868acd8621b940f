// What of a plan is folded, in the order of PostgreSQL's planner: of several parts that fail, the
// first one is reported.

extension Plan.Action {
    /// The plan of one execution, see ``BoundExpression/folded(_:)``.
    func folded(_ context: StatementContext) throws(SQLError) -> Plan.Action {
        switch self {
        case .select(let plan): .select(try plan.folded(context))
        case .insert(let plan): .insert(try plan.folded(context))
        case .update(let plan): .update(try plan.folded(context))
        case .delete(let plan): .delete(try plan.folded(context))
        }
    }

    /// Whether any of its expressions is worth it.
    var isWorthFolding: Bool {
        switch self {
        case .select(let plan): plan.isWorthFolding
        case .insert(let plan): plan.isWorthFolding
        case .update(let plan):
            plan.access.isWorthFolding
                || (plan.assignments.map(\.value) + (plan.returning ?? []))
                    .contains(where: \.isWorthFolding)
        case .delete(let plan):
            plan.access.isWorthFolding || (plan.returning ?? []).contains(where: \.isWorthFolding)
        }
    }
}

extension [BoundExpression] {
    fileprivate func folded(_ context: StatementContext) throws(SQLError) -> [BoundExpression] {
        var folded: [BoundExpression] = []
        folded.reserveCapacity(count)
        for expression in self { folded.append(try expression.folded(context)) }
        return folded
    }
}

extension [[BoundExpression]] {
    fileprivate func folded(_ context: StatementContext) throws(SQLError) -> [[BoundExpression]] {
        var folded: [[BoundExpression]] = []
        folded.reserveCapacity(count)
        for row in self { folded.append(try row.folded(context)) }
        return folded
    }
}

extension BoundExpression? {
    fileprivate func folded(_ context: StatementContext) throws(SQLError) -> BoundExpression? {
        guard let self else { return nil }
        return try self.folded(context)
    }

    fileprivate func foldedCondition(
        _ context: StatementContext
    ) throws(SQLError) -> BoundExpression? {
        guard let folded = try folded(context)?.asCondition.withoutFixedTerms(context) else {
            return nil
        }
        return folded == .constant(.bool(true)) ? nil : folded.cheapTermsFirst
    }
}

extension BoundExpression? {
    /// A condition that is a constant decides about all rows.
    fileprivate var isWorthFoldingAsCondition: Bool {
        guard let self else { return false }
        return self.isRowIndependent || self.isWorthFolding
    }
}

extension TableAccess {
    fileprivate var isWorthFolding: Bool { condition.isWorthFoldingAsCondition }

    fileprivate func folded(_ context: StatementContext) throws(SQLError) -> TableAccess {
        var access = self
        access.condition = try condition.foldedCondition(context)
        // No row fulfils it, so none is read.
        if access.condition == .constant(.bool(false)) { access.keys = .points([[]]) }
        return access
    }
}

extension SelectPlan {
    fileprivate var isWorthFolding: Bool {
        if case .table(let access) = source, access.isWorthFolding { return true }
        return condition.isWorthFoldingAsCondition
            || (grouping?.condition).isWorthFoldingAsCondition
            || expressions.contains(where: \.isWorthFolding)
    }

    /// All that is evaluated, besides conditions.
    private var expressions: [BoundExpression] {
        var all = outputs + sorting.map(\.value)
        switch source {
        case .single, .table: break
        case .values(let rows): all += rows.joined()
        case .series(let start, let stop, let step, _): all += [start, stop, step]
        }
        if let grouping {
            all += grouping.keys + grouping.aggregates.flatMap {
                [$0.argument, $0.delimiter].compactMap { $0 }
            }
        }
        return all + [limit, offset].compactMap { $0 }
    }

    fileprivate func folded(_ context: StatementContext) throws(SQLError) -> SelectPlan {
        var plan = self
        if case .series(let start, let stop, let step, let type) = source {
            plan.source = .series(
                start: try start.folded(context), stop: try stop.folded(context),
                step: try step.folded(context), type)
        }
        if let keys = grouping?.keys { plan.grouping?.keys = try keys.folded(context) }
        if let aggregates = grouping?.aggregates {
            plan.grouping?.aggregates = []
            for var aggregate in aggregates {
                aggregate.argument = try aggregate.argument.folded(context)
                aggregate.delimiter = try aggregate.delimiter.folded(context)
                plan.grouping?.aggregates.append(aggregate)
            }
        }
        plan.outputs = try outputs.folded(context)
        for index in plan.sorting.indices {
            plan.sorting[index].value = try sorting[index].value.folded(context)
        }
        plan.condition = try condition.foldedCondition(context)
        if case .table(let access) = source { plan.source = .table(try access.folded(context)) }
        plan.grouping?.condition = try grouping?.condition.foldedCondition(context)
        plan.offset = try offset.folded(context)
        plan.limit = try limit.folded(context)
        if case .values(let rows) = source { plan.source = .values(try rows.folded(context)) }
        return plan
    }
}

extension InsertPlan {
    /// A single row is computed at once, before anything else can fail.
    fileprivate var isWorthFolding: Bool {
        let isSourceWorth =
            switch source {
            case .rows(let rows): rows.count > 1 && rows.joined().contains(where: \.isWorthFolding)
            case .query(let query, let values):
                query.isWorthFolding || values.contains(where: \.isWorthFolding)
            }
        guard !isSourceWorth else { return true }
        let others =
            (returning ?? []) + (conflict?.assignments ?? []).map(\.value)
            + [conflict?.condition].compactMap { $0 }
        return others.contains(where: \.isWorthFolding)
    }

    fileprivate func folded(_ context: StatementContext) throws(SQLError) -> InsertPlan {
        var plan = self
        // A single row is the list of outputs, which comes first.
        if case .rows(let rows) = source, rows.count == 1 {
            plan.source = .rows(try rows.folded(context))
        }
        if case .query(let query, let values) = source {
            plan.source = .query(try query.folded(context), try values.folded(context))
        }
        plan.returning = try returning.folded(context)
        if let conflict {
            if let assignments = conflict.assignments {
                plan.conflict?.assignments = try assignments.folded(context)
            }
            plan.conflict?.condition = try conflict.condition.foldedCondition(context)
        }
        if case .rows(let rows) = source, rows.count > 1 {
            plan.source = .rows(try rows.folded(context))
        }
        return plan
    }
}

extension UpdatePlan {
    fileprivate func folded(_ context: StatementContext) throws(SQLError) -> UpdatePlan {
        var plan = self
        plan.assignments = try assignments.folded(context)
        plan.returning = try returning.folded(context)
        plan.access = try access.folded(context)
        return plan
    }
}

extension DeletePlan {
    fileprivate func folded(_ context: StatementContext) throws(SQLError) -> DeletePlan {
        var plan = self
        plan.returning = try returning.folded(context)
        plan.access = try access.folded(context)
        return plan
    }
}

extension [BoundExpression]? {
    fileprivate func folded(_ context: StatementContext) throws(SQLError) -> [BoundExpression]? {
        guard let self else { return nil }
        return try self.folded(context)
    }
}

extension [Assignment] {
    fileprivate func folded(_ context: StatementContext) throws(SQLError) -> [Assignment] {
        var folded: [Assignment] = []
        for assignment in self {
            folded.append(
                Assignment(
                    column: assignment.column, value: try assignment.value.folded(context)))
        }
        return folded
    }
}
