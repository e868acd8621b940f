internal import CPgQuery

extension Parser {
    func createTable(_ create: PgQuery__CreateStmt) throws(SQLError) -> CreateTableSyntax {
        guard let relation = create.relation else { throw unsupported("this CREATE TABLE") }
        let table = try tableName(relation.pointee)
        if string(relation.pointee.relpersistence) == "t" { throw unsupported("a temporary table") }
        if create.n_inh_relations > 0 || create.partbound != nil || create.partspec != nil {
            throw unsupported("inheritance or partitioning")
        }
        if create.of_typename != nil { throw unsupported("CREATE TABLE … OF") }
        if create.oncommit != PG_QUERY__ON_COMMIT_ACTION__ONCOMMIT_NOOP {
            throw unsupported("ON COMMIT")
        }
        if let space = optionalString(create.tablespacename) {
            throw unsupported("tablespace \"\(space)\"")
        }
        if let method = optionalString(create.access_method), method != "heap" {
            throw unsupported("access method \"\(method)\"")
        }
        try checkStorage(CList(create.options, create.n_options))
        var result = CreateTableSyntax(
            table: table, ifNotExists: create.if_not_exists != 0, columns: [], primaryKey: nil)
        for element in CList(create.table_elts, create.n_table_elts) {
            switch element.pointee.node_case {
            case PG_QUERY__NODE__NODE_COLUMN_DEF:
                try add(element.pointee.column_def.pointee, to: &result)
            case PG_QUERY__NODE__NODE_CONSTRAINT:
                try setPrimaryKey(key(element.pointee.constraint.pointee), of: &result)
            default: throw unsupported("LIKE in CREATE TABLE")
            }
        }
        return result
    }

    /// Settings of PostgreSQL's storage that change nothing a client could see.
    private func checkStorage(_ options: CList) throws(SQLError) {
        for node in options {
            let option = node.pointee.def_elem.pointee
            let name = string(option.defname)
            guard ["fillfactor", "parallel_workers", "oids", "vacuum_truncate"].contains(name)
                || name.hasPrefix("autovacuum_") || name.hasPrefix("toast")
            else {
                throw SQLError(
                    "22023", "unrecognized parameter \"\(name)\"",
                    position: source.position(of: Int(option.location)))
            }
        }
    }

    private func add(
        _ column: PgQuery__ColumnDef, to table: inout CreateTableSyntax
    ) throws(SQLError) {
        let at = Int(column.location)
        let name = string(column.colname)
        guard let typeName = column.type_name else { throw unsupported("this column", at: at) }
        if column.coll_clause != nil { throw unsupported("COLLATE", at: at) }
        var result = CreateTableSyntax.Column(
            name: name, type: try type(typeName.pointee), isNotNull: false, initial: nil, at: at)
        for node in CList(column.constraints, column.n_constraints) {
            let constraint = node.pointee.constraint.pointee
            switch constraint.contype {
            case PG_QUERY__CONSTR_TYPE__CONSTR_NULL: break
            case PG_QUERY__CONSTR_TYPE__CONSTR_NOTNULL: result.isNotNull = true
            case PG_QUERY__CONSTR_TYPE__CONSTR_DEFAULT:
                result.initial = try optionalExpression(constraint.raw_expr)
            default:
                var key = try self.key(constraint)
                key.columns = [name]
                try setPrimaryKey(key, of: &table)
            }
        }
        table.columns.append(result)
    }

    private func setPrimaryKey(
        _ key: CreateTableSyntax.PrimaryKey, of table: inout CreateTableSyntax
    ) throws(SQLError) {
        guard table.primaryKey == nil else {
            throw SQLError(
                "42P16", "multiple primary keys for table \"\(table.table.name)\" are not allowed",
                position: source.position(of: key.at))
        }
        table.primaryKey = key
    }

    /// A constraint that must be a primary key: the others are not supported.
    private func key(
        _ constraint: PgQuery__Constraint
    ) throws(SQLError) -> CreateTableSyntax.PrimaryKey {
        let at = Int(constraint.location)
        switch constraint.contype {
        case PG_QUERY__CONSTR_TYPE__CONSTR_PRIMARY: break
        case PG_QUERY__CONSTR_TYPE__CONSTR_UNIQUE: throw unsupported("a UNIQUE constraint", at: at)
        case PG_QUERY__CONSTR_TYPE__CONSTR_CHECK: throw unsupported("a CHECK constraint", at: at)
        case PG_QUERY__CONSTR_TYPE__CONSTR_FOREIGN: throw unsupported("a foreign key", at: at)
        case PG_QUERY__CONSTR_TYPE__CONSTR_EXCLUSION:
            throw unsupported("an exclusion constraint", at: at)
        case PG_QUERY__CONSTR_TYPE__CONSTR_IDENTITY: throw unsupported("an identity column", at: at)
        case PG_QUERY__CONSTR_TYPE__CONSTR_GENERATED:
            throw unsupported("a generated column", at: at)
        default: throw unsupported("this constraint", at: at)
        }
        if constraint.deferrable != 0 { throw unsupported("a deferrable constraint", at: at) }
        if constraint.n_including > 0 { throw unsupported("INCLUDE", at: at) }
        if let index = optionalString(constraint.indexname) {
            throw unsupported("a constraint using index \"\(index)\"", at: at)
        }
        return CreateTableSyntax.PrimaryKey(
            name: optionalString(constraint.conname),
            columns: strings(CList(constraint.keys, constraint.n_keys)), at: at)
    }

    func drop(_ drop: PgQuery__DropStmt) throws(SQLError) -> Statement {
        guard drop.remove_type == PG_QUERY__OBJECT_TYPE__OBJECT_TABLE else {
            throw unsupported("dropping anything but a table")
        }
        // CASCADE has nothing to reach: there are neither views nor foreign keys.
        let names = try CList(drop.objects, drop.n_objects).map { (node) throws(SQLError) in
            let parts = strings(items(node))
            guard let name = parts.last, parts.count <= 2 else {
                throw unsupported("a reference to another database")
            }
            return TableName(
                schema: parts.count == 2 ? parts[0] : "", name: name, alias: nil, at: -1)
        }
        return .dropTables(names, ifExists: drop.missing_ok != 0)
    }

    func truncate(_ truncate: PgQuery__TruncateStmt) throws(SQLError) -> Statement {
        .truncate(
            try CList(truncate.relations, truncate.n_relations).map { (node) throws(SQLError) in
                try tableName(node.pointee.range_var.pointee)
            })
    }

    func alterTable(_ alter: PgQuery__AlterTableStmt) throws(SQLError) -> Statement {
        let commands = CList(alter.cmds, alter.n_cmds)
        guard let relation = alter.relation, commands.count == 1, let node = commands.first,
            alter.objtype == PG_QUERY__OBJECT_TYPE__OBJECT_TABLE
        else { throw unsupported("this form of ALTER") }
        let command = node.pointee.alter_table_cmd.pointee
        guard command.subtype == PG_QUERY__ALTER_TABLE_TYPE__AT_AddConstraint,
            let definition = command.def,
            definition.pointee.node_case == PG_QUERY__NODE__NODE_CONSTRAINT
        else {
            throw unsupported("this form of ALTER TABLE", hint: "ADD PRIMARY KEY is supported.")
        }
        return .addPrimaryKey(
            AddPrimaryKeySyntax(
                table: try tableName(relation.pointee), ifExists: alter.missing_ok != 0,
                key: try key(definition.pointee.constraint.pointee)))
    }
}
