/// Finds what a condition says about a table's primary key.
///
/// Only terms of the top-level conjunction count that compare a key column with something that
/// does not depend on the row and has the same coding in a key. The condition is evaluated on the
/// rows all the same, so a term that is overlooked costs time but no correctness.
struct KeyConditions {
    private let table: TableDefinition
    private var equal: [Int: [BoundExpression]] = [:]
    private var lower: [Int: KeyCondition.Bound] = [:]
    private var upper: [Int: KeyCondition.Bound] = [:]
    /// Terms of the conjunction, and those of them that the keys say too.
    private var terms = 0
    private var used: [Int: Int] = [:]

    /// More keys than this are looked for by a scan.
    private static let pointLimit = 1 << 16

    private init(table: TableDefinition) { self.table = table }

    static func access(
        _ table: TableDefinition, _ condition: BoundExpression?, wanted: [Bool],
        parameters: [SQLType?]
    ) -> TableAccess {
        var conditions = KeyConditions(table: table)
        if let condition { conditions.add(condition, parameters) }
        let (keys, usedTerms) = conditions.result
        return TableAccess(
            table: table, keys: keys, condition: condition, wanted: wanted,
            isExact: usedTerms == conditions.terms)
    }

    private mutating func add(_ condition: BoundExpression, _ parameters: [SQLType?]) {
        if case .and(let terms) = condition {
            for term in terms { add(term, parameters) }
            return
        }
        terms += 1
        switch condition {
        case .comparison(let comparison, .column(let column), let value):
            add(column, comparison, value, parameters)
        case .comparison(let comparison, let value, .column(let column)):
            add(column, comparison.mirrored, value, parameters)
        case .isIn(.column(let column), let list, isNegated: false)
        where equal[column] == nil && table.isKey(column)
            && list.items.allSatisfy({ fits($0, column, parameters) }):
            equal[column] = list.items
            used[column, default: 0] += 1
        default: break
        }
    }

    private mutating func add(
        _ column: Int, _ comparison: BoundExpression.Comparison, _ value: BoundExpression,
        _ parameters: [SQLType?]
    ) {
        guard table.isKey(column), fits(value, column, parameters) else { return }
        switch comparison {
        case .equal where equal[column]?.count != 1:
            // One value is better than a list, which then remains as a condition.
            equal[column] = [value]
            used[column] = 1
        case .less where upper[column] == nil:
            upper[column] = KeyCondition.Bound(value: value, isInclusive: false)
        case .lessOrEqual where upper[column] == nil:
            upper[column] = KeyCondition.Bound(value: value, isInclusive: true)
        case .greater where lower[column] == nil:
            lower[column] = KeyCondition.Bound(value: value, isInclusive: false)
        case .greaterOrEqual where lower[column] == nil:
            lower[column] = KeyCondition.Bound(value: value, isInclusive: true)
        default: break
        }
    }

    /// Whether the value does not depend on the row and is coded in a key as the column is.
    private func fits(
        _ value: BoundExpression, _ column: Int, _ parameters: [SQLType?]
    ) -> Bool {
        value.isRowIndependent
            && Self.form(table.types[column]) == value.keyForm(parameters)
    }

    /// Types whose values have the same coding in a key.
    enum Form: Hashable { case bool, integer, double, numeric, text, timestamp, date, bytes, uuid }

    static func form(_ type: SQLType) -> Form {
        switch type {
        case .bool: .bool
        case .int2, .int4, .int8, .oid: .integer
        case .float4, .float8: .double
        case .numeric: .numeric
        case .text, .varchar, .char, .name, .unknown: .text
        case .timestamp, .timestamptz: .timestamp
        case .date: .date
        case .bytea: .bytes
        case .uuid: .uuid
        }
    }

    private var result: (KeyCondition, usedTerms: Int) {
        var leading: [[BoundExpression]] = []
        var usedTerms = 0
        var points = 1
        for column in table.primaryKey {
            guard let values = equal[column] else { break }
            points *= values.count
            guard points <= Self.pointLimit else { break }
            leading.append(values)
            usedTerms += used[column, default: 0]
        }
        if !table.primaryKey.isEmpty, leading.count == table.primaryKey.count {
            return (.points(leading), usedTerms)
        }
        // A range needs one value for each of the equal columns.
        let single = leading.prefix { $0.count == 1 }
        if single.count < leading.count {
            usedTerms = table.primaryKey.prefix(single.count)
                .reduce(0) { $0 + used[$1, default: 0] }
        }
        guard single.count < table.primaryKey.count else { return (.all, 0) }
        let next = table.primaryKey[single.count]
        let low = lower[next]
        let high = upper[next]
        if single.isEmpty, low == nil, high == nil { return (.all, 0) }
        usedTerms += (low == nil ? 0 : 1) + (high == nil ? 0 : 1)
        return (.range(equal: single.map { $0[0] }, lower: low, upper: high), usedTerms)
    }
}

extension BoundExpression {
    /// The coding that the value would have in a key, where that is plain to see.
    fileprivate func keyForm(_ parameters: [SQLType?]) -> KeyConditions.Form? {
        switch self {
        case .constant(let value):
            switch value {
            case .bool: return .bool
            case .int: return .integer
            case .double: return .double
            case .numeric: return .numeric
            case .text: return .text
            case .timestamp: return .timestamp
            case .date: return .date
            case .bytes: return .bytes
            case .uuid: return .uuid
            case .null: return nil
            }
        case .parameter(let index):
            guard index < parameters.count, let type = parameters[index] else { return nil }
            return KeyConditions.form(type)
        case .cast(_, _, let type, _), .arithmetic(_, _, _, let type), .negated(_, let type):
            return KeyConditions.form(type)
        case .concatenation: return .text
        case .call(.startOfDay, _): return .timestamp
        default: return nil
        }
    }
}
