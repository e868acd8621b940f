import SteleAPI
import SteleBase

/// Creates, changes and drops tables, in the same transaction as everything else.
///
/// Rows are never deleted one by one: a table that is truncated, dropped or rewritten leaves its
/// storage behind, with a note of when.
struct DefinitionRun {
    private let transaction: SessionTransaction
    private let context: StatementContext
    private let source: SourceText
    /// What the client is told besides the result.
    private(set) var notices: [SQLError] = []

    init(
        _ transaction: SessionTransaction, _ context: StatementContext, _ source: SourceText
    ) {
        self.transaction = transaction
        self.context = context
        self.source = source
    }

    private func isReachable(_ name: TableName) -> Bool {
        name.schema.isEmpty || name.schema == "public"
    }

    /// Locks a table for a change; what is read afterwards is not older than the lock.
    private func claim(_ name: TableName) async throws(SQLError) -> TableDefinition? {
        guard isReachable(name) else { return nil }
        let table = try await transaction.claim(name.name)
        transaction.beginStatement()
        return table
    }

    private func claimPresent(_ name: TableName) async throws(SQLError) -> TableDefinition {
        guard let table = try await claim(name) else {
            throw SQLError.noTable(name).at(source.position(of: name.at))
        }
        return table
    }

    // MARK: CREATE TABLE

    private static let columnLimit = 1_600

    mutating func create(_ syntax: CreateTableSyntax) async throws(SQLError) {
        let name = syntax.table
        guard isReachable(name) else {
            throw SQLError("3F000", "schema \"\(name.schema)\" does not exist")
        }
        guard try await claim(name) == nil else {
            let error = SQLError("42P07", "relation \"\(name.name)\" already exists")
            guard syntax.ifNotExists else { throw error }
            notices.append(
                SQLError("42P07", "relation \"\(name.name)\" already exists, skipping"))
            return
        }
        guard syntax.columns.count <= Self.columnLimit else {
            throw SQLError("54011", "tables can have at most \(Self.columnLimit) columns")
        }
        var columns: [TableDefinition.Column] = []
        // The definition of a column may nest as deeply as any statement.
        let (source, context) = (source, context)
        let initial = try await context.map(syntax.columns) { (column) throws(SQLError) in
            try Self.initial(column, source, context)
        }
        for (column, initial) in zip(syntax.columns, initial) {
            guard !columns.contains(where: { $0.name == column.name }) else {
                throw SQLError("42701", "column \"\(column.name)\" specified more than once")
            }
            columns.append(
                TableDefinition.Column(
                    name: column.name, type: column.type, isNotNull: column.isNotNull,
                    initial: initial))
        }
        var key: [Int] = []
        if let written = syntax.primaryKey { key = try self.key(written, &columns) }
        let id = try await transaction.nextID()
        try transaction.define(
            TableDefinition(
                oid: id, name: name.name, version: id, storage: id, columns: columns,
                primaryKey: key, keyName: syntax.primaryKey?.name ?? "\(name.name)_pkey"))
    }

    /// The places of a key's columns, which from now on are not null.
    private func key(
        _ key: CreateTableSyntax.PrimaryKey, _ columns: inout [TableDefinition.Column]
    ) throws(SQLError) -> [Int] {
        var places: [Int] = []
        for name in key.columns {
            guard let place = columns.firstIndex(where: { $0.name == name }) else {
                throw SQLError(
                    "42703", "column \"\(name)\" named in key does not exist",
                    position: source.position(of: key.at))
            }
            guard !places.contains(place) else {
                throw SQLError(
                    "42701", "column \"\(name)\" appears twice in primary key constraint",
                    position: source.position(of: key.at))
            }
            places.append(place)
            columns[place].isNotNull = true
        }
        return places
    }

    private static func initial(
        _ column: CreateTableSyntax.Column, _ source: SourceText, _ context: StatementContext
    ) throws(SQLError) -> ColumnDefault? {
        guard let written = column.initial else { return nil }
        var binder = Binder(
            source: source, parameters: [], time: context.time, meter: context.meter)
        binder.clause = "DEFAULT expressions"
        if case .column(_, _, let at) = written {
            throw binder.error("0A000", "cannot use column reference in DEFAULT expression", at: at)
        }
        let typed = try binder.bind(written)
        let type = typed.type
        let cast = SQLType.castContext(from: type, to: column.type) ?? .explicit
        if type != .unknown, cast > .assignment {
            throw binder.error(
                "42804",
                "column \"\(column.name)\" is of type \(column.type.plainName) but default "
                    + "expression is of type \(type.plainName)", at: column.at,
                hint: "You will need to rewrite or cast the expression.")
        }
        let bound = try binder.coerce(
            typed, to: column.type, in: .assignment, at: written.location).expression
        for function in ColumnDefault.DefaultFunction.all
        where typed.expression == .call(function.function, []) {
            return .function(function)
        }
        guard bound.isConstant else {
            throw binder.unsupported("this DEFAULT", at: written.location)
        }
        let value = try bound.evaluate([], context)
        return value.isNull ? nil : .constant(value)
    }

    // MARK: DROP and TRUNCATE

    mutating func drop(_ names: [TableName], ifExists: Bool) async throws(SQLError) {
        for name in names {
            guard let table = try await claim(name) else {
                guard ifExists else {
                    throw SQLError("42P01", "table \"\(name.shown)\" does not exist")
                }
                notices.append(
                    SQLError("00000", "table \"\(name.shown)\" does not exist, skipping"))
                continue
            }
            try transaction.abandon(table.storage)
            try transaction.undefine(table)
        }
    }

    func truncate(_ names: [TableName]) async throws(SQLError) {
        for name in names {
            let table = try await claimPresent(name)
            let id = try await transaction.nextID()
            try transaction.abandon(table.storage)
            try transaction.define(table.with(version: id, storage: id))
        }
    }

    // MARK: ALTER TABLE … ADD PRIMARY KEY

    private static let batch = 1_000

    mutating func addPrimaryKey(_ syntax: AddPrimaryKeySyntax) async throws(SQLError) {
        guard let old = try await claim(syntax.table) else {
            let error = SQLError.noTable(syntax.table)
            guard syntax.ifExists else { throw error.at(source.position(of: syntax.table.at)) }
            notices.append(
                SQLError("00000", "relation \"\(syntax.table.shown)\" does not exist, skipping"))
            return
        }
        guard old.hasHiddenKey else {
            throw SQLError(
                "42P16", "multiple primary keys for table \"\(old.name)\" are not allowed",
                position: source.position(of: syntax.key.at))
        }
        var columns = old.columns
        let key = try self.key(syntax.key, &columns)
        let id = try await transaction.nextID()
        let new = old.with(
            version: id, storage: id, columns: columns, primaryKey: key,
            keyName: syntax.key.name ?? "\(old.name)_pkey")
        try await rewrite(old, as: new)
        try transaction.abandon(old.storage)
        try transaction.define(new)
    }

    private func rewrite(
        _ old: TableDefinition, as new: TableDefinition
    ) async throws(SQLError) {
        let all = old.columns.map { _ in true }
        // Nobody else writes to the new storage, and what this transaction writes is limited.
        var keys = KeySet()
        defer { context.meter.discard(keys) }
        var range: KeyRange? = old.range
        while let next = range {
            let page = try await transaction.scan(next, limit: Self.batch, reverse: false)
            range = page.rest
            for stored in page.rows {
                let row = try old.row(key: stored.key, value: stored.value, wanted: all)
                if let column = new.primaryKey.first(where: { row[$0].isNull }) {
                    throw SQLError(
                        "23502",
                        "column \"\(new.columns[column].name)\" of relation \"\(new.name)\" "
                            + "contains null values",
                        table: new.name, column: new.columns[column].name)
                }
                let key = new.key(of: row)
                guard keys.insert(key) else {
                    throw new.duplicateOfNewKey(row)
                }
                try await context.meter.takeTurn(
                    after: WorkMeter.row + WorkMeter.written + 2 * stored.value.count)
                try transaction.write(key, new.value(of: row))
            }
        }
    }
}

extension BoundExpression {
    /// Whether the value is the same whenever and for whomever it is computed.
    fileprivate var isConstant: Bool {
        switch self {
        case .column, .parameter, .aggregate: false
        // They are not immutable for the sake of arguments that here are text already.
        case .call(.concat, _), .call(.joined, _): children.allSatisfy(\.isConstant)
        default: isImmutable && children.allSatisfy(\.isConstant)
        }
    }
}
