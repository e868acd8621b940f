/// Where a query takes its rows from, before grouping and sorting.
struct RowSource {
    private enum State {
        case rows(ArraySlice<[Datum]>)
        case scan(TableScan)
        case series(Series)
        case values(ArraySlice<[BoundExpression]>)
    }

    private var state: State
    private let condition: BoundExpression?
    private let context: StatementContext

    private static let batch = 256
    private static let batchBytes = 1 << 20

    init(
        _ plan: SelectPlan, _ context: StatementContext, rowLimit: Int?
    ) throws(SQLError) {
        condition = plan.condition
        self.context = context
        switch plan.source {
        case .single: state = .rows([[]])
        case .table(let access):
            state = .scan(
                try TableScan(access, context, isReversed: plan.isReversed, rowLimit: rowLimit))
        case .values(let rows): state = .values(rows[...])
        case .series(let start, let stop, let step, let type):
            state = .series(
                try Series(
                    start: start.evaluate([], context), stop: stop.evaluate([], context),
                    step: step.evaluate([], context), type: type))
        }
    }

    /// The next rows, maybe none; nil at the end.
    mutating func next(
        _ transaction: SessionTransaction
    ) async throws(SQLError) -> [StoredRow]? {
        switch state {
        case .scan(var scan):
            let rows = try await scan.next(transaction)
            state = .scan(scan)
            return rows
        case .rows(let rows):
            guard !rows.isEmpty else { return nil }
            state = .rows(rows.dropFirst(Self.batch))
            return try filtered(Array(rows.prefix(Self.batch)))
        case .values(let rows):
            guard !rows.isEmpty else { return nil }
            try await transaction.takeTurn()
            var evaluated: [[Datum]] = []
            var bytes = 0
            for expressions in rows.prefix(Self.batch) where bytes < Self.batchBytes {
                let row = try BoundExpression.row(expressions, of: [], context)
                bytes += MemoryMeter.size(of: row)
                evaluated.append(row)
            }
            state = .values(rows.dropFirst(evaluated.count))
            return try filtered(evaluated)
        case .series(var series):
            try await transaction.takeTurn()
            var rows: [[Datum]] = []
            while rows.count < Self.batch, let value = try series.next() { rows.append([value]) }
            state = .series(series)
            return rows.isEmpty ? nil : try filtered(rows)
        }
    }

    private func filtered(_ rows: [[Datum]]) throws(SQLError) -> [StoredRow] {
        var result: [StoredRow] = []
        result.reserveCapacity(rows.count)
        for row in rows {
            if let condition, try !condition.holds(row, context) { continue }
            result.append(StoredRow(key: [], row: row))
        }
        return result
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
        let direction = isDone ? 1 : step.compare(.int(0))
        guard direction != 0 else {
            throw SQLError("22023", "step size cannot equal zero")
        }
        isAscending = direction > 0
    }

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
