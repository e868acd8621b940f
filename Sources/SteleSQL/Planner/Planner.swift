/// Turns statements as they were written into plans.
struct Planner {
    var binder: Binder
    /// The table that the statement names, if it names one. `INSERT … SELECT` may have two.
    let tables: [String: TableDefinition]
    private let epoch: UInt64
    /// Literals and parameters among the outputs of a query are left as they are, for the columns
    /// that they are inserted into to say their types.
    var keepsUnknown = false

    init(
        source: SourceText, parameters: [SQLType?], mayAddParameters: Bool, time: TimeContext,
        tables: [TableDefinition], epoch: UInt64, meter: WorkMeter
    ) {
        binder = Binder(
            source: source, parameters: parameters, mayAddParameters: mayAddParameters, time: time,
            meter: meter)
        self.tables = Dictionary(tables.map { ($0.name, $0) }, uniquingKeysWith: { $1 })
        self.epoch = epoch
    }

    /// The tables that a statement names.
    static func tableNames(_ statement: Statement) -> [TableName] {
        switch statement {
        case .select(let select): names(in: select)
        case .insert(let insert): [insert.table] + (insert.source.map(names) ?? [])
        case .update(let update): [update.table]
        case .delete(let delete): [delete.table]
        default: []
        }
    }

    private static func names(in select: SelectSyntax) -> [TableName] {
        if case .table(let name) = select.source { [name] } else { [] }
    }

    /// Whether the statement is one of those that have a plan.
    static func plans(_ statement: Statement) -> Bool {
        switch statement {
        case .select, .insert, .update, .delete: true
        default: false
        }
    }

    mutating func plan(_ statement: Statement) throws(SQLError) -> Plan {
        switch statement {
        case .select(let syntax):
            let (plan, columns) = try select(syntax)
            return try finished(.select(plan), columns)
        case .insert(let syntax): return try insert(syntax)
        case .update(let syntax): return try update(syntax)
        case .delete(let syntax): return try delete(syntax)
        default: throw .unsupported("preparing this statement")
        }
    }

    func finished(
        _ action: Plan.Action, _ columns: [ResultColumn]?
    ) throws(SQLError) -> Plan {
        Plan(
            action: action, parameters: try binder.resolvedParameters(), columns: columns,
            tables: tables.values.sorted { $0.oid < $1.oid }, epoch: epoch)
    }

    func table(_ name: TableName) throws(SQLError) -> TableDefinition {
        guard let table = tables[name.name], name.schema.isEmpty || name.schema == "public" else {
            throw SQLError.noTable(name).at(binder.source.position(of: name.at))
        }
        return table
    }

    // MARK: Select lists

    /// The outputs of a select or `RETURNING` list, and how clients see them.
    mutating func outputs(
        _ targets: [SelectSyntax.Target]
    ) throws(SQLError) -> (values: [Typed], columns: [ResultColumn]) {
        var values: [Typed] = []
        var columns: [ResultColumn] = []
        for target in targets {
            if case .star(let qualifier, let at) = target.value {
                let all: [Scope.Column]
                do {
                    all = try binder.scope.all(qualifier)
                } catch { throw error.at(binder.source.position(of: at)) }
                if binder.scope.qualifiers.isEmpty {
                    throw binder.error(
                        "42601", "SELECT * with no tables specified is not valid", at: at)
                }
                for column in all {
                    values.append(Typed(expression: .column(column.index), type: column.type))
                    columns.append(Self.described(column, as: column.name))
                }
                // Each star stands for so many that the limit is looked at before the next.
                try Self.checkWidth(values.count)
                continue
            }
            var value = try binder.bind(target.value)
            if !keepsUnknown { value = try binder.settled(value, at: target.value.location) }
            values.append(value)
            let name = target.name ?? Self.name(of: target.value)
            if case .column(let qualifier, let written, _) = target.value,
                let column = try? binder.scope.column(qualifier, written)
            {
                columns.append(Self.described(column, as: name))
            } else {
                columns.append(ResultColumn(name: name, type: value.type))
            }
        }
        try Self.checkWidth(values.count)
        return (values, columns)
    }

    /// PostgreSQL's limit; the protocol counts columns in 16 bits.
    private static let outputLimit = 1_664

    static func checkWidth(_ count: Int) throws(SQLError) {
        guard count <= outputLimit else {
            throw SQLError("54011", "target lists can have at most \(outputLimit) entries")
        }
    }

    private static func described(_ column: Scope.Column, as name: String) -> ResultColumn {
        ResultColumn(
            name: name, type: column.type, tableOID: column.tableOID,
            attributeNumber: column.attributeNumber)
    }

    /// The name that PostgreSQL gives an expression without `AS`.
    private static func name(of expression: Expression) -> String {
        if let name = ownName(of: expression) { return name }
        return switch expression {
        case .cast(_, let type, _): type.internalName
        case .choice: "case"
        default: "?column?"
        }
    }

    /// The name that an expression has by what it computes; a cast and a `CASE` have that of what is
    /// in them, and none if nothing in them has one.
    private static func ownName(of expression: Expression) -> String? {
        switch expression {
        case .column(_, let name, _): name
        case .call(let call): call.name
        case .cast(let operand, _, _): ownName(of: operand)
        case .choice(_, _, let otherwise, _): otherwise.flatMap(ownName)
        case .coalesce: "coalesce"
        case .nullIf: "nullif"
        case .extreme(let isGreatest, _, _): isGreatest ? "greatest" : "least"
        case .keyword(let keyword, _):
            switch keyword {
            case .currentDate: "current_date"
            case .currentTimestamp: "current_timestamp"
            case .localTimestamp: "localtimestamp"
            case .currentUser: "current_user"
            case .sessionUser: "session_user"
            case .currentDatabase: "current_catalog"
            case .currentSchema: "current_schema"
            }
        default: nil
        }
    }

    /// The `RETURNING` list, if there is one.
    mutating func returning(
        _ targets: [SelectSyntax.Target]
    ) throws(SQLError) -> (values: [BoundExpression], columns: [ResultColumn])? {
        guard !targets.isEmpty else { return nil }
        binder.clause = "RETURNING"
        let (values, columns) = try outputs(targets)
        return (values.map(\.expression), columns)
    }

    /// A column of a statement's target by its name.
    func column(
        _ name: String, of table: TableDefinition, at: Int
    ) throws(SQLError) -> Int {
        guard let index = table.columnIndex(name) else {
            throw binder.error(
                "42703", "column \"\(name)\" of relation \"\(table.name)\" does not exist", at: at)
        }
        return index
    }
}
