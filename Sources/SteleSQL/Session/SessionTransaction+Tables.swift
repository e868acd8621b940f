import SteleAPI
import SteleBase

// How a transaction is kept from acting on a definition that has changed.
//
// Each table has a stamp: a key whose value is the version of its definition. Whoever changes a
// table locks the stamp exclusively and writes a new version in the same transaction.
//
// Invariant: what a statement reports comes from a definition of which one of these holds:
// 1. the stamp, read in the same snapshot as the rows or while they were locked, has the
//    definition's version;
// 2. this transaction holds a lock on the stamp that was granted at the definition's version;
// 3. this transaction made the definition itself;
// 4. this transaction writes, and its commit fails unless the stamp has the version then.
// Rows are written only under 2, 3 or 4, so no row is written past a TRUNCATE or DROP that was
// committed in between. A rewrite, which moves rows that it read earlier, also needs that nobody
// commits between its reading and its commit. Only tables without a primary key are rewritten, and
// for those 4 is not enough: their writers hold a shared lock, which excludes the rewrite.
//
// Definitions come from the node's cache without a look at the database. Point reads and row locks
// get the stamp together with their rows; a change that finds no row, and a statement that fails, look at the
// stamp afterwards. A definition that turns out to be old is reported by `stale`, and the session
// plans the statement again.

/// What a transaction knows of the tables that it uses.
struct TableKnowledge {
    /// A table that this transaction made or changed; nil if it was dropped.
    struct Made {
        var table: TableDefinition?
    }

    var made: [String: Made] = [:]
    /// Versions whose stamps this transaction has locked.
    var locked: Set<UInt32> = []
    /// Versions that the commit requires, with the tables' names.
    var expected: [UInt32: String] = [:]
    /// Versions that were seen in the present snapshot.
    var seen: Set<UInt32> = []
    /// The definitions of the statement that runs.
    var used: [TableDefinition] = []
    /// The table whose definition was found to be out of date.
    var stale: String?

    mutating func forgetSnapshot() { if !seen.isEmpty { seen = [] } }

    /// Whether rows may be written.
    func isPinned(_ table: TableDefinition) -> Bool {
        isHeld(table) || expected[table.version] != nil
    }

    /// Whether nobody else can change the definition before the transaction ends.
    func isHeld(_ table: TableDefinition) -> Bool {
        locked.contains(table.version) || isMade(table)
    }

    /// Whether the definition is known to be that of the present snapshot.
    func isTrusted(_ table: TableDefinition) -> Bool {
        isHeld(table) || seen.contains(table.version)
    }

    private func isMade(_ table: TableDefinition) -> Bool {
        !made.isEmpty && made[table.name]?.table === table
    }
}

extension SessionTransaction {
    // MARK: Definitions

    /// The definition to plan with, which may be out of date.
    func table(
        _ name: TableName, in source: SourceText?
    ) async throws(SQLError) -> TableDefinition {
        guard let table = try await findTable(name) else {
            throw .noTable(name).at(source?.position(of: name.at))
        }
        return table
    }

    func findTable(_ name: TableName) async throws(SQLError) -> TableDefinition? {
        guard name.schema.isEmpty || name.schema == "public" else { return nil }
        if let made = tables.made[name.name] { return made.table }
        if let table = catalog.table(name.name) { return table }
        return try await loadTable(name.name)
    }

    private func loadTable(_ name: String) async throws(SQLError) -> TableDefinition? {
        let values = try await get([CatalogKeys.stamp(name), CatalogKeys.definition(name)])
        guard let definition = values[1] else { return nil }
        let table = try TableDefinition(encoded: definition)
        tables.seen.insert(table.version)
        catalog.keep(table)
        return table
    }

    /// Whether a plan made for this definition may still be run.
    func isCurrent(_ table: TableDefinition) -> Bool {
        if let made = tables.made[table.name] { return made.table === table }
        return catalog.table(table.name) === table
    }

    /// The definition was found to be old: the session plans again after this error.
    private func reportStale(_ table: TableDefinition) -> SQLError {
        tables.stale = table.name
        catalog.forget(table.name)
        return SQLError(
            "40001", "could not serialize access due to concurrent change of table "
                + "\"\(table.name)\"")
    }

    private func check(_ stamp: [UInt8]?, _ table: TableDefinition) throws(SQLError) {
        guard let stamp, CatalogKeys.id(stamp) == table.version else {
            throw reportStale(table)
        }
    }

    // MARK: Rows

    /// The values of keys of a table, in the snapshot.
    func read(
        _ table: TableDefinition, _ keys: [KeyBytes]
    ) async throws(SQLError) -> [[UInt8]?] {
        if tables.isTrusted(table) { return try await get(keys) }
        var values = try await get(keys + [table.stampKey])
        try check(values.removeLast(), table)
        tables.seen.insert(table.version)
        return values
    }

    /// A page of a table's rows in the snapshot.
    func scan(
        _ table: TableDefinition, _ range: KeyRange, limit: Int, reverse: Bool
    ) async throws(SQLError) -> RowPage {
        try await verify(table)
        return try await scan(range, limit: limit, reverse: reverse)
    }

    /// Looks at the stamp, unless the definition is trusted already.
    func verify(_ table: TableDefinition) async throws(SQLError) {
        guard !tables.isTrusted(table) else { return }
        try check(try await get([table.stampKey])[0], table)
        tables.seen.insert(table.version)
    }

    /// After a failure: whether the statement's definitions are old, which then is the reason.
    func findStale() async {
        guard !hasEnded else { return }
        beginStatement()
        do {
            for table in tables.used { try await verify(table) }
        } catch {
            // What the statement itself failed with says more.
            return
        }
    }

    /// Locks rows of a table.
    func lock(
        _ table: TableDefinition, _ keys: [KeyBytes], _ mode: LockMode, _ wait: LockWait
    ) async throws(SQLError) -> [LockedValue] {
        if table.hasHiddenKey { try await pin(table) }
        guard !keys.isEmpty else { return [] }
        var values: [LockedValue]
        let isHeld = tables.isHeld(table)
        do {
            values = try await lock(keys, mode, wait, reading: isHeld ? [] : [table.stampKey])
        } catch {
            guard wait == .fail, error.state == "55P03" else { throw error }
            throw SQLError(
                "55P03", "could not obtain lock on row in relation \"\(table.name)\"")
        }
        if !isHeld {
            try check(values.removeLast().value, table)
            try await pin(table)
        }
        return values
    }

    /// Makes sure that the definition is still in force when the transaction commits.
    func pin(_ table: TableDefinition) async throws(SQLError) {
        guard !tables.isPinned(table) else { return }
        if table.hasHiddenKey {
            let locked = try await lock([table.stampKey], .shared, .wait)
            try check(locked[0].value, table)
            tables.locked.insert(table.version)
        } else {
            try expect(table.stampKey, CatalogKeys.value(table.version))
            tables.expected[table.version] = table.name
        }
    }

    // MARK: Changes of definitions

    /// Locks a table's name for a change, and tells what table there is.
    func claim(_ name: String) async throws(SQLError) -> TableDefinition? {
        let values = try await lock(
            [CatalogKeys.stamp(name), CatalogKeys.definition(name)], .exclusive, .wait)
        if let made = tables.made[name] { return made.table }
        guard let definition = values[1].value else { return nil }
        let table = try TableDefinition(encoded: definition)
        tables.locked.insert(table.version)
        return table
    }

    /// Stores a definition under its claimed name.
    func define(_ table: TableDefinition) throws(SQLError) {
        try write(table.stampKey, CatalogKeys.value(table.version))
        try write(CatalogKeys.definition(table.name), table.encoded())
        tables.made[table.name] = TableKnowledge.Made(table: table)
    }

    /// Removes the definition of a claimed name.
    func undefine(_ table: TableDefinition) throws(SQLError) {
        try write(table.stampKey, nil)
        try write(CatalogKeys.definition(table.name), nil)
        tables.made[table.name] = TableKnowledge.Made(table: nil)
    }

    /// Gives up the rows of a storage: they go once no snapshot can show them any more.
    func abandon(_ storage: UInt32) throws(SQLError) {
        try discard(CatalogKeys.all(of: storage))
    }
}

extension SQLError {
    static func noTable(_ name: TableName) -> SQLError {
        if ForeignNames.hasRelation(name) {
            return .unsupported(
                "relation \"\(name.shown)\"",
                hint: "The system catalog and the information schema are not there as tables.")
        }
        return SQLError("42P01", "relation \"\(name.shown)\" does not exist")
    }
}
