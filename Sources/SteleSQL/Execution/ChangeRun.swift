import SteleAPI
import SteleBase

/// One execution of `INSERT`, `UPDATE` or `DELETE`, which runs to its end.
struct ChangeRun {
    private let context: StatementContext
    private let transaction: SessionTransaction
    private var count = 0
    private var returned: [[Datum]] = []
    private var memory = MemoryMeter()

    /// How many rows were changed, and what `RETURNING` says of them.
    struct Result {
        var count: Int
        var rows: [[Datum]]
    }

    init(_ context: StatementContext, _ transaction: SessionTransaction) {
        self.context = context
        self.transaction = transaction
    }

    private mutating func note(
        _ row: [Datum], _ returning: [BoundExpression]?
    ) throws(SQLError) {
        count += 1
        guard let returning else { return }
        let output = try BoundExpression.row(returning, of: row, context)
        try memory.add(output)
        returned.append(output)
    }

    // MARK: INSERT

    mutating func insert(_ plan: InsertPlan) async throws(SQLError) -> Result {
        try transaction.checkWritable()
        var writer = RowWriter(
            plan.table, context, transaction, conflict: plan.conflict,
            keepsRows: plan.returning != nil)
        switch plan.source {
        case .rows(let rows):
            for expressions in rows {
                try await writer.add(try BoundExpression.row(expressions, of: [], context))
            }
        case .query(let query, let expressions):
            let run = try SelectRun(query, context, transaction)
            // Rows that this statement writes must not come up in what it reads.
            var gathered: [[Datum]] = []
            let readsTarget = query.reads(plan.table)
            while let rows = try await run.next() {
                for row in rows {
                    let values = try BoundExpression.row(expressions, of: row, context)
                    if readsTarget {
                        try memory.add(values)
                        gathered.append(values)
                    } else {
                        try await writer.add(values)
                    }
                }
            }
            for values in gathered { try await writer.add(values) }
        }
        try await writer.flush()
        for row in writer.written { try note(row, plan.returning) }
        if writer.count == 0 { try await transaction.verify(plan.table) }
        return Result(count: writer.count, rows: returned)
    }

    // MARK: UPDATE

    mutating func update(_ plan: UpdatePlan) async throws(SQLError) -> Result {
        let table = plan.access.table
        var moved: [(key: KeyBytes, row: [Datum])] = []
        var targets = try LockedRows(plan.access, context)
        while let rows = try await targets.next(transaction) {
            for stored in rows {
                var row = stored.row
                let values = try BoundExpression.row(
                    plan.assignments.lazy.map(\.value), of: stored.row, context)
                for (assignment, value) in zip(plan.assignments, values) {
                    row[assignment.column] = value
                }
                try table.checkNotNull(row)
                let key = Array(stored.key)
                if plan.changesKey, table.key(of: row) != key {
                    try memory.add(row)
                    moved.append((key, row))
                } else {
                    try transaction.write(key, table.value(of: row))
                }
                try note(row, plan.returning)
            }
        }
        if !moved.isEmpty { try await move(moved, in: table) }
        if count == 0 { try await transaction.verify(table) }
        return Result(count: count, rows: returned)
    }

    /// Rows leave all old keys before they take the new ones, so that they can trade places.
    private func move(
        _ moved: [(key: KeyBytes, row: [Datum])], in table: TableDefinition
    ) async throws(SQLError) {
        for (key, _) in moved { try transaction.write(key, nil) }
        var writer = RowWriter(table, context, transaction)
        for (_, row) in moved { try await writer.add(row) }
        try await writer.flush()
    }

    // MARK: DELETE

    mutating func delete(_ plan: DeletePlan) async throws(SQLError) -> Result {
        var targets = try LockedRows(plan.access, context)
        while let rows = try await targets.next(transaction) {
            for stored in rows {
                try transaction.write(Array(stored.key), nil)
                try note(stored.row, plan.returning)
            }
        }
        if count == 0 { try await transaction.verify(plan.access.table) }
        return Result(count: count, rows: returned)
    }
}

/// The rows that a change applies to, locked and as they are now.
///
/// Known keys are locked at once. Other rows are found in the statement's snapshot, locked, and
/// looked at again: what another transaction changed meanwhile must still fulfil the condition.
private struct LockedRows {
    private let access: TableAccess
    private let context: StatementContext
    private var points: [KeyBytes]?
    private var scan: TableScan?

    init(_ access: TableAccess, _ context: StatementContext) throws(SQLError) {
        self.access = access
        self.context = context
        if case .points = access.keys, case .points(let keys) = try ResolvedKeys(access, context) {
            points = keys
        } else {
            scan = try TableScan(access, context)
        }
    }

    /// The next rows, maybe none; nil at the end.
    mutating func next(
        _ transaction: SessionTransaction
    ) async throws(SQLError) -> [StoredRow]? {
        let keys: [KeyBytes]
        if let points {
            self.points = nil
            keys = points
        } else {
            guard let rows = try await scan?.next(transaction) else { return nil }
            keys = rows.map { Array($0.key) }
        }
        guard !keys.isEmpty else { return scan == nil ? nil : [] }
        let locked = try await transaction.lock(access.table, keys, .exclusive, .wait)
        var rows: [StoredRow] = []
        rows.reserveCapacity(keys.count)
        for (key, locked) in zip(keys, locked) {
            guard let value = locked.value else { continue }
            if let row = try access.accepted(key[...], value, context) { rows.append(row) }
        }
        return rows
    }
}

extension SelectPlan {
    /// Whether the query reads the table.
    fileprivate func reads(_ table: TableDefinition) -> Bool {
        if case .table(let access) = source { access.table === table } else { false }
    }
}
