/// An expression whose names are resolved and whose operands have the types they need, ready to be
/// evaluated over a row.
indirect enum BoundExpression: Hashable, Sendable {
    case constant(Datum)
    /// Counted from 0.
    case parameter(Int)
    /// A place in the row.
    case column(Int)
    /// A place among the aggregates of a grouping; replaced by a column before evaluation.
    case aggregate(Int)
    case arithmetic(ArithmeticOperator, BoundExpression, BoundExpression, SQLType)
    /// `date + integer`, with the sign of the integer.
    case dateSum(BoundExpression, BoundExpression, sign: Int64)
    /// `date - date`.
    case dateDifference(BoundExpression, BoundExpression)
    case negated(BoundExpression, SQLType)
    case comparison(Comparison, BoundExpression, BoundExpression)
    case and([BoundExpression])
    case or([BoundExpression])
    case not(BoundExpression)
    case isNull(BoundExpression, isNegated: Bool)
    case isTruth(BoundExpression, Expression.TruthTest)
    case isDistinct(BoundExpression, BoundExpression, isNegated: Bool)
    case isIn(BoundExpression, ValueList, isNegated: Bool)
    case like(BoundExpression, BoundExpression, Expression.Like)
    case concatenation(BoundExpression, BoundExpression)
    case choice([Arm], otherwise: BoundExpression)
    case coalesce([BoundExpression])
    /// The operands as they are compared, and the value that comes out if they differ; nil if that is
    /// the first operand as it is compared.
    case nullIf(BoundExpression, BoundExpression, value: BoundExpression?)
    case extreme(isGreatest: Bool, [BoundExpression])
    case cast(BoundExpression, from: SQLType, to: SQLType, isExplicit: Bool)
    case call(Function, [BoundExpression])

    enum Comparison: Hashable, Sendable {
        case equal, notEqual, less, lessOrEqual, greater, greaterOrEqual

        /// The comparison that holds with the operands swapped.
        var mirrored: Comparison {
            switch self {
            case .equal, .notEqual: self
            case .less: .greater
            case .lessOrEqual: .greaterOrEqual
            case .greater: .less
            case .greaterOrEqual: .lessOrEqual
            }
        }
    }

    struct Arm: Hashable, Sendable {
        var condition: BoundExpression
        var result: BoundExpression
    }

    static let null = BoundExpression.constant(.null)

    /// The direct parts of the expression.
    var children: [BoundExpression] {
        switch self {
        case .constant, .parameter, .column, .aggregate: []
        case .arithmetic(_, let left, let right, _), .dateSum(let left, let right, _),
            .dateDifference(let left, let right), .comparison(_, let left, let right),
            .isDistinct(let left, let right, _), .like(let left, let right, _),
            .concatenation(let left, let right):
            [left, right]
        case .nullIf(let left, let right, let value): [left, right] + (value.map { [$0] } ?? [])
        case .negated(let operand, _), .not(let operand), .isNull(let operand, _),
            .isTruth(let operand, _), .cast(let operand, _, _, _):
            [operand]
        case .and(let operands), .or(let operands), .coalesce(let operands),
            .extreme(_, let operands), .call(_, let operands):
            operands
        case .isIn(let operand, let list, _): [operand] + list.parts
        case .choice(let arms, let otherwise):
            arms.flatMap { [$0.condition, $0.result] } + [otherwise]
        }
    }

    /// How many expressions it is made of, itself included; stops counting at a limit.
    func size(atMost limit: Int) -> Int {
        var count = 0
        var rest = [self]
        while let next = rest.popLast(), count < limit {
            count += 1
            rest += next.children
        }
        return count
    }

    /// The same expression with each direct part replaced.
    func mapChildren(
        _ transform: (BoundExpression) throws(SQLError) -> BoundExpression
    ) throws(SQLError) -> BoundExpression {
        func all(_ list: [BoundExpression]) throws(SQLError) -> [BoundExpression] {
            var mapped: [BoundExpression] = []
            mapped.reserveCapacity(list.count)
            for item in list { mapped.append(try transform(item)) }
            return mapped
        }
        switch self {
        case .constant, .parameter, .column, .aggregate: return self
        case .arithmetic(let operation, let left, let right, let type):
            return .arithmetic(operation, try transform(left), try transform(right), type)
        case .dateSum(let left, let right, let sign):
            return .dateSum(try transform(left), try transform(right), sign: sign)
        case .dateDifference(let left, let right):
            return .dateDifference(try transform(left), try transform(right))
        case .comparison(let comparison, let left, let right):
            return .comparison(comparison, try transform(left), try transform(right))
        case .isDistinct(let left, let right, let isNegated):
            return .isDistinct(try transform(left), try transform(right), isNegated: isNegated)
        case .like(let left, let right, let like):
            return .like(try transform(left), try transform(right), like)
        case .concatenation(let left, let right):
            return .concatenation(try transform(left), try transform(right))
        case .nullIf(let left, let right, let value):
            return .nullIf(
                try transform(left), try transform(right),
                value: try value.map { (value) throws(SQLError) in try transform(value) })
        case .negated(let operand, let type): return .negated(try transform(operand), type)
        case .not(let operand): return .not(try transform(operand))
        case .isNull(let operand, let isNegated):
            return .isNull(try transform(operand), isNegated: isNegated)
        case .isTruth(let operand, let test): return .isTruth(try transform(operand), test)
        case .cast(let operand, let from, let to, let isExplicit):
            return .cast(try transform(operand), from: from, to: to, isExplicit: isExplicit)
        case .and(let operands): return .and(try all(operands))
        case .or(let operands): return .or(try all(operands))
        case .coalesce(let operands): return .coalesce(try all(operands))
        case .extreme(let isGreatest, let operands):
            return .extreme(isGreatest: isGreatest, try all(operands))
        case .call(let function, let operands): return .call(function, try all(operands))
        case .isIn(let operand, let list, let isNegated):
            return .isIn(
                try transform(operand), try list.mapItems(transform), isNegated: isNegated)
        case .choice(let arms, let otherwise):
            var mapped: [Arm] = []
            for arm in arms {
                mapped.append(
                    Arm(
                        condition: try transform(arm.condition), result: try transform(arm.result)))
            }
            return .choice(mapped, otherwise: try transform(otherwise))
        }
    }

    /// Whether the value is the same for all rows of a statement.
    var isRowIndependent: Bool {
        switch self {
        case .constant, .parameter: true
        case .column, .aggregate: false
        case .call(.clockTimestamp, _), .call(.sleep, _), .call(.changeSetting, _),
            .call(.random, _), .call(.randomUUID, _): false
        default: children.allSatisfy(\.isRowIndependent)
        }
    }

    /// Whether the value depends on the row.
    var readsColumns: Bool {
        if case .column = self { return true }
        return children.contains(where: \.readsColumns)
    }

    /// Marks the columns that the expression reads.
    func markColumns(in wanted: inout [Bool]) {
        if case .column(let index) = self {
            if index < wanted.count { wanted[index] = true }
        } else {
            for child in children { child.markColumns(in: &wanted) }
        }
    }
}
