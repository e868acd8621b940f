import SteleBase

/// Gathers rows into groups and computes their aggregates.
struct Groups {
    private let plan: SelectPlan.Grouping
    private let context: StatementContext
    /// The groups in the order in which they were met.
    private var keys: [[Datum]] = []
    private var states: [[Aggregate.State]] = []
    private var places: [[Datum]: Int] = [:]
    private var memory = MemoryMeter()
    /// What the aggregates take in of a row; kept for its memory.
    private var inputs: [Aggregate.Input] = []

    init(_ plan: SelectPlan.Grouping, _ context: StatementContext) {
        self.plan = plan
        self.context = context
        // Without GROUP BY there is one group, even of no rows.
        if plan.keys.isEmpty { open([]) }
    }

    private mutating func open(_ key: [Datum]) {
        keys.append(key)
        states.append([Aggregate.State](repeating: Aggregate.State(), count: plan.aggregates.count))
    }

    /// Takes in a row. All of it is evaluated before anything of it counts, so that a row whose
    /// evaluation ends early can be taken in again.
    mutating func add(_ row: [Datum]) throws(SQLError) {
        try context.meter.charge(WorkMeter.row + WorkMeter.evaluated * plan.aggregates.count)
        try context.meter.charge(growthOf: memory.bytes)
        let key = try BoundExpression.row(plan.keys, of: row, context)
        inputs.removeAll(keepingCapacity: true)
        for aggregate in plan.aggregates {
            let input = try aggregate.input(row, context)
            try context.meter.charge(aggregate.cost(of: input.argument))
            inputs.append(input)
        }
        var place = 0
        if !plan.keys.isEmpty {
            // The key is hashed.
            try context.meter.charge(key.reduce(0) { $0 + $1.outsideBytes })
            if let known = places[key] {
                place = known
            } else {
                place = keys.count
                try memory.add(key)
                try memory.add(
                    bytes: plan.aggregates.count * MemoryLayout<Aggregate.State>.stride)
                places[key] = place
                open(key)
            }
        }
        for index in plan.aggregates.indices {
            try states[place][index].add(plan.aggregates[index], inputs[index], &memory)
        }
    }

    var heldBytes: Int { memory.bytes }

    /// The rows of the groups: keys, then aggregates.
    func results() throws(SQLError) -> RowBatches<StoredRow> {
        var rows = RowBatches<StoredRow>()
        for (key, states) in zip(keys, states) {
            try context.meter.charge(WorkMeter.row)
            var row = key
            for (aggregate, state) in zip(plan.aggregates, states) {
                try context.meter.charge(state.resultCost)
                row.append(try state.result(aggregate))
            }
            if let condition = plan.condition, try !condition.holds(row, context) { continue }
            rows.append(StoredRow(key: [], row: row), bytes: MemoryMeter.size(of: row))
        }
        return rows
    }
}

/// Sorts rows by `ORDER BY`.
struct RowOrder {
    private let keys: [SelectPlan.SortKey]
    private let context: StatementContext

    init(_ keys: [SelectPlan.SortKey], _ context: StatementContext) {
        self.keys = keys
        self.context = context
    }

    func sorted(_ rows: RowBatches<StoredRow>) throws(SQLError) -> RowBatches<StoredRow> {
        try context.meter.charge(
            growthOf: max(rows.bytes, rows.count * MemoryLayout<StoredRow>.stride))
        var entries: [(values: [Datum], place: Int)] = []
        var all: [StoredRow] = []
        all.reserveCapacity(rows.count)
        entries.reserveCapacity(rows.count)
        var memory = MemoryMeter()
        for slice in rows.slices {
            for stored in slice {
                let values = try BoundExpression.row(
                    keys.lazy.map(\.value), of: stored.row, context)
                try memory.add(values)
                try context.meter.charge(WorkMeter.row)
                entries.append((values, entries.count))
                all.append(stored)
            }
        }
        do {
            try entries.sort { left, right in
                for (index, key) in keys.enumerated() {
                    let (left, right) = (left.values[index], right.values[index])
                    try context.meter.charge(
                        WorkMeter.compared + min(left.outsideBytes, right.outsideBytes) / 4)
                    let order = Self.compare(left, right, key)
                    if order != 0 { return order < 0 }
                }
                return left.place < right.place
            }
        } catch let error as SQLError {
            throw error
        } catch { invariantFailed("sorting failed: \(error)") }
        var sorted = RowBatches<StoredRow>()
        for entry in entries {
            let stored = all[entry.place]
            sorted.append(stored, bytes: MemoryMeter.size(of: stored.row) + stored.key.count)
        }
        return sorted
    }

    private static func compare(
        _ left: Datum, _ right: Datum, _ key: SelectPlan.SortKey
    ) -> Int {
        if left.isNull || right.isNull {
            if left.isNull, right.isNull { return 0 }
            return left.isNull == key.nullsFirst ? -1 : 1
        }
        let order = left.compare(right)
        return key.isDescending ? -order : order
    }
}
