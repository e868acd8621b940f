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
        if case .all = access.keys { return .range(access.table.range) }
        return try await context.compute { () throws(SQLError) in
            try resolve(access, context.meter) { (expression) throws(SQLError) in
                try expression.evaluate([], context)
            }
        }
    }

    /// - Parameter value: evaluates an expression.
    static func resolve(
        _ access: TableAccess, _ meter: WorkMeter,
        _ value: (BoundExpression) throws(SQLError) -> Datum
    ) throws(SQLError) -> ResolvedKeys {
        switch access.keys {
        case .all: .range(access.table.range)
        case .points(let columns): .points(try points(access.table, columns, meter, value)[...])
        case .range(let equal, let lower, let upper):
            try range(access.table, equal, lower, upper, value)
        }
    }

    private static let nothing = ResolvedKeys.points([])

    /// All combinations of the columns' values, in order and without repetition.
    private static func points(
        _ table: TableDefinition, _ columns: [[BoundExpression]], _ meter: WorkMeter,
        _ value: (BoundExpression) throws(SQLError) -> Datum
    ) throws(SQLError) -> [KeyBytes] {
        var keys = [table.rowPrefix]
        for candidates in columns {
            if candidates.count == 1 {
                let value = try value(candidates[0])
                if value.isNull || !fits(value) { return [] }
                for index in keys.indices { value.encodeKey(into: &keys[index]) }
                continue
            }
            var longer: [KeyBytes] = []
            for candidate in candidates {
                let value = try value(candidate)
                if value.isNull || !fits(value) { continue }
                try meter.charge(WorkMeter.row * keys.count)
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
        try meter.charge(WorkMeter.compared * comparisons)
        keys.sort { $0.precedes($1) }
        var unique: [KeyBytes] = []
        for key in keys where unique.last != key { unique.append(key) }
        return unique
    }

    /// No key is as long as one with this value would be.
    private static func fits(_ value: Datum) -> Bool { value.outsideBytes <= Limits.keyBytes }

    private static func range(
        _ table: TableDefinition, _ equal: [BoundExpression], _ lower: KeyCondition.Bound?,
        _ upper: KeyCondition.Bound?, _ value: (BoundExpression) throws(SQLError) -> Datum
    ) throws(SQLError) -> ResolvedKeys {
        var prefix = table.rowPrefix
        for expression in equal {
            let value = try value(expression)
            if value.isNull || !fits(value) { return nothing }
            value.encodeKey(into: &prefix)
        }
        var range = KeyRange(prefix: prefix)
        if let lower {
            var key = prefix
            let value = try value(lower.value)
            if value.isNull { return nothing }
            value.encodeKey(into: &key)
            range.start = lower.isInclusive ? key : KeyRange.successor(ofPrefix: key)
        }
        if let upper {
            var key = prefix
            let value = try value(upper.value)
            if value.isNull { return nothing }
            value.encodeKey(into: &key)
            range.end = upper.isInclusive ? KeyRange.successor(ofPrefix: key) : key
        }
        return range.isEmpty ? nothing : .range(range)
    }
}
