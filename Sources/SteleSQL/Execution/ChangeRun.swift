import SteleAPI
import SteleBase

/// One execution of `INSERT`, `UPDATE` or `DELETE`, which runs to its end.
struct ChangeRun {
    private let context: StatementContext
    private let transaction: SessionTransaction
    private var count = 0
    private var returned = RowBatches<[Datum]>()
    private var memory = MemoryMeter()

    /// How many rows were changed, and what `RETURNING` says of them.
    struct Result {
        var count: Int
        var rows: RowBatches<[Datum]>
    }

    init(_ context: StatementContext, _ transaction: SessionTransaction) {
        self.context = context
        self.transaction = transaction
    }

    /// Takes notice of rows that were changed, and of what is to be returned of them.
    private mutating func note(
        _ rows: [[Datum]], _ returning: [BoundExpression]?
    ) async throws(SQLError) {
        count += rows.count
        guard let returning else { return }
        let context = context
        let outputs = try await context.map(rows, size: MemoryMeter.size) { (row) throws(SQLError) in
            try BoundExpression.row(returning, of: row, context)
        }
        let before = memory.bytes
        for output in outputs { try memory.add(output) }
        returned.append(outputs, bytes: memory.bytes - before)
        try await context.meter.takeTurn(after: outputs.count * WorkMeter.compared)
    }

    /// Takes notice of any number of rows, some at a time.
    private mutating func note(
        all rows: RowBatches<[Datum]>, _ returning: [BoundExpression]?
    ) async throws(SQLError) {
        var rest = rows
        while !rest.isEmpty {
            try await note(Array(rest.takeFirst(TableScan.pageRows)), returning)
        }
    }

    private mutating func result(count: Int) -> Result {
        Result(count: count, rows: exchange(&returned, with: RowBatches()))
    }

    /// Lets go of what is returned of a statement that fails.
    private mutating func letGo() { context.meter.letGo(of: &returned) }

    // MARK: INSERT

    mutating func insert(_ plan: InsertPlan) async throws(SQLError) -> Result {
        try transaction.checkWritable()
        var writer = RowWriter(
            plan.table, context, transaction, conflict: plan.conflict,
            keepsRows: plan.returning != nil)
        defer {
            writer.letGo()
            letGo()
        }
        switch plan.source {
        case .rows(let rows):
            var rest = rows[...]
            var most = Int.max
            while !rest.isEmpty {
                let values: [[Datum]]
                do {
                    values = try await context.values(rest.prefix(most))
                } catch {
                    guard error.isOfValue, most > 1 else {
                        try await writer.flush()
                        throw error
                    }
                    // Whatever is wrong with a row before it comes first.
                    most = 1
                    continue
                }
                for row in values { try await writer.add(row) }
                rest = rest.dropFirst(values.count)
            }
        case .query(let query, let expressions):
            let context = context
            let run = try await SelectRun(query, context, transaction)
            // Rows that this statement writes must not come up in what it reads.
            var gathered = RowBatches<[Datum]>()
            defer { context.meter.letGo(of: &gathered) }
            let readsTarget = query.reads(plan.table)
            func convert(_ rows: [[Datum]]) async throws(SQLError) -> [[Datum]] {
                try await context.map(rows, size: MemoryMeter.size) { (row) throws(SQLError) in
                    try BoundExpression.row(expressions, of: row, context)
                }
            }
            var failure: SQLError?
            while failure == nil {
                var converted: [[Datum]] = []
                do {
                    guard let rows = try await run.next() else { break }
                    do {
                        converted = try await convert(rows)
                    } catch where error.isOfValue && rows.count > 1 {
                        for row in rows { converted += try await convert([row]) }
                    }
                } catch {
                    // Whatever is wrong with a row before it comes first.
                    guard error.isOfValue else { throw error }
                    failure = error
                }
                for values in converted {
                    if readsTarget {
                        let bytes = MemoryMeter.size(of: values)
                        try memory.add(bytes: bytes)
                        gathered.append(values, bytes: bytes)
                    } else {
                        try await writer.add(values)
                    }
                }
            }
            while !gathered.isEmpty {
                for values in gathered.takeFirst(TableScan.pageRows) {
                    try await writer.add(values)
                }
            }
            if let failure {
                try await writer.flush()
                throw failure
            }
        }
        try await writer.flush()
        try await note(all: writer.written, plan.returning)
        if writer.count == 0 { try await transaction.verify(plan.table) }
        return result(count: writer.count)
    }

    // MARK: UPDATE

    mutating func update(_ plan: UpdatePlan) async throws(SQLError) -> Result {
        let table = plan.access.table
        var moved = RowBatches<(key: KeyBytes, row: [Datum])>()
        defer {
            context.meter.letGo(of: &moved)
            letGo()
        }
        var targets = LockedRows(plan.access, context)
        while let rows = try await targets.next(transaction) {
            let changed = try await context.map(rows, size: MemoryMeter.size) {
                [context] (stored) throws(SQLError) in
                var row = stored.row
                let values = try BoundExpression.row(
                    plan.assignments.lazy.map(\.value), of: stored.row, context)
                for (assignment, value) in zip(plan.assignments, values) {
                    row[assignment.column] = value
                }
                try table.checkNotNull(row)
                return row
            }
            for (stored, row) in zip(rows, changed) {
                try await context.meter.takeTurn(after: WorkMeter.written + MemoryMeter.size(of: row))
                let key = Array(stored.key)
                if plan.changesKey, table.key(of: row) != key {
                    let bytes = MemoryMeter.size(of: row) + key.count
                    try memory.add(bytes: bytes)
                    moved.append((key, row), bytes: bytes)
                } else {
                    try transaction.write(key, table.value(of: row))
                }
            }
            try await note(changed, plan.returning)
        }
        if !moved.isEmpty { try await move(moved, in: table) }
        if count == 0 { try await transaction.verify(table) }
        return result(count: count)
    }

    /// Rows leave all old keys before they take the new ones, so that they can trade places.
    private func move(
        _ moved: RowBatches<(key: KeyBytes, row: [Datum])>, in table: TableDefinition
    ) async throws(SQLError) {
        var writer = RowWriter(table, context, transaction)
        var rest = moved
        while !rest.isEmpty {
            for (key, _) in rest.takeFirst(TableScan.pageRows) {
                try await context.meter.takeTurn(after: WorkMeter.written)
                try transaction.write(key, nil)
            }
        }
        rest = moved
        while !rest.isEmpty {
            for (_, row) in rest.takeFirst(TableScan.pageRows) { try await writer.add(row) }
        }
        try await writer.flush()
    }

    // MARK: DELETE

    mutating func delete(_ plan: DeletePlan) async throws(SQLError) -> Result {
        defer { letGo() }
        var targets = LockedRows(plan.access, context)
        while let rows = try await targets.next(transaction) {
            for stored in rows {
                try await context.meter.takeTurn(after: WorkMeter.written)
                try transaction.write(Array(stored.key), nil)
            }
            try await note(rows.map(\.row), plan.returning)
        }
        if count == 0 { try await transaction.verify(plan.access.table) }
        return result(count: count)
    }
}

/// The rows that a change applies to, locked and as they are now.
///
/// Known keys are locked at once. Other rows are found in the statement's snapshot, locked, and
/// looked at again: what another transaction changed meanwhile must still fulfil the condition.
private struct LockedRows {
    private let access: TableAccess
    private let context: StatementContext
    private var scan: TableScan
    /// Keys that were not locked yet; nil before the known ones are resolved.
    private var waiting: ArraySlice<KeyBytes>?
    /// Rows to be locked by one request.
    private var lockedAtOnce = TableScan.pageRows

    init(_ access: TableAccess, _ context: StatementContext) {
        self.access = access
        self.context = context
        scan = TableScan(access, context)
    }

    /// The next rows, maybe none; nil at the end.
    mutating func next(
        _ transaction: SessionTransaction
    ) async throws(SQLError) -> [StoredRow]? {
        if case .points = access.keys {
            if waiting == nil, case .points(let all) = try await ResolvedKeys.resolve(access, context) {
                waiting = all
            }
            guard waiting?.isEmpty == false else { return nil }
        } else if waiting?.isEmpty ?? true {
            guard let rows = try await scan.next(transaction) else { return nil }
            waiting = rows.map { Array($0.key) }[...]
        }
        let keys = Array((waiting ?? []).prefix(lockedAtOnce))
        guard !keys.isEmpty else { return [] }
        let locked: [LockedValue]
        do {
            locked = try await transaction.lock(access.table, keys, .exclusive, .wait)
        } catch where error.state == "54000" && keys.count > 1 {
            // Rows may be so large that no answer holds as many.
            lockedAtOnce = keys.count / 2
            return []
        }
        waiting = waiting?.dropFirst(keys.count)
        var present: [RowPage.Row] = []
        present.reserveCapacity(keys.count)
        for (key, locked) in zip(keys, locked) {
            if let value = locked.value {
                present.append(RowPage.Row(key: key[...], value: value[...]))
            }
        }
        let (accepted, failure) = try await access.accepted(present, context)
        if let failure { throw failure }
        return accepted
    }
}

extension SelectPlan {
    /// Whether the query reads the table.
    fileprivate func reads(_ table: TableDefinition) -> Bool {
        if case .table(let access) = source { access.table === table } else { false }
    }
}
