extension Planner {
    // MARK: UPDATE and DELETE

    mutating func update(_ syntax: UpdateSyntax) throws(SQLError) -> Plan {
        let table = try self.table(syntax.table)
        binder.scope.add(table, as: syntax.table.alias ?? table.name)
        // In PostgreSQL's order: the first of several errors counts, and the first use of a parameter.
        let condition = try self.condition(syntax.condition)
        let returning = try self.returning(syntax.returning)
        let assignments = try self.assignments(syntax.assignments, of: table)
        let plan = UpdatePlan(
            access: access(table, condition), assignments: assignments,
            returning: returning?.values)
        return try finished(.update(plan), returning?.columns)
    }

    mutating func delete(_ syntax: DeleteSyntax) throws(SQLError) -> Plan {
        let table = try self.table(syntax.table)
        binder.scope.add(table, as: syntax.table.alias ?? table.name)
        let condition = try self.condition(syntax.condition)
        let returning = try self.returning(syntax.returning)
        let plan = DeletePlan(access: access(table, condition), returning: returning?.values)
        return try finished(.delete(plan), returning?.columns)
    }

    private mutating func condition(
        _ expression: Expression?
    ) throws(SQLError) -> BoundExpression? {
        guard let expression else { return nil }
        return try binder.condition(expression, of: "WHERE")
    }

    /// Changes need whole rows.
    private func access(
        _ table: TableDefinition, _ condition: BoundExpression?
    ) -> TableAccess {
        KeyConditions.access(
            table, condition, wanted: table.columns.map { _ in true },
            parameters: binder.parameters)
    }

    private mutating func assignments(
        _ targets: [SelectSyntax.Target], of table: TableDefinition
    ) throws(SQLError) -> [Assignment] {
        binder.clause = "UPDATE"
        var assignments: [Assignment] = []
        for (target, bound) in zip(targets, try bind(targets.map(\.value))) {
            let index = try column(target.name ?? "", of: table, at: target.at)
            guard !assignments.contains(where: { $0.column == index }) else {
                throw binder.error(
                    "42601", "multiple assignments to same column \"\(table.columns[index].name)\"",
                    at: target.at)
            }
            assignments.append(
                Assignment(
                    column: index,
                    value: try value(bound, of: target.value, for: index, in: table)))
        }
        return assignments
    }

    /// All values of a row, before any of them is converted; nil is a column's default.
    private mutating func bind(_ expressions: [Expression]) throws(SQLError) -> [Typed?] {
        var bound: [Typed?] = []
        bound.reserveCapacity(expressions.count)
        for expression in expressions {
            if case .setToDefault = expression {
                bound.append(nil)
            } else {
                bound.append(try binder.bind(expression))
            }
        }
        return bound
    }

    /// A value for a column, or the column's default.
    private mutating func value(
        _ bound: Typed?, of expression: Expression, for index: Int, in table: TableDefinition
    ) throws(SQLError) -> BoundExpression {
        let column = table.columns[index]
        guard let bound else { return Self.initial(column) }
        return try binder.assign(bound, to: column, at: expression.location)
    }

    private static func initial(_ column: TableDefinition.Column) -> BoundExpression {
        column.initial?.expression(as: column.type) ?? .null
    }

    // MARK: INSERT

    mutating func insert(_ syntax: InsertSyntax) throws(SQLError) -> Plan {
        let table = try self.table(syntax.table)
        let targets = try self.targets(syntax, of: table)
        let source: InsertPlan.Source
        switch syntax.source {
        case nil:
            source = .rows([table.columns.map(Self.initial)])
        case let select? where select.isPlainValues:
            guard case .values(let rows) = select.source else {
                throw .unsupported("this source of INSERT")
            }
            source = .rows(try self.rows(rows, targets, table, syntax))
        case let select?:
            source = try query(select, targets, table, syntax)
        }
        let conflict = try self.conflict(syntax, of: table)
        binder.scope = .empty
        binder.scope.add(table, as: syntax.table.alias ?? table.name)
        let returning = try self.returning(syntax.returning)
        let plan = InsertPlan(
            table: table, source: source, conflict: conflict, returning: returning?.values)
        return try finished(.insert(plan), returning?.columns)
    }

    private func targets(
        _ syntax: InsertSyntax, of table: TableDefinition
    ) throws(SQLError) -> [Int] {
        guard let columns = syntax.columns else { return Array(table.columns.indices) }
        var targets: [Int] = []
        for column in columns {
            let index = try self.column(column.name, of: table, at: column.at)
            guard !targets.contains(index) else {
                throw binder.error(
                    "42701", "column \"\(column.name)\" specified more than once", at: column.at)
            }
            targets.append(index)
        }
        return targets
    }

    /// Fewer values than columns are fine only if the columns are not listed.
    private func checkCount(
        _ count: Int, _ targets: [Int], _ syntax: InsertSyntax, at: Int
    ) throws(SQLError) {
        if count > targets.count {
            throw binder.error("42601", "INSERT has more expressions than target columns", at: at)
        }
        if count < targets.count, syntax.columns != nil {
            throw binder.error(
                "42601", "INSERT has more target columns than expressions",
                at: syntax.columns?[count].at ?? at)
        }
    }

    private mutating func rows(
        _ rows: [[Expression]], _ targets: [Int], _ table: TableDefinition,
        _ syntax: InsertSyntax
    ) throws(SQLError) -> [[BoundExpression]] {
        binder.scope = .empty
        binder.clause = "VALUES"
        let template = table.columns.map(Self.initial)
        let width = rows[0].count
        var bound: [[BoundExpression]] = []
        bound.reserveCapacity(rows.count)
        for row in rows {
            guard row.count == width else {
                throw binder.error(
                    "42601", "VALUES lists must all be the same length",
                    at: row.first?.location ?? -1)
            }
            let extra = row.count > targets.count ? row[targets.count].location : -1
            try checkCount(row.count, targets, syntax, at: extra)
            var values = template
            for ((expression, typed), target) in zip(zip(row, try bind(row)), targets) {
                values[target] = try value(typed, of: expression, for: target, in: table)
            }
            bound.append(values)
        }
        return bound
    }

    private mutating func query(
        _ select: SelectSyntax, _ targets: [Int], _ table: TableDefinition,
        _ syntax: InsertSyntax
    ) throws(SQLError) -> InsertPlan.Source {
        keepsUnknown = true
        let (plan, columns) = try self.select(select)
        keepsUnknown = false
        try checkCount(columns.count, targets, syntax, at: -1)
        var values = table.columns.map(Self.initial)
        for (index, (column, target)) in zip(columns, targets).enumerated() {
            // A literal or parameter takes the type of its column, and needs no row for that.
            let value: BoundExpression =
                column.type == .unknown ? plan.outputs[index] : .column(index)
            values[target] = try binder.assign(
                Typed(expression: value, type: column.type), to: table.columns[target],
                at: select.targets.first?.at ?? -1)
        }
        return .query(plan, values)
    }

    // MARK: ON CONFLICT

    private mutating func conflict(
        _ syntax: InsertSyntax, of table: TableDefinition
    ) throws(SQLError) -> InsertPlan.Conflict? {
        guard let written = syntax.conflict else { return nil }
        try checkTarget(written, table)
        guard let assignments = written.assignments else { return InsertPlan.Conflict() }
        guard written.columns != nil || written.constraint != nil else {
            throw binder.error(
                "42601",
                "ON CONFLICT DO UPDATE requires inference specification or constraint name",
                at: written.at, hint: "For example, ON CONFLICT (column_name).")
        }
        binder.scope = .empty
        binder.scope.add(table, as: syntax.table.alias ?? table.name)
        binder.scope.add(table, as: "excluded", offset: table.columns.count)
        let bound = try self.assignments(assignments, of: table)
        guard !bound.contains(where: { table.isKey($0.column) }) else {
            throw binder.unsupported("changing the primary key in ON CONFLICT", at: written.at)
        }
        return InsertPlan.Conflict(
            assignments: bound, condition: try condition(written.condition))
    }

    /// The primary key is the only unique constraint there is.
    private func checkTarget(
        _ conflict: InsertSyntax.Conflict, _ table: TableDefinition
    ) throws(SQLError) {
        if let constraint = conflict.constraint {
            guard !table.hasHiddenKey, constraint == table.keyName else {
                throw SQLError(
                    "42704",
                    "constraint \"\(constraint)\" for table \"\(table.name)\" does not exist")
            }
        }
        guard let names = conflict.columns else { return }
        var columns: Set<Int> = []
        var seen: Set<String> = []
        for name in names where seen.insert(name).inserted {
            guard let index = table.columnIndex(name) else {
                throw SQLError("42703", "column \"\(name)\" does not exist")
            }
            columns.insert(index)
        }
        guard !table.hasHiddenKey, columns == Set(table.primaryKey) else {
            throw SQLError(
                "42P10", "there is no unique or exclusion constraint matching the ON CONFLICT "
                    + "specification")
        }
    }
}

extension SelectSyntax {
    /// Whether this is `VALUES` and nothing else, whose rows an INSERT takes directly.
    fileprivate var isPlainValues: Bool {
        guard case .values = source else { return false }
        return sorting.isEmpty && limit == nil && offset == nil && locking == nil
    }
}
