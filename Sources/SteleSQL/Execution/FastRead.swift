import SteleAPI
import SteleBase

// Most statements of most clients read one row, or some rows that lie side by side, by the primary key
// and on their own. They need no transaction: the kernel reads the rows and the table's stamp in one
// snapshot, at once if this node leads and has them in memory. Whatever is not as simple as that, or
// has to wait, takes the way of all others, which finds nothing done.

/// What a statement reads that may be read at once.
struct FastRead: Sendable {
    let access: TableAccess
    /// The places of the outputs in the row.
    let outputs: [Int]
    let isReversed: Bool

    /// Rows that a statement may find this way; more take long.
    static let rows = 256
    /// Bytes that they may have, stored and shown: longer ones are shown by a worker, or have to be
    /// waited for. Some types show far more than they store.
    private static let bytes = 1 << 16
    private static let shownBytes = 1 << 18
    private static let points = 16

    /// - Returns: nil if the plan is not of this kind.
    init?(_ plan: SelectPlan) {
        guard case .table(let access) = plan.source, access.isExact,
            access.keys.isNamed(atMost: Self.points), plan.grouping == nil, plan.sorting.isEmpty, !plan.isDistinct, plan.limit == nil,
            plan.offset == nil, plan.locking == nil
        else { return nil }
        var outputs: [Int] = []
        for output in plan.outputs {
            guard case .column(let column) = output else { return nil }
            outputs.append(column)
        }
        self.access = access
        self.outputs = outputs
        isReversed = plan.isReversed
    }

    /// The values of the rows, one row behind the other with all columns of the table each, in order; nil
    /// if they cannot be had, or shown, at once.
    func values(
        _ parameters: [Datum], from database: any DatabaseBackend, _ meter: WorkMeter
    ) -> [Datum]? {
        let table = access.table
        guard let rows = rows(parameters, from: database, meter) else { return nil }
        var values: [Datum] = []
        values.reserveCapacity(rows.count * table.columns.count)
        var shown = 0
        for row in rows {
            let start = values.count
            // What is wrong with a row is told on the way of all others.
            guard
                (try? table.row(key: row.key, value: row.value, wanted: access.wanted, into: &values))
                    != nil
            else { return nil }
            for column in outputs { shown += values[start + column].shownBytes(as: table.types[column]) }
            guard shown <= Self.shownBytes else { return nil }
        }
        return values
    }

    /// The rows with their keys, in order.
    private func rows(
        _ parameters: [Datum], from database: any DatabaseBackend, _ meter: WorkMeter
    ) -> [RowPage.Row]? {
        let table = access.table
        guard
            let keys = try? ResolvedKeys.resolve(
                access, meter,
                { (expression) throws(SQLError) in try expression.value(with: parameters) })
        else { return nil }
        var points: [KeyBytes] = []
        var range: KeyRange?
        switch keys {
        case .points(let named): points = Array(named)
        case .range(let named): range = named
        }
        points.append(table.stampKey)
        guard
            let found = database.readAtOnce(
                points, scanning: range, limit: Self.rows, reverse: isReversed),
            let stamp = found.values.last ?? nil, CatalogKeys.id(stamp) == table.version,
            found.page.rest == nil
        else { return nil }
        var rows = found.page.rows
        for (key, value) in zip(points, found.values.dropLast()) {
            if let value { rows.append(RowPage.Row(key: key[...], value: value[...])) }
        }
        guard rows.reduce(0, { $0 + $1.value.count }) <= Self.bytes else { return nil }
        return rows
    }
}

extension KeyCondition {
    /// Whether constants and parameters alone say which keys there are, and if one by one, no more
    /// than so many.
    fileprivate func isNamed(atMost limit: Int) -> Bool {
        switch self {
        case .all: false
        case .points(let columns):
            columns.allSatisfy { $0.allSatisfy(\.isGiven) }
                && columns.reduce(1) { WorkMeter.product($0, $1.count) } <= limit
        case .range(let equal, let lower, let upper):
            equal.allSatisfy(\.isGiven) && lower?.value.isGiven ?? true
                && upper?.value.isGiven ?? true
        }
    }
}

extension BoundExpression {
    /// A constant, a parameter, or a sum and the like of integers that are.
    fileprivate var isGiven: Bool {
        switch self {
        case .constant, .parameter: true
        case .arithmetic(_, let left, let right, .int2), .arithmetic(_, let left, let right, .int4),
            .arithmetic(_, let left, let right, .int8):
            left.isGiven && right.isGiven
        default: false
        }
    }

    fileprivate func value(with parameters: [Datum]) throws(SQLError) -> Datum {
        switch self {
        case .constant(let value): value
        case .parameter(let number): parameters[number]
        case .arithmetic(let operation, let left, let right, let type):
            try Datum.arithmetic(
                operation, left.value(with: parameters), right.value(with: parameters), as: type)
        default: .null
        }
    }
}

extension SQLSession {
    /// Whether the next statement may have a snapshot of its own, and shows nothing that was written,
    /// or is to be locked, by the transaction that it is part of.
    private var hasSnapshotsOfStatements: Bool {
        if let transaction { return transaction.isReadCommitted && transaction.isUntouched }
        return settings.isolation == SessionSettings.readCommitted
    }

    /// Answers a query that may be answered at once, and returns how many rows it has; nil, and nothing
    /// was done, if it is to be run like any other.
    func fastRead(_ portal: Portal, into sink: any ResultSink) throws(SQLError) -> Int? {
        guard !portal.isStarted, let plan = portal.prepared.plan, let read = plan.fastRead,
            hasSnapshotsOfStatements, isCurrent(plan), cancellation.reason == nil,
            let columns = try portal.formatted(plan.columns),
            let values = read.values(portal.parameters, from: database, meter)
        else { return nil }
        transaction?.hasQueried = true
        hasOutput = true
        portal.isStarted = true
        portal.columns = columns
        portal.finish()
        sink.columns(columns)
        let width = read.access.table.columns.count
        for start in stride(from: 0, to: values.count, by: width) {
            sink.row(values, from: start, at: read.outputs)
        }
        let count = values.count / width
        meter.note(count * WorkMeter.row)
        return count
    }
}
