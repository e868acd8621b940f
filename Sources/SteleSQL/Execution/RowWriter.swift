import SteleAPI
import SteleBase

/// Inserts rows in batches: locks their keys, checks that they are free, and writes them.
struct RowWriter {
    private let table: TableDefinition
    private let conflict: InsertPlan.Conflict?
    private let context: StatementContext
    private let transaction: SessionTransaction
    private var waiting: [[Datum]] = []
    /// The keys of rows that this statement has written, if it may meet them again to change them.
    private var own = KeyTable<Bool>()
    private var waitingBytes = 0

    /// Rows that were inserted or, after a conflict, updated.
    private(set) var count = 0
    /// Those rows, if somebody wants to return them.
    private(set) var written = RowBatches<[Datum]>()
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

    /// Lets go of what may be much, once all is written or the statement has failed.
    mutating func letGo() {
        if memory.bytes > 1 << 20 {
            context.meter.discard(
                (exchange(&own, with: KeyTable()), exchange(&written, with: RowBatches())))
        }
    }

    /// Takes a row of all columns; it is written with its batch.
    mutating func add(_ row: [Datum]) async throws(SQLError) {
        do {
            try table.checkNotNull(row)
        } catch {
            // Whatever is wrong with a row before it comes first.
            try await flush()
            throw error
        }
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
        try await write(rows[...])
    }

    private mutating func write(_ rows: ArraySlice<[Datum]>) async throws(SQLError) {
        if table.hasHiddenKey {
            try await transaction.pin(table)
            for row in rows {
                try await takeTurn(after: row)
                try store(row, under: table.key(hidden: context.environment.nextRowID()))
            }
            return
        }
        let keys = rows.map(table.key(of:))
        if rows.count == 1, let row = rows.first {
            let present = try await transaction.lock(table, keys, .exclusive, .wait)[0].value
            return try await settle(row, keys[0], present)
        }
        // The first of several equal keys is locked; the others meet its row.
        var places: [DictionaryKey: Int] = [:]
        var distinct: [KeyBytes] = []
        for key in keys where places[DictionaryKey(key)] == nil {
            places[DictionaryKey(key)] = distinct.count
            distinct.append(key)
        }
        let locked: [LockedValue]
        do {
            locked = try await transaction.lock(table, distinct, .exclusive, .wait)
        } catch where error.state == "54000" {
            // Rows that are there may be so large that no answer holds as many.
            let middle = rows.startIndex + rows.count / 2
            try await write(rows[..<middle])
            return try await write(rows[middle...])
        }
        var present = locked.map(\.value)
        for (row, key) in zip(rows, keys) {
            guard let place = places[DictionaryKey(key)] else { continue }
            try await takeTurn(after: row)
            try await settle(row, key, present[place])
            // Whoever meets it again looks no closer.
            if present[place] == nil { present[place] = [] }
        }
    }

    /// Writes a row, or does what is to be done if its key is taken.
    private mutating func settle(
        _ row: [Datum], _ key: KeyBytes, _ present: [UInt8]?
    ) async throws(SQLError) {
        guard let present else { return try store(row, under: key) }
        guard let conflict else { throw table.duplicateKey(row) }
        guard let assignments = conflict.assignments else { return }
        if own[DictionaryKey(key)] != nil {
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

    private func takeTurn(after row: [Datum]) async throws(SQLError) {
        try await context.meter.takeTurn(after: WorkMeter.written + MemoryMeter.size(of: row))
    }

    private mutating func store(_ row: [Datum], under key: KeyBytes) throws(SQLError) {
        try transaction.write(key, table.value(of: row))
        if conflict?.assignments != nil, own.updateValue(true, forKey: DictionaryKey(key)) == nil {
            try memory.add(bytes: key.count + 32)
        }
        count += 1
        if keepsRows {
            let bytes = MemoryMeter.size(of: row)
            try memory.add(bytes: bytes)
            written.append(row, bytes: bytes)
        }
    }
}
