// Statements as they were written: names are not resolved, types not inferred. The parser makes
// these values from PostgreSQL's parse tree, the planner reads them.

/// An expression as it was written. `at` is the byte offset in the statement's text, -1 if unknown.
indirect enum Expression: Sendable {
    case literal(Literal, at: Int)
    /// `$1` is number 1.
    case parameter(Int, at: Int)
    case column(qualifier: String?, name: String, at: Int)
    /// `*` or `t.*`.
    case star(qualifier: String?, at: Int)
    /// An operator by its name; without a left operand it is a prefix.
    case operation(String, Expression?, Expression, at: Int)
    case and([Expression])
    case or([Expression])
    case not(Expression)
    case isNull(Expression, isNegated: Bool)
    case isTruth(Expression, TruthTest, at: Int)
    case isDistinct(Expression, Expression, isNegated: Bool, at: Int)
    case isIn(Expression, [Expression], isNegated: Bool, at: Int)
    case between(Expression, Expression, Expression, Between, at: Int)
    case like(Expression, Expression, Like, at: Int)
    case choice(operand: Expression?, arms: [Arm], otherwise: Expression?, at: Int)
    case coalesce([Expression], at: Int)
    case nullIf(Expression, Expression, at: Int)
    /// `GREATEST` or `LEAST`.
    case extreme(isGreatest: Bool, [Expression], at: Int)
    case cast(Expression, SQLType, at: Int)
    case call(FunctionCall)
    case keyword(ValueKeyword, at: Int)
    /// `DEFAULT` in place of a value.
    case setToDefault(at: Int)

    enum Literal: Hashable, Sendable {
        case null
        case bool(Bool)
        case integer(Int64)
        /// Digits that are no 32-bit integer.
        case decimal(String)
        case string(String)
    }

    /// One `WHEN … THEN …`.
    struct Arm: Sendable {
        var condition: Expression
        var result: Expression
    }

    struct Between: Sendable {
        var isNegated: Bool
        var isSymmetric: Bool
    }

    struct Like: Hashable, Sendable {
        var isNegated: Bool
        var ignoresCase: Bool
    }

    /// `IS TRUE`, `IS FALSE`, `IS UNKNOWN` (nil), or the opposite.
    struct TruthTest: Hashable, Sendable {
        var value: Bool?
        var isNegated: Bool
    }

    struct FunctionCall: Sendable {
        /// Without `pg_catalog`.
        var name: String
        var arguments: [Expression]
        /// `count(*)`.
        var isStar: Bool
        /// `count(DISTINCT x)`.
        var isDistinct: Bool
        var at: Int
    }

    /// Functions that are called by a keyword without parentheses.
    enum ValueKeyword: Hashable, Sendable {
        case currentDate, currentTimestamp, localTimestamp
        case currentUser, sessionUser, currentDatabase, currentSchema
    }

    /// Where the expression begins, as far as is known.
    var location: Int {
        switch self {
        case .literal(_, let at), .parameter(_, let at), .column(_, _, let at),
            .star(_, let at), .isTruth(_, _, let at), .isDistinct(_, _, _, let at),
            .isIn(_, _, _, let at), .between(_, _, _, _, let at), .like(_, _, _, let at),
            .choice(_, _, _, let at), .coalesce(_, let at), .nullIf(_, _, let at),
            .extreme(_, _, let at), .keyword(_, let at), .setToDefault(let at):
            at
        case .cast(let operand, _, let at): Self.earlier(operand.location, at)
        case .operation(_, let left, _, let at): left?.location ?? at
        case .and(let operands), .or(let operands): operands.first?.location ?? -1
        case .not(let operand), .isNull(let operand, _): operand.location
        case .call(let call): call.at
        }
    }

    private static func earlier(_ operand: Int, _ at: Int) -> Int {
        operand >= 0 ? min(operand, max(at, 0)) : at
    }
}
