extension Planner {
    mutating func select(
        _ syntax: SelectSyntax
    ) throws(SQLError) -> (plan: SelectPlan, columns: [ResultColumn]) {
        if case .values(let rows) = syntax.source { return try values(rows, syntax) }
        let (source, table) = try self.source(syntax.source)
        binder.clause = nil
        binder.aggregates = []
        let (values, columns) = try outputs(syntax.targets)
        var outputs = values.map(\.expression)
        var condition: BoundExpression?
        if let written = syntax.condition {
            condition = try binder.condition(written, of: "WHERE")
        }
        let sortValues = try self.sortValues(syntax, values, columns)
        var sorting = zip(syntax.sorting, sortValues).map { key, value in
            SelectPlan.SortKey(
                value: value.expression, isDescending: key.isDescending, nullsFirst: key.nullsFirst)
        }
        var having: BoundExpression?
        if let written = syntax.groupCondition {
            having = try binder.truth(written, of: "HAVING").inTestOrder
        }
        let aggregates = binder.aggregates
        binder.clause = "GROUP BY"
        var keys = try groupKeys(syntax.grouping, values, columns)

        var grouping: SelectPlan.Grouping?
        if !aggregates.isEmpty || !keys.isEmpty || having != nil {
            if let table, table.isKeyed(by: keys) {
                // All columns depend on the key: those that are used are keys as well.
                var used = [Bool](repeating: false, count: table.columns.count)
                for value in outputs + sorting.map(\.value) { value.markColumns(in: &used) }
                having?.markColumns(in: &used)
                for column in used.indices where used[column] && !keys.contains(.column(column)) {
                    keys.append(.column(column))
                }
            }
            for index in outputs.indices { outputs[index] = try grouped(outputs[index], keys) }
            for index in sorting.indices {
                sorting[index].value = try grouped(sorting[index].value, keys)
            }
            grouping = SelectPlan.Grouping(
                keys: keys, aggregates: aggregates,
                condition: try having.map { (condition) throws(SQLError) in
                    try grouped(condition, keys)
                })
        }
        if syntax.isDistinct {
            try binder.charge(WorkMeter.product(sorting.count, outputs.count) * 8)
            // A cast that changes nothing but the type makes another expression, too.
            for (key, value) in zip(sorting, sortValues)
            where !zip(outputs, values).contains(where: { $0 == key.value && $1.type == value.type }) {
                throw SQLError(
                    "42P10",
                    "for SELECT DISTINCT, ORDER BY expressions must appear in select list")
            }
        }
        var plan = SelectPlan(
            source: source, condition: condition, grouping: grouping, outputs: outputs,
            sorting: sorting, isDistinct: syntax.isDistinct)
        plan.limit = try count(syntax.limit, of: "LIMIT")
        plan.offset = try count(syntax.offset, of: "OFFSET")
        plan.locking = try locking(syntax, plan, table)
        if let table { useTable(table, condition, in: &plan) }
        return (plan, columns)
    }

    // MARK: FROM

    private mutating func source(
        _ source: SelectSyntax.Source
    ) throws(SQLError) -> (SelectPlan.Source, TableDefinition?) {
        binder.scope = .empty
        binder.clause = "FROM"
        switch source {
        case .none, .values: return (.single, nil)
        case .table(let name):
            let table = try self.table(name)
            binder.scope.add(table, as: name.alias ?? name.name)
            return (.single, table)
        case .function(let function): return (try series(function), nil)
        }
    }

    private mutating func series(
        _ function: SelectSyntax.Function
    ) throws(SQLError) -> SelectPlan.Source {
        let call = function.call
        guard call.name == "generate_series", (2...3).contains(call.arguments.count) else {
            throw binder.unsupported("function \(call.name) in FROM", at: call.at)
        }
        var arguments: [Typed] = []
        for argument in call.arguments { arguments.append(try binder.bind(argument)) }
        // PostgreSQL has it for moments too.
        guard arguments.contains(where: { $0.type != .unknown }) else {
            let types = arguments.map(\.type.plainName).joined(separator: ", ")
            throw binder.notUnique("function", "\(call.name)(\(types))", at: call.at)
        }
        if arguments.count == 2 {
            arguments.append(Typed(expression: .constant(.int(1)), type: .int4))
        }
        let type = try binder.commonType(arguments, of: "generate_series", at: call.at)
        let result: SQLType
        switch type {
        case .int2, .int4, .text: result = .int4
        case .int8, .numeric: result = type.withoutModifier
        default: throw binder.unsupported("generate_series of \(type.plainName)", at: call.at)
        }
        var bound: [BoundExpression] = []
        for argument in arguments {
            bound.append(try binder.coerce(argument, to: result, at: call.at).expression)
        }
        let name = function.alias ?? call.name
        binder.scope.add(function.columnAlias ?? name, of: name, type: result)
        return .series(start: bound[0], stop: bound[1], step: bound[2], result)
    }

    /// `VALUES (…), (…)` as a query of its own.
    private mutating func values(
        _ rows: [[Expression]], _ syntax: SelectSyntax
    ) throws(SQLError) -> (SelectPlan, [ResultColumn]) {
        binder.scope = .empty
        binder.clause = "VALUES"
        guard syntax.sorting.isEmpty, syntax.locking == nil else {
            throw .unsupported("ORDER BY or FOR UPDATE after VALUES")
        }
        let width = rows[0].count
        try Self.checkWidth(width)
        guard rows.allSatisfy({ $0.count == width }) else {
            throw binder.error(
                "42601", "VALUES lists must all be the same length",
                at: rows.first { $0.count != width }?.first?.location ?? -1)
        }
        // Read row by row, as PostgreSQL reads them, and then brought to one type a column.
        var typed: [[Typed]] = []
        typed.reserveCapacity(rows.count)
        for row in rows {
            var values: [Typed] = []
            values.reserveCapacity(width)
            for expression in row { values.append(try binder.bind(expression)) }
            typed.append(values)
        }
        var bound = [[BoundExpression]](repeating: [], count: rows.count)
        var columns: [ResultColumn] = []
        for column in 0..<width {
            let (expressions, type) = try binder.unified(
                typed.map { $0[column] }, of: "VALUES", at: rows[0][column].location)
            for (row, expression) in expressions.enumerated() { bound[row].append(expression) }
            columns.append(ResultColumn(name: "column\(column + 1)", type: type))
        }
        var plan = SelectPlan(
            source: .values(bound), outputs: (0..<width).map { .column($0) })
        plan.limit = try count(syntax.limit, of: "LIMIT")
        plan.offset = try count(syntax.offset, of: "OFFSET")
        return (plan, columns)
    }

    // MARK: GROUP BY

    /// An output's name or number stands for the output, as in `ORDER BY`; a column of the table
    /// with the same name comes first.
    private mutating func groupKeys(
        _ written: [Expression], _ outputs: [Typed], _ columns: [ResultColumn]
    ) throws(SQLError) -> [BoundExpression] {
        var keys: [BoundExpression] = []
        var places: Set<Int64> = []
        for expression in written {
            if case .literal(.integer(let number), let at) = expression {
                guard number >= 1, number <= outputs.count else {
                    throw binder.error(
                        "42P10", "GROUP BY position \(number) is not in select list", at: at)
                }
                guard places.insert(number).inserted else { continue }
                keys.append(outputs[Int(number) - 1].expression)
            } else if case .literal(_, let at) = expression {
                throw binder.error("42601", "non-integer constant in GROUP BY", at: at)
            } else if case .column(nil, let name, _) = expression,
                (try? binder.scope.column(nil, name)) == nil,
                let index = columns.firstIndex(where: { $0.name == name })
            {
                keys.append(outputs[index].expression)
            } else {
                keys.append(
                    try binder.settled(binder.bind(expression), at: expression.location)
                        .expression)
            }
            // It is walked some times more before the plan is made.
            let size = keys.last?.size(atMost: 1 << 20) ?? 0
            try binder.charge(WorkMeter.evaluated * size * 4)
            if keys.last?.hasAggregate == true {
                throw binder.error(
                    "42803", "aggregate functions are not allowed in GROUP BY",
                    at: expression.location)
            }
        }
        return keys
    }

    /// The expression over a group's row: its keys, then its aggregates.
    private func grouped(
        _ expression: BoundExpression, _ keys: [BoundExpression]
    ) throws(SQLError) -> BoundExpression {
        try binder.charge(keys.count * 8)
        if let index = keys.firstIndex(of: expression) { return .column(index) }
        switch expression {
        case .aggregate(let index): return .column(keys.count + index)
        case .column(let index):
            let column = binder.scope.columns.first { $0.index == index }
            throw SQLError(
                "42803",
                "column \"\(column.map { "\($0.qualifier).\($0.name)" } ?? "?")\" must appear in "
                    + "the GROUP BY clause or be used in an aggregate function")
        default:
            return try expression.mapChildren { (child) throws(SQLError) in
                try grouped(child, keys)
            }
        }
    }

    // MARK: ORDER BY, LIMIT

    private mutating func sortValues(
        _ syntax: SelectSyntax, _ outputs: [Typed], _ columns: [ResultColumn]
    ) throws(SQLError) -> [Typed] {
        var values: [Typed] = []
        for key in syntax.sorting { values.append(try sortValue(key.value, outputs, columns)) }
        return values
    }

    private mutating func sortValue(
        _ expression: Expression, _ outputs: [Typed], _ columns: [ResultColumn]
    ) throws(SQLError) -> Typed {
        switch expression {
        case .column(nil, let name, let at):
            try binder.charge(columns.count * 50)
            let matches = columns.indices.filter { columns[$0].name == name }
            if let first = matches.first {
                let value = outputs[first].expression
                if matches.contains(where: { outputs[$0].expression != value }) {
                    throw binder.error("42702", "ORDER BY \"\(name)\" is ambiguous", at: at)
                }
                return outputs[first]
            }
        case .literal(.integer(let number), let at):
            guard number >= 1, number <= outputs.count else {
                throw binder.error(
                    "42P10", "ORDER BY position \(number) is not in select list", at: at)
            }
            return outputs[Int(number) - 1]
        case .literal(_, let at):
            throw binder.error("42601", "non-integer constant in ORDER BY", at: at)
        default: break
        }
        return try binder.settled(binder.bind(expression), at: expression.location)
    }

    private mutating func count(
        _ expression: Expression?, of clause: String
    ) throws(SQLError) -> BoundExpression? {
        guard let expression else { return nil }
        let scope = binder.scope
        defer { binder.scope = scope }
        binder.scope = .empty
        binder.clause = clause
        let typed = try binder.bind(expression)
        guard typed.type == .unknown || typed.type.category == .number else {
            throw binder.error(
                "42804",
                "argument of \(clause) must be type bigint, not type \(typed.type.plainName)",
                at: expression.location)
        }
        return try binder.coerce(typed, to: .int8, in: .assignment, at: expression.location)
            .expression
    }

    // MARK: Tables

    private func locking(
        _ syntax: SelectSyntax, _ plan: SelectPlan, _ table: TableDefinition?
    ) throws(SQLError) -> SelectPlan.Locking? {
        guard let locking = syntax.locking else { return nil }
        let name = locking.isExclusive ? "FOR UPDATE" : "FOR SHARE"
        if plan.isDistinct {
            throw SQLError("0A000", "\(name) is not allowed with DISTINCT clause")
        }
        if let grouping = plan.grouping {
            throw SQLError(
                "0A000", grouping.keys.isEmpty
                    ? "\(name) is not allowed with aggregate functions"
                    : "\(name) is not allowed with GROUP BY clause")
        }
        // Rows that are no table's cannot be locked, which PostgreSQL accepts in silence too.
        guard table != nil else { return nil }
        return SelectPlan.Locking(isExclusive: locking.isExclusive, wait: locking.wait)
    }

    /// Chooses how the table is read, and drops the sorting if rows come in order.
    private func useTable(
        _ table: TableDefinition, _ condition: BoundExpression?, in plan: inout SelectPlan
    ) {
        var wanted = [Bool](repeating: false, count: table.columns.count)
        condition?.markColumns(in: &wanted)
        if let grouping = plan.grouping {
            for key in grouping.keys { key.markColumns(in: &wanted) }
            for aggregate in grouping.aggregates {
                aggregate.argument?.markColumns(in: &wanted)
                aggregate.delimiter?.markColumns(in: &wanted)
            }
        } else {
            for output in plan.outputs { output.markColumns(in: &wanted) }
            for key in plan.sorting { key.value.markColumns(in: &wanted) }
        }
        let access = KeyConditions.access(
            table, condition, wanted: wanted, parameters: binder.parameters)
        if plan.grouping == nil, let isReversed = order(access, plan.sorting) {
            plan.sorting = []
            plan.isReversed = isReversed
        }
        plan.source = .table(access)
        plan.condition = nil
    }

    /// Whether a scan forwards (false) or backwards (true) yields the order; nil if neither does.
    private func order(_ access: TableAccess, _ sorting: [SelectPlan.SortKey]) -> Bool? {
        guard let first = sorting.first else { return false }
        var columns = access.table.primaryKey[...]
        switch access.keys {
        case .all: break
        case .range(let equal, _, _): columns = columns.dropFirst(equal.count)
        case .points: return nil
        }
        for key in sorting {
            // The key is complete: what follows distinguishes nothing.
            guard let column = columns.popFirst() else {
                return access.table.hasHiddenKey ? nil : first.isDescending
            }
            guard case .column(column) = key.value, key.isDescending == first.isDescending else {
                return nil
            }
        }
        return first.isDescending
    }
}

extension TableDefinition {
    /// Whether expressions name all columns of the primary key.
    fileprivate func isKeyed(by expressions: [BoundExpression]) -> Bool {
        !hasHiddenKey && primaryKey.allSatisfy { expressions.contains(.column($0)) }
    }
}

extension BoundExpression {
    fileprivate var hasAggregate: Bool {
        if case .aggregate = self { return true }
        return children.contains(where: \.hasAggregate)
    }
}
