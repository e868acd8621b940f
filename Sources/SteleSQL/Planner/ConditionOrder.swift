// In which order the terms of a condition are tested.
//
// As PostgreSQL does (`order_qual_clauses` in its createplan.c), those that take little come first, and
// otherwise they stay as they were written. That saves work, and a client can tell: the first term that
// does not hold ends it, so that what a later one would fail at is never computed.

extension BoundExpression {
    /// The condition in the order in which its terms are tested, unless parts of it are still to be
    /// folded: that goes on as they are written, and then they are sorted.
    var inTestOrder: BoundExpression { isWorthFolding ? self : cheapTermsFirst }

    /// The condition, which only has to be true or not, with the cheap ones of its terms first.
    var cheapTermsFirst: BoundExpression {
        let terms = conjuncts
        guard terms.count > 1 else { return terms[0] }
        let costs = terms.map(\.cost.value)
        let order = terms.indices.sorted { (costs[$0], $0) < (costs[$1], $1) }
        return .and(order.map { terms[$0] })
    }

    /// What all has to hold for the condition to hold.
    private var conjuncts: [BoundExpression] {
        switch self {
        case .and(let operands): return operands.flatMap(\.conjuncts)
        case .not(.not(let operand)): return operand.conjuncts
        case .not(.or(let operands)):
            return operands.flatMap { BoundExpression.not($0).conjuncts }
        default: return [self]
        }
    }

    /// What an evaluation takes, in halves of a call of a function; what is the same for all rows takes
    /// nothing.
    private var cost: (value: Int, isFixed: Bool) {
        switch self {
        case .constant, .parameter: return (0, true)
        case .column, .aggregate: return (0, false)
        default: break
        }
        var value = ownCost
        var isFixed = isImmutable
        for child in children {
            let cost = child.cost
            value += cost.value
            isFixed = isFixed && cost.isFixed
        }
        return isFixed ? (0, true) : (value, false)
    }

    /// From so many constants on PostgreSQL looks for one by its hash.
    private static let hashedItems = 9

    private var ownCost: Int {
        switch self {
        case .constant, .parameter, .column, .aggregate, .and, .or, .not, .isNull, .isTruth, .coalesce,
            .choice:
            return 0
        case .isIn(_, let list, _):
            // Constants are looked up together.
            let fixed = list.items.count { !$0.readsColumns }
            let looked = fixed < Self.hashedItems ? fixed : 4
            return fixed > 1 ? looked + 2 * (list.items.count - fixed) : 2 * list.items.count
        // By way of a text: one is written and another read.
        case .cast(_, let source, let target, _):
            return (source.category == .string) == (target.category == .string) ? 2 : 4
        default: return 2
        }
    }
}
