import SteleAPI
import SteleBase

/// Inserts rows in batches: locks their keys, checks that they are free, and writes them.
struct RowWriter {
    private let table: TableDefinition
    private let conflict: InsertPlan.Conflict?
    private let context: StatementContext
    private let transaction: SessionTransaction
    private var waiting: [[Datum]] = []
    private var waitingBytes = 0

    /// Rows that were inserted or, after a conflict, updated.
    private(set) var count = 0
    /// Those rows, if somebody wants to return them.
    private(set) var written: [[Datum]] = []
    private let keepsRows: Bool
    private var memory = MemoryMeter()

    private static let batch = 1_000
    private static let batchBytes = 1 << 20

    init(
        _ table: TableDefinition, _ context: StatementContext, _ transaction: SessionTransaction,
        conflict: InsertPlan.Conflict? = nil, keepsRows: Bool = false
    ) {
        self.table = table
        self.conflict = conflict
        self.context = context
        self.transaction = transaction
        self.keepsRows = keepsRows
    }

    /// Takes a row of all columns; it is written with its batch.
    mutating func add(_ row: [Datum]) async throws(SQLError) {
        try table.checkNotNull(row)
        waiting.append(row)
        waitingBytes += MemoryMeter.size(of: row)
        if waiting.count >= Self.batch || waitingBytes >= Self.batchBytes { try await flush() }
    }

    /// Writes what is waiting.
    mutating func flush() async throws(SQLError) {
        guard !waiting.isEmpty else { return }
        let rows = waiting
        waiting = []
        waitingBytes = 0
        if rows.count >= Self.batch { try await transaction.takeTurn() }
        if table.hasHiddenKey {
            try await transaction.pin(table)
            for row in rows {
                try store(row, under: table.key(hidden: context.environment.nextRowID()))
            }
            return
        }
        let keys = rows.map(table.key(of:))
        if rows.count == 1 {
            let present = try await transaction.lock(table, keys, .exclusive, .wait)[0].value
            try await settle(rows[0], keys[0], present, isOwn: false)
            return
        }
        // The first of several equal keys is locked; the others meet its row.
        var places: [DictionaryKey: Int] = [:]
        var distinct: [KeyBytes] = []
        for key in keys where places[DictionaryKey(key)] == nil {
            places[DictionaryKey(key)] = distinct.count
            distinct.append(key)
        }
        let locked = try await transaction.lock(table, distinct, .exclusive, .wait)
        var present = locked.map(\.value)
        var isOwn = [Bool](repeating: false, count: distinct.count)
        for (row, key) in zip(rows, keys) {
            guard let place = places[DictionaryKey(key)] else { continue }
            try await settle(row, key, present[place], isOwn: isOwn[place])
            if present[place] == nil {
                present[place] = []
            }
            isOwn[place] = true
        }
    }

    /// Writes a row, or does what is to be done if its key is taken.
    ///
    /// - Parameter isOwn: the key was taken by this same statement.
    private mutating func settle(
        _ row: [Datum], _ key: KeyBytes, _ present: [UInt8]?, isOwn: Bool
    ) async throws(SQLError) {
        guard let present else { return try store(row, under: key) }
        guard let conflict else { throw table.duplicateKey(row) }
        guard let assignments = conflict.assignments else { return }
        if isOwn {
            throw SQLError(
                "21000", "ON CONFLICT DO UPDATE command cannot affect row a second time",
                hint: "Ensure that no rows proposed for insertion within the same command have "
                    + "duplicate constrained values.")
        }
        let (table, context) = (table, context)
        let updated = try await context.compute { () throws(SQLError) -> [Datum]? in
            let all = table.columns.map { _ in true }
            var updated = try table.row(key: key[...], value: present[...], wanted: all)
            let combined = updated + row
            if let condition = conflict.condition, try !condition.holds(combined, context) {
                return nil
            }
            let values = try BoundExpression.row(
                assignments.lazy.map(\.value), of: combined, context)
            for (assignment, value) in zip(assignments, values) {
                updated[assignment.column] = value
            }
            try table.checkNotNull(updated)
            return updated
        }
        guard let updated else { return }
        try store(updated, under: key)
    }

    private mutating func store(_ row: [Datum], under key: KeyBytes) throws(SQLError) {
        try transaction.write(key, table.value(of: row))
        count += 1
        if keepsRows {
            try memory.add(row)
            written.append(row)
        }
    }
}
