internal import CPgQuery

extension Parser {
    func select(_ select: PgQuery__SelectStmt) throws(SQLError) -> SelectSyntax {
        if select.op != PG_QUERY__SET_OPERATION__SETOP_NONE {
            throw unsupported("UNION, INTERSECT or EXCEPT")
        }
        if select.with_clause != nil { throw unsupported("WITH") }
        if select.into_clause != nil { throw unsupported("SELECT INTO") }
        if select.n_window_clause > 0 { throw unsupported("WINDOW") }
        if select.group_distinct != 0 { throw unsupported("GROUP BY DISTINCT") }
        if select.limit_option == PG_QUERY__LIMIT_OPTION__LIMIT_OPTION_WITH_TIES {
            throw unsupported("WITH TIES")
        }
        var result = SelectSyntax()
        // A plain DISTINCT is a list of one missing node.
        if select.n_distinct_clause > 0 {
            let list = CList(select.distinct_clause, select.n_distinct_clause)
            if let node = list.first, node.pointee.node_case != PG_QUERY__NODE__NODE__NOT_SET {
                throw unsupported("DISTINCT ON")
            }
            result.isDistinct = true
        }
        result.targets = try targets(CList(select.target_list, select.n_target_list))
        let rows = CList(select.values_lists, select.n_values_lists)
        result.source =
            rows.isEmpty
            ? try source(CList(select.from_clause, select.n_from_clause))
            : .values(try rows.map { (row) throws(SQLError) in try expressions(items(row)) })
        result.condition = try optionalExpression(select.where_clause)
        result.grouping = try expressions(CList(select.group_clause, select.n_group_clause))
        result.groupCondition = try optionalExpression(select.having_clause)
        result.sorting = try CList(select.sort_clause, select.n_sort_clause)
            .map { (node) throws(SQLError) in try sortKey(node.pointee.sort_by.pointee) }
        result.limit = try limit(select.limit_count)
        result.offset = try limit(select.limit_offset)
        result.locking = try locking(CList(select.locking_clause, select.n_locking_clause))
        return result
    }

    /// nil for `LIMIT ALL`.
    private func limit(_ node: CNode?) throws(SQLError) -> Expression? {
        guard let limit = try optionalExpression(node) else { return nil }
        if case .literal(.null, _) = limit { return nil }
        return limit
    }

    private func targets(_ list: CList) throws(SQLError) -> [SelectSyntax.Target] {
        try list.map { (node) throws(SQLError) in try target(node.pointee.res_target.pointee) }
    }

    private func target(_ target: PgQuery__ResTarget) throws(SQLError) -> SelectSyntax.Target {
        let at = Int(target.location)
        if target.n_indirection > 0 { throw unsupported("assigning to a part of a column", at: at) }
        guard let value = target.val else { throw unsupported("this select list", at: at) }
        if value.pointee.node_case == PG_QUERY__NODE__NODE_MULTI_ASSIGN_REF {
            throw unsupported("assigning several columns at once", at: at)
        }
        return SelectSyntax.Target(
            name: optionalString(target.name), value: try expression(value), at: at)
    }

    private func source(_ list: CList) throws(SQLError) -> SelectSyntax.Source {
        guard let node = list.first else { return .none }
        if list.count > 1 { throw unsupported("a join") }
        switch node.pointee.node_case {
        case PG_QUERY__NODE__NODE_RANGE_VAR:
            return .table(try tableName(node.pointee.range_var.pointee))
        case PG_QUERY__NODE__NODE_RANGE_FUNCTION:
            return try function(node.pointee.range_function.pointee)
        case PG_QUERY__NODE__NODE_JOIN_EXPR: throw unsupported("a join")
        case PG_QUERY__NODE__NODE_RANGE_SUBSELECT: throw unsupported("a subquery in FROM")
        case PG_QUERY__NODE__NODE_RANGE_TABLE_SAMPLE: throw unsupported("TABLESAMPLE")
        default: throw unsupported("this item of FROM")
        }
    }

    private func function(
        _ function: PgQuery__RangeFunction
    ) throws(SQLError) -> SelectSyntax.Source {
        if function.lateral != 0 { throw unsupported("LATERAL") }
        if function.ordinality != 0 { throw unsupported("WITH ORDINALITY") }
        if function.is_rowsfrom != 0 || function.n_coldeflist > 0 || function.n_functions != 1 {
            throw unsupported("ROWS FROM or a column definition list")
        }
        guard let entry = CList(function.functions, function.n_functions).first,
            let node = items(entry).first,
            node.pointee.node_case == PG_QUERY__NODE__NODE_FUNC_CALL
        else { throw unsupported("this function in FROM") }
        var alias: String?
        var columnAlias: String?
        if let written = function.alias {
            alias = string(written.pointee.aliasname)
            let columns = strings(CList(written.pointee.colnames, written.pointee.n_colnames))
            columnAlias = columns.first
        }
        return .function(
            SelectSyntax.Function(
                call: try call(node.pointee.func_call.pointee), alias: alias,
                columnAlias: columnAlias))
    }

    private func sortKey(_ key: PgQuery__SortBy) throws(SQLError) -> SelectSyntax.SortKey {
        guard let node = key.node, key.sortby_dir != PG_QUERY__SORT_BY_DIR__SORTBY_USING else {
            throw unsupported("ORDER BY … USING", at: Int(key.location))
        }
        let isDescending = key.sortby_dir == PG_QUERY__SORT_BY_DIR__SORTBY_DESC
        let nullsFirst =
            switch key.sortby_nulls {
            case PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_FIRST: true
            case PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_LAST: false
            default: isDescending
            }
        return SelectSyntax.SortKey(
            value: try expression(node), isDescending: isDescending, nullsFirst: nullsFirst)
    }

    private func locking(_ list: CList) throws(SQLError) -> SelectSyntax.Locking? {
        guard let node = list.first else { return nil }
        let clause = node.pointee.locking_clause.pointee
        if list.count > 1 || clause.n_locked_rels > 0 { throw unsupported("FOR UPDATE OF") }
        let wait: SelectSyntax.Locking.Wait =
            switch clause.wait_policy {
            case PG_QUERY__LOCK_WAIT_POLICY__LockWaitSkip: .skip
            case PG_QUERY__LOCK_WAIT_POLICY__LockWaitError: .fail
            default: .wait
            }
        let isExclusive =
            clause.strength == PG_QUERY__LOCK_CLAUSE_STRENGTH__LCS_FORUPDATE
            || clause.strength == PG_QUERY__LOCK_CLAUSE_STRENGTH__LCS_FORNOKEYUPDATE
        return SelectSyntax.Locking(isExclusive: isExclusive, wait: wait)
    }

    // MARK: Changes

    private func table(
        _ range: UnsafeMutablePointer<PgQuery__RangeVar>?
    ) throws(SQLError) -> TableName {
        guard let range else { throw unsupported("a statement without a table") }
        return try tableName(range.pointee)
    }

    func insert(_ insert: PgQuery__InsertStmt) throws(SQLError) -> InsertSyntax {
        if insert.with_clause != nil { throw unsupported("WITH") }
        if insert.override != PG_QUERY__OVERRIDING_KIND__OVERRIDING_NOT_SET {
            throw unsupported("OVERRIDING")
        }
        var columns: [InsertSyntax.Column]?
        if insert.n_cols > 0 {
            columns = try CList(insert.cols, insert.n_cols).map { (node) throws(SQLError) in
                let target = node.pointee.res_target.pointee
                if target.n_indirection > 0 {
                    throw unsupported("a part of a column", at: Int(target.location))
                }
                return InsertSyntax.Column(name: string(target.name), at: Int(target.location))
            }
        }
        var source: SelectSyntax?
        if let node = insert.select_stmt { source = try select(node.pointee.select_stmt.pointee) }
        return InsertSyntax(
            table: try table(insert.relation), columns: columns, source: source,
            conflict: try conflict(insert.on_conflict_clause?.pointee),
            returning: try targets(CList(insert.returning_list, insert.n_returning_list)))
    }

    private func conflict(
        _ clause: PgQuery__OnConflictClause?
    ) throws(SQLError) -> InsertSyntax.Conflict? {
        guard let clause else { return nil }
        var conflict = InsertSyntax.Conflict(
            columns: nil, constraint: nil, assignments: nil, condition: nil,
            at: Int(clause.location))
        if let infer = clause.infer?.pointee {
            if infer.where_clause != nil { throw unsupported("ON CONFLICT … WHERE in the target") }
            conflict.constraint = optionalString(infer.conname)
            if infer.n_index_elems > 0 {
                conflict.columns = try CList(infer.index_elems, infer.n_index_elems)
                    .map { (node) throws(SQLError) in
                        let element = node.pointee.index_elem.pointee
                        guard element.expr == nil, element.n_collation == 0, element.n_opclass == 0
                        else { throw unsupported("an expression in ON CONFLICT") }
                        return string(element.name)
                    }
            }
        }
        if clause.action == PG_QUERY__ON_CONFLICT_ACTION__ONCONFLICT_UPDATE {
            conflict.assignments = try targets(CList(clause.target_list, clause.n_target_list))
            conflict.condition = try optionalExpression(clause.where_clause)
        }
        return conflict
    }

    func update(_ update: PgQuery__UpdateStmt) throws(SQLError) -> UpdateSyntax {
        if update.with_clause != nil { throw unsupported("WITH") }
        if update.n_from_clause > 0 { throw unsupported("UPDATE … FROM") }
        return UpdateSyntax(
            table: try table(update.relation),
            assignments: try targets(CList(update.target_list, update.n_target_list)),
            condition: try optionalExpression(update.where_clause),
            returning: try targets(CList(update.returning_list, update.n_returning_list)))
    }

    func delete(_ delete: PgQuery__DeleteStmt) throws(SQLError) -> DeleteSyntax {
        if delete.with_clause != nil { throw unsupported("WITH") }
        if delete.n_using_clause > 0 { throw unsupported("DELETE … USING") }
        return DeleteSyntax(
            table: try table(delete.relation),
            condition: try optionalExpression(delete.where_clause),
            returning: try targets(CList(delete.returning_list, delete.n_returning_list)))
    }
}
