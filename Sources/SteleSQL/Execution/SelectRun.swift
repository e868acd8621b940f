import SteleAPI
import SteleBase

/// One execution of a query: rows come out in batches, as they are asked for.
///
/// source → groups → order → locks → outputs → distinct → offset and limit
final class SelectRun {
    private let plan: SelectPlan
    private let context: StatementContext
    private let transaction: SessionTransaction
    private var source: RowSource
    /// Rows that were taken from the source and not used yet.
    private var waiting: ArraySlice<StoredRow> = []
    /// All rows were gathered, because order or groups need them.
    private var isGathered = false
    private var seen: Set<[Datum]> = []
    private var memory = MemoryMeter()
    private var toSkip: Int
    /// nil is no limit.
    private var remaining: Int?

    private static let batch = 256
    private static let batchBytes = 1 << 20
    private var hasLockedPoints = false
    /// Rows were asked for, or the table's definition was looked at.
    private var hasLooked = false
    /// Rows whose outputs are not computed yet, because those of the rows before are large.
    private var unsent: ArraySlice<StoredRow> = []

    init(
        _ plan: SelectPlan, _ context: StatementContext, _ transaction: SessionTransaction
    ) async throws(SQLError) {
        self.plan = plan
        self.context = context
        self.transaction = transaction
        if plan.limit == nil, plan.offset == nil {
            remaining = nil
            toSkip = 0
        } else {
            let counts = try await context.compute { () throws(SQLError) in
                (
                    remaining: try Self.count(plan.limit, "2201W", "LIMIT", context),
                    toSkip: try Self.count(plan.offset, "2201X", "OFFSET", context)
                )
            }
            remaining = counts.remaining
            toSkip = counts.toSkip ?? 0
        }
        let usesAllRows = plan.grouping != nil || !plan.sorting.isEmpty || plan.isDistinct
        let (needed, overflow) = (remaining ?? .max).addingReportingOverflow(toSkip)
        source = RowSource(
            plan, context, rowLimit: usesAllRows || overflow ? nil : needed)
    }

    deinit {
        if waiting.count + seen.count > Self.largeCount {
            context.meter.discard((exchange(&waiting, with: []), exchange(&seen, with: [])))
        }
    }

    /// From so many rows on it takes long to let go of them.
    private static let largeCount = 4_096
    private static let largeBytes = 1 << 18

    private static func count(
        _ expression: BoundExpression?, _ state: String, _ clause: String,
        _ context: StatementContext
    ) throws(SQLError) -> Int? {
        guard case .int(let count)? = try expression.map({ (count) throws(SQLError) in
            try count.evaluate([], context)
        }) else { return nil }
        guard count >= 0 else { throw SQLError(state, "\(clause) must not be negative") }
        return Int(count)
    }

    /// The next rows, at least one; nil at the end.
    func next() async throws(SQLError) -> [[Datum]]? {
        if remaining == 0, !hasLooked, case .table(let access) = plan.source {
            try await transaction.verify(access.table)
        }
        hasLooked = true
        while remaining != 0 {
            if unsent.isEmpty {
                guard let rows = try await nextStored() else { return nil }
                unsent = rows[...]
            }
            let outputs = try await nextOutputs()
            try await transaction.sleepOff(context)
            if !outputs.isEmpty { return outputs }
        }
        return nil
    }

    /// The outputs of rows that were taken from the source.
    private func nextOutputs() async throws(SQLError) -> [[Datum]] {
        var outputs: [[Datum]] = []
        outputs.reserveCapacity(unsent.count)
        var bytes = 0
        do {
            try await context.compute { [self] () throws(SQLError) in
                while remaining != 0, bytes < Self.batchBytes, let stored = unsent.first {
                    context.beginRow()
                    try context.meter.charge(growthOf: memory.bytes)
                    let output = try BoundExpression.row(plan.outputs, of: stored.row, context)
                    try context.meter.charge(WorkMeter.row)
                    if plan.isDistinct {
                        // It is hashed.
                        try context.meter.charge(output.reduce(0) { $0 + $1.outsideBytes })
                    }
                    _ = unsent.popFirst()
                    bytes += MemoryMeter.size(of: output)
                    if plan.isDistinct {
                        guard seen.insert(output).inserted else { continue }
                        try memory.add(output)
                    }
                    if toSkip > 0 {
                        toSkip -= 1
                        continue
                    }
                    if let left = remaining { remaining = left - 1 }
                    outputs.append(output)
                }
            }
        } catch where error.isOfValue && !outputs.isEmpty {
            // The rows before it come out first; the next call fails at once.
        }
        return outputs
    }

    /// What the run has gathered.
    var heldBytes: Int { memory.bytes }

    // MARK: Rows before the outputs

    private func nextStored() async throws(SQLError) -> [StoredRow]? {
        if plan.grouping == nil, plan.sorting.isEmpty, plan.locking == nil {
            return try await source.next(transaction)
        }
        if let points = try await lockedPoints() { return try await lock(points) }
        if !isGathered, plan.grouping != nil || !plan.sorting.isEmpty {
            isGathered = true
            waiting = try await gathered()[...]
        }
        while waiting.isEmpty {
            guard !isGathered, let rows = try await source.next(transaction) else { return nil }
            waiting = rows[...]
        }
        var size = Self.batch
        if plan.locking != nil, let remaining {
            let (needed, overflow) = remaining.addingReportingOverflow(toSkip)
            if !overflow { size = min(size, needed) }
        }
        let rows = Array(waiting.prefix(size))
        waiting = waiting.dropFirst(rows.count)
        return plan.locking == nil ? rows : try await lock(rows)
    }

    private func gathered() async throws(SQLError) -> [StoredRow] {
        var rows: [StoredRow] = []
        defer { if rows.count > Self.largeCount { context.meter.discard(rows) } }
        if let grouping = plan.grouping {
            rows = try await grouped(grouping)
        } else {
            while let batch = try await source.next(transaction) {
                for stored in batch { try memory.add(stored.row) }
                rows += batch
            }
        }
        if plan.sorting.isEmpty { return rows }
        let order = RowOrder(plan.sorting, context)
        return try await context.compute { () throws(SQLError) in
            let sorted = try order.sorted(rows)
            rows = []
            return sorted
        }
    }

    private func grouped(
        _ grouping: SelectPlan.Grouping
    ) async throws(SQLError) -> [StoredRow] {
        var groups = Groups(grouping, context)
        // Also if the statement fails.
        defer {
            if groups.heldBytes > Self.largeBytes {
                context.meter.discard(exchange(&groups, with: Groups(grouping, context)))
            }
        }
        while let batch = try await source.next(transaction) {
            var count = 0
            try await context.compute { [context] () throws(SQLError) in
                while count < batch.count {
                    context.beginRow()
                    try groups.add(batch[count].row)
                    count += 1
                }
            }
        }
        return try await context.compute { [self] () throws(SQLError) in
            // To let go of what was gathered takes long too.
            try context.meter.charge(growthOf: groups.heldBytes)
            let rows = try groups.results()
            for stored in rows { try memory.add(stored.row) }
            return rows
        }
    }

    // MARK: Locks

    /// The keys to lock at once, without reading them first; nil if there are none (any more).
    private func lockedPoints() async throws(SQLError) -> [StoredRow]? {
        guard plan.locking != nil, plan.sorting.isEmpty, !hasLockedPoints,
            case .table(let access) = plan.source, case .points = access.keys,
            case .points(let keys) = try await ResolvedKeys.resolve(access, context)
        else { return nil }
        hasLockedPoints = true
        isGathered = true
        return keys.map { StoredRow(key: $0[...], row: []) }
    }

    /// Locks rows and returns those that still fulfil the condition, as they are now.
    private func lock(_ rows: [StoredRow]) async throws(SQLError) -> [StoredRow] {
        guard let locking = plan.locking, case .table(let access) = plan.source else { return rows }
        let wait: LockWait =
            switch locking.wait {
            case .wait: .wait
            case .fail: .fail
            case .skip: .skip
            }
        let keys = rows.map { Array($0.key) }
        let values = try await transaction.lock(
            access.table, keys, locking.isExclusive ? .exclusive : .shared, wait)
        var present: [RowPage.Row] = []
        for (key, locked) in zip(keys, values) {
            guard locked.isLocked, let value = locked.value else { continue }
            present.append(RowPage.Row(key: key[...], value: value[...]))
        }
        let (accepted, failure) = try await access.accepted(present, context)
        if let failure { throw failure }
        return accepted
    }
}
