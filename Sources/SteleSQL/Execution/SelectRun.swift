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
    /// Rows whose outputs are not computed yet, because those of the rows before are large.
    private var unsent: ArraySlice<StoredRow> = []

    init(
        _ plan: SelectPlan, _ context: StatementContext, _ transaction: SessionTransaction
    ) throws(SQLError) {
        self.plan = plan
        self.context = context
        self.transaction = transaction
        remaining = try Self.count(plan.limit, "2201W", "LIMIT", context)
        toSkip = try Self.count(plan.offset, "2201X", "OFFSET", context) ?? 0
        let usesAllRows = plan.grouping != nil || !plan.sorting.isEmpty || plan.isDistinct
        let (needed, overflow) = (remaining ?? .max).addingReportingOverflow(toSkip)
        source = try RowSource(
            plan, context, rowLimit: usesAllRows || overflow ? nil : needed)
    }

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
        while remaining != 0 {
            if unsent.isEmpty {
                guard let rows = try await nextStored() else { return nil }
                unsent = rows[...]
            }
            var outputs: [[Datum]] = []
            outputs.reserveCapacity(unsent.count)
            var bytes = 0
            while remaining != 0, bytes < Self.batchBytes, let stored = unsent.popFirst() {
                let output = try BoundExpression.row(plan.outputs, of: stored.row, context)
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
            try await transaction.sleepOff(context)
            if !outputs.isEmpty { return outputs }
        }
        return nil
    }

    /// What the run has gathered.
    var heldBytes: Int { memory.bytes }

    // MARK: Rows before the outputs

    private func nextStored() async throws(SQLError) -> [StoredRow]? {
        if plan.grouping == nil, plan.sorting.isEmpty, plan.locking == nil {
            return try await source.next(transaction)
        }
        if let points = try lockedPoints { return try await lock(points) }
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
        if let grouping = plan.grouping {
            var groups = Groups(grouping, context)
            while let batch = try await source.next(transaction) {
                for stored in batch { try groups.add(stored.row) }
            }
            rows = try groups.results()
            for stored in rows { try memory.add(stored.row) }
        } else {
            while let batch = try await source.next(transaction) {
                for stored in batch { try memory.add(stored.row) }
                rows += batch
            }
        }
        return plan.sorting.isEmpty ? rows : try RowOrder(plan.sorting, context).sorted(rows)
    }

    // MARK: Locks

    private var hasLockedPoints = false

    /// The keys to lock at once, without reading them first; nil if there are none (any more).
    private var lockedPoints: [StoredRow]? {
        get throws(SQLError) {
            guard plan.locking != nil, plan.sorting.isEmpty, !hasLockedPoints,
                case .table(let access) = plan.source, case .points = access.keys,
                case .points(let keys) = try ResolvedKeys(access, context)
            else { return nil }
            hasLockedPoints = true
            isGathered = true
            return keys.map { StoredRow(key: $0[...], row: []) }
        }
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
        var result: [StoredRow] = []
        for (key, locked) in zip(keys, values) {
            guard locked.isLocked, let value = locked.value else { continue }
            if let row = try access.accepted(key[...], value, context) { result.append(row) }
        }
        return result
    }
}
