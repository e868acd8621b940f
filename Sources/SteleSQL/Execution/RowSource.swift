/// Where a query takes its rows from, before grouping and sorting.
struct RowSource {
    private enum State {
        case rows(ArraySlice<[Datum]>)
        case scan(TableScan)
        case pendingSeries(
            start: BoundExpression, stop: BoundExpression, step: BoundExpression, SQLType)
        case series(Series)
        case values(ArraySlice<[BoundExpression]>)
    }

    private var state: State
    private let condition: BoundExpression?
    private let context: StatementContext
    /// What is wrong with the row after those that came out last.
    private var failure: SQLError?

    private static let batch = 256

    init(
        _ plan: SelectPlan, _ context: StatementContext, rowLimit: Int?
    ) {
        condition = plan.condition
        self.context = context
        switch plan.source {
        case .single: state = .rows([[]])
        case .table(let access):
            state = .scan(
                TableScan(
                    access, context, isReversed: plan.isReversed, rowLimit: rowLimit,
                    keepsKeys: plan.locking != nil))
        case .values(let rows): state = .values(rows[...])
        case .series(let start, let stop, let step, let type):
            state = .pendingSeries(start: start, stop: stop, step: step, type)
        }
    }

    /// What it holds until all rows have come out.
    var heldBytes: Int {
        if case .scan(let scan) = state { scan.heldBytes } else { 0 }
    }

    /// Empties it and returns what it held.
    mutating func takeAll() -> Self {
        let all = self
        state = .rows([])
        return all
    }

    /// The next rows, maybe none; nil at the end.
    ///
    /// Rows count as taken once they come out: after an error the next call begins with the same.
    mutating func next(
        _ transaction: SessionTransaction
    ) async throws(SQLError) -> [StoredRow]? {
        if let failure { throw failure }
        switch state {
        case .scan(var scan):
            let rows = try await scan.next(transaction)
            state = .scan(scan)
            return rows
        case .rows(let rows):
            guard !rows.isEmpty else { return nil }
            let kept = try await filtered(Array(rows.prefix(Self.batch)))
            state = .rows(rows.dropFirst(Self.batch))
            return kept
        case .values(let rows):
            guard !rows.isEmpty else { return nil }
            try await transaction.takeTurn()
            let evaluated = try await context.values(rows)
            let kept = try await filtered(evaluated)
            state = .values(rows.dropFirst(evaluated.count))
            return kept
        case .pendingSeries(let start, let stop, let step, let type):
            let context = context
            let series = try await context.compute { () throws(SQLError) in
                try Series(
                    start: start.evaluate([], context), stop: stop.evaluate([], context),
                    step: step.evaluate([], context), type: type)
            }
            state = .series(series)
            return []
        case .series(let series):
            try await transaction.takeTurn()
            let (rows, rest) = try await Self.some(of: series, context)
            let kept = rows.isEmpty ? nil : try await filtered(rows)
            state = .series(rest)
            return kept
        }
    }

    /// The next numbers of a series, and what is left of it.
    private static func some(
        of series: Series, _ context: StatementContext
    ) async throws(SQLError) -> ([[Datum]], Series) {
        var rest = series
        var rows: [[Datum]] = []
        try await context.compute { () throws(SQLError) in
            while rows.count < batch {
                try context.meter.charge(rest.cost)
                guard let value = try rest.next() else { break }
                rows.append([value])
            }
        }
        return (rows, rest)
    }

    private mutating func filtered(_ rows: [[Datum]]) async throws(SQLError) -> [StoredRow] {
        guard let condition else { return rows.map { StoredRow(key: [], row: $0) } }
        let context = context
        var kept: [StoredRow] = []
        var count = 0
        do {
            try await context.compute { () throws(SQLError) in
                while count < rows.count {
                    context.beginRow()
                    let isKept = try condition.holds(rows[count], context)
                    try context.meter.charge(WorkMeter.row)
                    if isKept { kept.append(StoredRow(key: [], row: rows[count])) }
                    count += 1
                }
            }
        } catch where error.isOfValue && !kept.isEmpty { failure = error }
        return kept
    }
}

/// The numbers of `generate_series`.
private struct Series {
    private var current: Datum
    private let stop: Datum
    private let step: Datum
    private let type: SQLType
    private var isDone: Bool
    private let isAscending: Bool

    init(start: Datum, stop: Datum, step: Datum, type: SQLType) throws(SQLError) {
        current = start
        self.stop = stop
        self.step = step
        self.type = type
        isDone = start.isNull || stop.isNull || step.isNull
        for (value, name) in [(start, "start value"), (stop, "stop value"), (step, "step size")]
        where !isDone {
            guard case .numeric(let number) = value, number.kind != .finite else { continue }
            let kind = number.kind == .notANumber ? "NaN" : "infinity"
            throw SQLError("22023", "\(name) cannot be \(kind)")
        }
        let direction = isDone ? 1 : step.compare(.int(0))
        guard direction != 0 else {
            throw SQLError("22023", "step size cannot equal zero")
        }
        isAscending = direction > 0
    }

    /// About what the next number takes, in nanoseconds.
    var cost: Int { WorkMeter.evaluated + 4 * current.outsideBytes }

    mutating func next() throws(SQLError) -> Datum? {
        let order = isDone ? 0 : current.compare(stop)
        if isDone || (isAscending ? order > 0 : order < 0) {
            isDone = true
            return nil
        }
        defer { if order == 0 { isDone = true } }
        let value = current
        do {
            if order != 0 { current = try Datum.arithmetic(.add, current, step, as: type) }
        } catch {
            // The next number does not exist, so this was the last.
            isDone = true
        }
        return value
    }
}
