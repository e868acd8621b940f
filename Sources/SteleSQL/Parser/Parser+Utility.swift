internal import CPgQuery

extension Parser {
    /// Statements about the session, and what is refused as a whole.
    func utility(_ node: CNode) throws(SQLError) -> Statement {
        switch node.pointee.node_case {
        case PG_QUERY__NODE__NODE_VARIABLE_SET_STMT:
            return .set(try set(node.pointee.variable_set_stmt.pointee))
        case PG_QUERY__NODE__NODE_VARIABLE_SHOW_STMT:
            let name = string(node.pointee.variable_show_stmt.pointee.name)
            return .show(name == "all" ? nil : name)
        case PG_QUERY__NODE__NODE_VACUUM_STMT:
            let vacuum = node.pointee.vacuum_stmt.pointee
            let tables = try CList(vacuum.rels, vacuum.n_rels).compactMap(relation)
            return .vacuum(isVacuum: vacuum.is_vacuumcmd != 0, tables)
        case PG_QUERY__NODE__NODE_DEALLOCATE_STMT:
            return .deallocate(optionalString(node.pointee.deallocate_stmt.pointee.name))
        case PG_QUERY__NODE__NODE_DISCARD_STMT:
            switch node.pointee.discard_stmt.pointee.target {
            case PG_QUERY__DISCARD_MODE__DISCARD_PLANS: return .discard(.plans)
            case PG_QUERY__DISCARD_MODE__DISCARD_SEQUENCES: return .discard(.sequences)
            case PG_QUERY__DISCARD_MODE__DISCARD_TEMP: return .discard(.temporary)
            default: return .discard(.all)
            }
        case PG_QUERY__NODE__NODE_CLOSE_PORTAL_STMT:
            return .closeCursor(optionalString(node.pointee.close_portal_stmt.pointee.portalname))
        case PG_QUERY__NODE__NODE_UNLISTEN_STMT: return .unlisten
        case PG_QUERY__NODE__NODE_CONSTRAINTS_SET_STMT: return .set(.constraints)
        default: throw unsupported(Self.otherStatement(node.pointee.node_case))
        }
    }

    private func relation(_ node: CNode) throws(SQLError) -> TableName? {
        guard let relation = node.pointee.vacuum_relation.pointee.relation else { return nil }
        return try tableName(relation.pointee)
    }

    private static func otherStatement(_ kind: PgQuery__Node__NodeCase) -> String {
        switch kind {
        case PG_QUERY__NODE__NODE_INDEX_STMT: "CREATE INDEX"
        case PG_QUERY__NODE__NODE_VIEW_STMT: "CREATE VIEW"
        case PG_QUERY__NODE__NODE_CREATE_TABLE_AS_STMT: "CREATE TABLE AS"
        case PG_QUERY__NODE__NODE_CREATE_SEQ_STMT: "CREATE SEQUENCE"
        case PG_QUERY__NODE__NODE_CREATE_SCHEMA_STMT: "CREATE SCHEMA"
        case PG_QUERY__NODE__NODE_CREATEDB_STMT: "CREATE DATABASE"
        case PG_QUERY__NODE__NODE_CREATE_FUNCTION_STMT: "CREATE FUNCTION"
        case PG_QUERY__NODE__NODE_CREATE_ROLE_STMT: "CREATE ROLE"
        case PG_QUERY__NODE__NODE_CREATE_EXTENSION_STMT: "CREATE EXTENSION"
        case PG_QUERY__NODE__NODE_EXPLAIN_STMT: "EXPLAIN"
        case PG_QUERY__NODE__NODE_LISTEN_STMT: "LISTEN"
        case PG_QUERY__NODE__NODE_NOTIFY_STMT: "NOTIFY"
        case PG_QUERY__NODE__NODE_LOCK_STMT: "LOCK TABLE"
        case PG_QUERY__NODE__NODE_DECLARE_CURSOR_STMT: "DECLARE CURSOR"
        case PG_QUERY__NODE__NODE_FETCH_STMT: "FETCH"
        case PG_QUERY__NODE__NODE_MERGE_STMT: "MERGE"
        case PG_QUERY__NODE__NODE_DO_STMT: "DO"
        case PG_QUERY__NODE__NODE_CALL_STMT: "CALL"
        case PG_QUERY__NODE__NODE_GRANT_STMT: "GRANT or REVOKE"
        case PG_QUERY__NODE__NODE_COMMENT_STMT: "COMMENT"
        case PG_QUERY__NODE__NODE_RENAME_STMT: "RENAME"
        default: "this kind of statement"
        }
    }

    // MARK: Transactions

    func transaction(
        _ statement: PgQuery__TransactionStmt
    ) throws(SQLError) -> TransactionSyntax {
        let name = string(statement.savepoint_name)
        switch statement.kind {
        case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_BEGIN,
            PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_START:
            return .begin(
                try modes(CList(statement.options, statement.n_options)),
                isStart: statement.kind == PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_START)
        case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_COMMIT:
            return .commit(andChain: statement.chain != 0)
        case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK:
            return .rollback(andChain: statement.chain != 0)
        case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_SAVEPOINT: return .savepoint(name)
        case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_RELEASE: return .release(name)
        case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK_TO: return .rollbackTo(name)
        default: throw unsupported("a prepared transaction")
        }
    }

    private func modes(_ options: CList) throws(SQLError) -> TransactionModes {
        var modes = TransactionModes()
        for node in options {
            let option = node.pointee.def_elem.pointee
            switch string(option.defname) {
            case "transaction_isolation": modes.isolation = try optionValue(option)
            case "transaction_read_only": modes.isReadOnly = try optionValue(option) != "0"
            // A deferrable transaction may only wait for a better snapshot.
            case "transaction_deferrable": modes.isDeferrable = try optionValue(option) != "0"
            default: throw unsupported("this transaction mode")
            }
        }
        return modes
    }

    // MARK: Settings

    private func set(_ set: PgQuery__VariableSetStmt) throws(SQLError) -> SetSyntax {
        let name = string(set.name)
        let arguments = CList(set.args, set.n_args)
        switch set.kind {
        case PG_QUERY__VARIABLE_SET_KIND__VAR_SET_VALUE:
            let values = try arguments.map { (node) throws(SQLError) in
                try value(node, of: name)
            }
            return .value(name: name, values, isLocal: set.is_local != 0)
        case PG_QUERY__VARIABLE_SET_KIND__VAR_SET_DEFAULT, PG_QUERY__VARIABLE_SET_KIND__VAR_RESET:
            return .value(
                name: name, nil, isLocal: set.is_local != 0,
                isReset: set.kind == PG_QUERY__VARIABLE_SET_KIND__VAR_RESET)
        case PG_QUERY__VARIABLE_SET_KIND__VAR_RESET_ALL: return .resetAll
        case PG_QUERY__VARIABLE_SET_KIND__VAR_SET_MULTI where name == "TRANSACTION":
            return .transaction(try modes(arguments))
        case PG_QUERY__VARIABLE_SET_KIND__VAR_SET_MULTI where name == "SESSION CHARACTERISTICS":
            return .sessionCharacteristics(try modes(arguments))
        default: throw unsupported("this form of SET")
        }
    }

    private func value(_ node: CNode, of name: String) throws(SQLError) -> String {
        if name == "timezone", let zone = try interval(node) { return zone }
        guard case .literal(let literal, _) = try expression(node) else {
            throw unsupported("this value for \"\(name)\"")
        }
        switch literal {
        case .string(let text), .decimal(let text): return text
        case .integer(let number): return String(number)
        case .bool(let value): return value ? "on" : "off"
        case .null: throw unsupported("NULL as a value of \"\(name)\"")
        }
    }

    /// The zone in `SET TIME ZONE INTERVAL '+02:00' HOUR TO MINUTE`; nil if it is none.
    private func interval(_ node: CNode) throws(SQLError) -> String? {
        guard node.pointee.node_case == PG_QUERY__NODE__NODE_TYPE_CAST,
            let argument = node.pointee.type_cast.pointee.arg,
            case .literal(.string(let text), _) = try expression(argument)
        else { return nil }
        let bytes = Array((text.first == "-" || text.first == "+" ? text : "+" + text).utf8)[...]
        guard let (seconds, end) = ZoneOffset.scan(bytes), end == bytes.endIndex,
            seconds.magnitude < 168 * 3600
        else { throw unsupported("this time zone") }
        return ZoneOffset(seconds: seconds).posixName
    }

    /// An option's value as text; nil if it has none.
    private func optionValue(_ option: PgQuery__DefElem) throws(SQLError) -> String? {
        guard let argument = option.arg else { return nil }
        switch argument.pointee.node_case {
        case PG_QUERY__NODE__NODE_STRING: return stringValue(argument)
        case PG_QUERY__NODE__NODE_INTEGER: return String(argument.pointee.integer.pointee.ival)
        case PG_QUERY__NODE__NODE_FLOAT: return string(argument.pointee.float_.pointee.fval)
        case PG_QUERY__NODE__NODE_BOOLEAN:
            return argument.pointee.boolean.pointee.boolval != 0 ? "true" : "false"
        case PG_QUERY__NODE__NODE_A_CONST: return try value(argument, of: string(option.defname))
        case PG_QUERY__NODE__NODE_A_STAR: return "*"
        default: throw unsupported("a list as the value of \"\(string(option.defname))\"")
        }
    }

    // MARK: COPY

    func copy(_ copy: PgQuery__CopyStmt) throws(SQLError) -> CopySyntax {
        guard copy.is_from != 0 else { throw unsupported("COPY … TO") }
        guard let relation = copy.relation, copy.query == nil else {
            throw unsupported("COPY of a query")
        }
        if copy.is_program != 0 || optionalString(copy.filename) != nil {
            throw SQLError(
                "0A000", "COPY from a file or program is not supported",
                hint: "Anyone can COPY to stdout or from stdin. psql's \\copy command also works "
                    + "for anyone.")
        }
        if copy.where_clause != nil { throw unsupported("COPY … WHERE") }
        let options = try CList(copy.options, copy.n_options).map { (node) throws(SQLError) in
            let option = node.pointee.def_elem.pointee
            if let argument = option.arg, argument.pointee.node_case == PG_QUERY__NODE__NODE_LIST {
                return CopySyntax.Option(
                    name: string(option.defname), value: nil, list: strings(items(argument)))
            }
            return CopySyntax.Option(
                name: string(option.defname), value: try optionValue(option))
        }
        return CopySyntax(
            table: try tableName(relation.pointee),
            columns: copy.n_attlist > 0 ? strings(CList(copy.attlist, copy.n_attlist)) : nil,
            options: options)
    }
}

extension CList {
    func compactMap<Result>(
        _ transform: (CNode) throws(SQLError) -> Result?
    ) throws(SQLError) -> [Result] {
        var results: [Result] = []
        for node in self { if let result = try transform(node) { results.append(result) } }
        return results
    }
}
