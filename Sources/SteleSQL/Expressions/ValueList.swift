/// The right side of `IN`.
///
/// Constants of one kind are kept in order too, so that a value is found among thousands of them
/// without a comparison with each.
struct ValueList: Hashable, Sendable {
    let items: [BoundExpression]
    /// The constants without nulls, ascending; nil if some item is no constant, or they are of
    /// several kinds, which have no order in common.
    private let sorted: [Datum]?
    private let hasNull: Bool

    /// So few are compared one by one.
    private static let fewest = 8

    /// Whether values that are not known yet would be found faster if they were.
    var isWorthSorting: Bool { sorted == nil && items.count > Self.fewest }

    init(_ items: [BoundExpression]) {
        self.items = items
        var values: [Datum] = []
        var hasNull = false
        var areAlike = items.count > Self.fewest
        if areAlike { values.reserveCapacity(items.count) }
        for item in items where areAlike {
            guard case .constant(let value) = item else {
                areAlike = false
                break
            }
            if value.isNull {
                hasNull = true
            } else if values.first?.isSameKind(as: value) ?? true {
                values.append(value)
            } else {
                areAlike = false
            }
        }
        if areAlike { values.sort { $0.compare($1) < 0 } }
        sorted = areAlike ? values : nil
        self.hasNull = areAlike && hasNull
    }

    /// What has to be looked at to find out what the list depends on.
    var parts: [BoundExpression] { sorted == nil ? items : [] }

    func mapItems(
        _ transform: (BoundExpression) throws(SQLError) -> BoundExpression
    ) throws(SQLError) -> ValueList {
        if sorted != nil { return self }
        var mapped: [BoundExpression] = []
        mapped.reserveCapacity(items.count)
        for item in items { mapped.append(try transform(item)) }
        return ValueList(mapped)
    }

    /// Computes the items for the errors that come of it.
    func computeItems(_ row: [Datum], _ context: StatementContext) throws(SQLError) {
        guard sorted == nil else { return }
        for item in items { _ = try item.evaluate(row, context) }
    }

    /// Whether a value, which is no null, is in the list; nil is unknown.
    func contains(
        _ value: Datum, _ row: [Datum], _ context: StatementContext
    ) throws(SQLError) -> Bool? {
        guard let sorted else {
            var isUnknown = false
            for item in items {
                let item = try item.evaluate(row, context)
                if item.isNull {
                    isUnknown = true
                    continue
                }
                try context.meter.charge(min(value.outsideBytes, item.outsideBytes))
                if value.compare(item) == 0 {
                    return true
                }
            }
            return isUnknown ? nil : false
        }
        var low = 0
        var high = sorted.count
        while low < high {
            let middle = (low + high) / 2
            try context.meter.charge(min(value.outsideBytes, sorted[middle].outsideBytes))
            if sorted[middle].compare(value) < 0 { low = middle + 1 } else { high = middle }
        }
        if low < sorted.count, sorted[low].compare(value) == 0 { return true }
        return hasNull ? nil : false
    }
}

extension Datum {
    /// Whether both are held in the same form, in which they have a strict order.
    fileprivate func isSameKind(as other: Datum) -> Bool {
        switch (self, other) {
        case (.int, .int), (.text, .text), (.double, .double), (.numeric, .numeric),
            (.timestamp, .timestamp), (.date, .date), (.bool, .bool), (.bytes, .bytes),
            (.uuid, .uuid):
            true
        default: false
        }
    }
}

extension BoundExpression {
    /// A column that is compared with a value that is the same for all rows, and can be read without
    /// failing: a constant, a parameter or a literal.
    fileprivate var membership: (column: Int, value: BoundExpression)? {
        guard case .comparison(.equal, .column(let column), let value) = self else { return nil }
        switch value {
        case .constant, .parameter, .cast(.constant, from: .unknown, to: _, isExplicit: _):
            return (column, value)
        default: return nil
        }
    }
}

extension [BoundExpression] {
    /// Operands of `OR`, of which those that compare one column with values become a list.
    var withListsOfValues: [BoundExpression] {
        var values: [Int: [BoundExpression]] = [:]
        for operand in self {
            if let (column, value) = operand.membership { values[column, default: []].append(value) }
        }
        var joined: [BoundExpression] = []
        for operand in self {
            guard let column = operand.membership?.column, let list = values[column],
                list.count != 1
            else {
                joined.append(operand)
                continue
            }
            // In the place of the first of them.
            if list.isEmpty { continue }
            joined.append(.isIn(.column(column), ValueList(list), isNegated: false))
            values[column] = []
        }
        return joined
    }
}
