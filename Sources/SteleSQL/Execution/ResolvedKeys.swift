import SteleBase

/// The keys that a condition stands for in one execution.
enum ResolvedKeys {
    /// Ascending.
    case points(ArraySlice<KeyBytes>)
    case range(KeyRange)

    /// Evaluates what the condition compares the key with.
    static func resolve(
        _ access: TableAccess, _ context: StatementContext
    ) async throws(SQLError) -> ResolvedKeys {
        let table = access.table
        switch access.keys {
        case .all: return .range(table.range)
        case .points(let columns):
            return try await context.compute { () throws(SQLError) in
                .points(try points(table, columns, context)[...])
            }
        case .range(let equal, let lower, let upper):
            return try await context.compute { () throws(SQLError) in
                try range(table, equal, lower, upper, context)
            }
        }
    }

    private static let nothing = ResolvedKeys.points([])

    /// All combinations of the columns' values, in order and without repetition.
    private static func points(
        _ table: TableDefinition, _ columns: [[BoundExpression]], _ context: StatementContext
    ) throws(SQLError) -> [KeyBytes] {
        var keys = [table.rowPrefix]
        for candidates in columns {
            if candidates.count == 1 {
                let value = try candidates[0].evaluate([], context)
                if value.isNull || !fits(value) { return [] }
                for index in keys.indices { value.encodeKey(into: &keys[index]) }
                continue
            }
            var longer: [KeyBytes] = []
            for candidate in candidates {
                let value = try candidate.evaluate([], context)
                if value.isNull || !fits(value) { continue }
                try context.meter.charge(WorkMeter.row * keys.count)
                for var key in keys {
                    value.encodeKey(into: &key)
                    longer.append(key)
                }
            }
            keys = longer
        }
        guard keys.count > 1 else { return keys }
        // Some tens of nanoseconds for each of about so many comparisons.
        let comparisons = keys.count * (Int.bitWidth - keys.count.leadingZeroBitCount)
        try context.meter.charge(WorkMeter.compared * comparisons)
        keys.sort { $0.precedes($1) }
        var unique: [KeyBytes] = []
        for key in keys where unique.last != key { unique.append(key) }
        return unique
    }

    /// No key is as long as one with this value would be.
    private static func fits(_ value: Datum) -> Bool { value.outsideBytes <= Limits.keyBytes }

    private static func range(
        _ table: TableDefinition, _ equal: [BoundExpression], _ lower: KeyCondition.Bound?,
        _ upper: KeyCondition.Bound?, _ context: StatementContext
    ) throws(SQLError) -> ResolvedKeys {
        var prefix = table.rowPrefix
        for expression in equal {
            let value = try expression.evaluate([], context)
            if value.isNull || !fits(value) { return nothing }
            value.encodeKey(into: &prefix)
        }
        var range = KeyRange(prefix: prefix)
        if let lower {
            var key = prefix
            let value = try lower.value.evaluate([], context)
            if value.isNull { return nothing }
            value.encodeKey(into: &key)
            range.start = lower.isInclusive ? key : KeyRange.successor(ofPrefix: key)
        }
        if let upper {
            var key = prefix
            let value = try upper.value.evaluate([], context)
            if value.isNull { return nothing }
            value.encodeKey(into: &key)
            range.end = upper.isInclusive ? KeyRange.successor(ofPrefix: key) : key
        }
        return range.isEmpty ? nothing : .range(range)
    }
}
