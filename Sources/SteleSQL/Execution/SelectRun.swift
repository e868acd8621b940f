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
    private var waiting = RowBatches<StoredRow>()
    private var hasBegun = false
    /// Nothing more is taken from the source: order or groups needed all rows, or its snapshot has
    /// ended.
    private var isGathered = false
    /// What is wrong with the row after those that wait.
    private var failure: SQLError?
    /// Rows to be locked by one request.
    private var lockedAtOnce = SelectRun.batch
    private var seen: Set<[Datum]> = []
    /// What rows that have come out take up, where others are compared with them.
    private(set) var seenBytes = 0
    private var memory = MemoryMeter()
    private var toSkip: Int
    /// nil is no limit.
    private var remaining: Int?

    private static let batch = 256
    private static let batchBytes = 1 << 20
    /// Rows were asked for, or the table's definition was looked at.
    private var hasLooked = false
    /// Rows whose outputs are not computed yet, because those of the rows before are large.
    private var unsent: ArraySlice<StoredRow> = []
    /// What they took up when they came.
    private var unsentBytes = 0
    /// Outputs that have not come out, because a request to cancel came meanwhile.
    private var outputs: [[Datum]] = []

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
        let needed = Self.sum(remaining ?? .max, toSkip)
        source = RowSource(
            plan, context, rowLimit: usesAllRows || needed == .max ? nil : needed)
    }

    deinit {
        if waiting.isLarge || seen.count > Self.largeCount
            || unsentBytes + source.heldBytes > Self.largeBytes
        {
            context.meter.discard(
                (
                    exchange(&waiting, with: RowBatches()), exchange(&seen, with: []),
                    exchange(&unsent, with: []), source.takeAll()
                ))
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
    ///
    /// - Parameter most: how many rows are locked at most, by a query that locks. None is that is not
    ///   returned: a lock that is taken after a savepoint goes with a return to it, and a row that
    ///   waited would be handed out without.
    func next(locking most: Int = .max) async throws(SQLError) -> [[Datum]]? {
        if remaining == 0, !hasLooked, case .table(let access) = plan.source {
            try await transaction.verify(access.table)
        }
        hasLooked = true
        while remaining != 0 || !outputs.isEmpty {
            if unsent.isEmpty, remaining != 0, outputs.isEmpty {
                guard let rows = try await nextStored(locking: most) else { return nil }
                unsent = rows[...]
                unsentBytes = rows.reduce(0) { $0 + MemoryMeter.size(of: $1.row) }
            }
            try await computeOutputs()
            try await transaction.sleepOff(context)
            if !outputs.isEmpty { return exchange(&outputs, with: []) }
        }
        return nil
    }

    /// Computes the outputs of rows that were taken from the source.
    private func computeOutputs() async throws(SQLError) {
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
                        let before = memory.bytes
                        try memory.add(output)
                        seenBytes += memory.bytes - before
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
        if unsent.isEmpty { unsentBytes = 0 }
    }

    /// What the run has gathered and not used yet.
    var waitingBytes: Int {
        waiting.bytes + unsentBytes + source.heldBytes
            + outputs.reduce(0) { $0 + MemoryMeter.size(of: $1) }
    }

    // MARK: Rows before the outputs

    private func nextStored(locking most: Int) async throws(SQLError) -> [StoredRow]? {
        if plan.grouping == nil, plan.sorting.isEmpty, plan.locking == nil {
            return try await source.next(transaction)
        }
        let wanted = Self.sum(min(most, remaining ?? .max), toSkip)
        try await beginIfNeeded(locking: wanted)
        while waiting.isEmpty {
            if let failure { throw failure }
            guard !isGathered, let rows = try await source.next(transaction) else { return nil }
            keep(rows)
        }
        guard plan.locking != nil else { return Array(waiting.takeFirst(Self.batch)) }
        return try await lockFirst(min(lockedAtOnce, wanted))
    }

    /// Keeps the keys of rows that are to be locked, and read anew then.
    private func keep(_ rows: [StoredRow]) {
        for stored in rows { keep(key: Array(stored.key)) }
    }

    private func keep(key: KeyBytes) {
        waiting.append(StoredRow(key: key[...], row: []), bytes: 96 + key.count)
    }

    /// Gathers all rows where they have to be known before the first comes out. Where the condition only
    /// names keys, and one request locks all of them, they need not be found before; else no request is
    /// spent on one that is not there, and no row locked that is not wanted.
    private func beginIfNeeded(locking wanted: Int) async throws(SQLError) {
        guard !hasBegun else { return }
        hasBegun = true
        if plan.grouping != nil || !plan.sorting.isEmpty {
            isGathered = true
            waiting = try await gathered()
        } else if let access = namedAccess,
            case .points(let keys) = try await ResolvedKeys.resolve(access, context),
            keys.count <= min(wanted, Self.batch)
        {
            isGathered = true
            // What is said of a table of which nothing is read may be out of date too.
            if keys.isEmpty { try await transaction.verify(access.table) }
            for key in keys {
                keep(key: key)
                try await context.meter.takeTurn(after: WorkMeter.row)
            }
        }
    }

    /// The table whose rows are to be locked by keys that the condition names, and nothing else.
    private var namedAccess: TableAccess? {
        guard plan.sorting.isEmpty, case .table(let access) = plan.source, access.isExact,
            case .points = access.keys
        else { return nil }
        return access
    }

    /// Finds the rows that are to be locked later, as many as a limit leaves: the snapshot in which
    /// they are to be found ends. Should some of them be gone by then, no others take their place: a
    /// later snapshot may show rows again that were sent already, under other keys. Where rows that
    /// others have locked are skipped, nobody knows how many it takes: some thousands more are found.
    ///
    /// - Parameter check: is called now and then, and throws if too much is held.
    func readAhead(_ check: () throws(SQLError) -> Void) async throws(SQLError) {
        var needed = Self.sum(remaining ?? .max, toSkip)
        if plan.locking?.wait == .skip { needed = Self.sum(needed, Self.spareRows) }
        do throws(SQLError) {
            while !isGathered, remaining != 0, waiting.count < needed,
                let rows = try await source.next(transaction)
            {
                keep(rows)
                try check()
            }
        } catch where error.isOfValue { failure = error }
        isGathered = true
        let rest = source.takeAll()
        if rest.heldBytes > Self.largeBytes { context.meter.discard(consume rest) }
    }

    private static let spareRows = 10_000

    /// Whether all rows are found that may be locked later.
    var hasReadAhead: Bool { locksRows && (isGathered || remaining == 0) }

    private static func sum(_ left: Int, _ right: Int) -> Int {
        let (sum, overflow) = left.addingReportingOverflow(right)
        return overflow ? .max : sum
    }

    /// The table that it reads, if it reads one.
    var table: TableDefinition? {
        if case .table(let access) = plan.source { access.table } else { nil }
    }

    /// Whether rows are locked before they come out.
    var locksRows: Bool { plan.locking != nil }

    private func gathered() async throws(SQLError) -> RowBatches<StoredRow> {
        var rows = RowBatches<StoredRow>()
        defer { context.meter.letGo(of: &rows) }
        if let grouping = plan.grouping {
            rows = try await grouped(grouping)
        } else {
            while let batch = try await source.next(transaction) {
                let before = memory.bytes
                for stored in batch {
                    try memory.add(bytes: MemoryMeter.size(of: stored.row) + stored.key.count)
                }
                // A key that is part of its page would keep all of the page.
                rows.append(
                    locksRows
                        ? batch.map { StoredRow(key: Array($0.key)[...], row: $0.row) } : batch,
                    bytes: memory.bytes - before)
            }
        }
        if plan.sorting.isEmpty { return exchange(&rows, with: RowBatches()) }
        let order = RowOrder(plan.sorting, context)
        return try await context.compute { () throws(SQLError) in
            let sorted = try order.sorted(rows)
            rows = RowBatches()
            return sorted
        }
    }

    private func grouped(
        _ grouping: SelectPlan.Grouping
    ) async throws(SQLError) -> RowBatches<StoredRow> {
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
            try memory.add(bytes: rows.bytes)
            return rows
        }
    }

    // MARK: Locks

    /// Locks the first of the rows that wait and returns those that still fulfil the condition, as
    /// they are now.
    private func lockFirst(_ most: Int) async throws(SQLError) -> [StoredRow] {
        guard let locking = plan.locking, case .table(let access) = plan.source else { return [] }
        let wait: LockWait =
            switch locking.wait {
            case .wait: .wait
            case .fail: .fail
            case .skip: .skip
            }
        let keys = waiting.prefix(most).map { Array($0.key) }
        let values: [LockedValue]
        do {
            values = try await transaction.lock(
                access.table, keys, locking.isExclusive ? .exclusive : .shared, wait)
        } catch where error.state == "54000" && keys.count > 1 {
            // Rows may be so large that no answer holds as many.
            lockedAtOnce = keys.count / 2
            return []
        }
        // Those that follow may be smaller.
        lockedAtOnce = min(lockedAtOnce + lockedAtOnce / 8 + 1, Self.batch)
        waiting.removeFirst(keys.count)
        var present: [RowPage.Row] = []
        for (key, locked) in zip(keys, values) {
            guard locked.isLocked, let value = locked.value else { continue }
            present.append(RowPage.Row(key: key[...], value: value[...]))
        }
        let (accepted, failure) = try await access.accepted(present, context)
        if let failure {
            if accepted.isEmpty || !failure.isOfValue { throw failure }
            // The rows before it come out first, and none after it.
            self.failure = failure
            isGathered = true
            context.meter.letGo(of: &waiting)
        }
        return accepted
    }
}
