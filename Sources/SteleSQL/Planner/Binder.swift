/// An expression and its type.
struct Typed: Sendable {
    var expression: BoundExpression
    /// `unknown` for string literals and parameters whose type is not inferred yet.
    var type: SQLType
    /// Where a literal stands, for the errors of reading it.
    var at = -1
}

/// Resolves names, infers types and inserts conversions, by PostgreSQL's rules.
///
/// A string literal and a parameter without a type take the type that their surroundings ask for.
/// The first use decides about a parameter, as in PostgreSQL.
struct Binder {
    let source: SourceText
    var scope: Scope
    /// Parameters that stand where any type would do, and had none.
    private var open: Set<Int> = []
    /// nil as long as a parameter's type is not known.
    private(set) var parameters: [SQLType?]
    /// Whether the statement may have more parameters than were declared: only one that is
    /// prepared may, since nothing else ever gets values for them.
    let mayAddParameters: Bool
    /// Reads literals: zone and clock of the session.
    let time: TimeContext
    private let meter: WorkMeter

    /// Where the expression stands, as errors name it; nil where aggregates are allowed.
    var clause: String? = "this clause"
    /// The aggregates that were met, in order.
    var aggregates: [Aggregate] = []
    private var isInAggregate = false
    /// How many parts of expressions stand in the bound statement a further time.
    private var copies = 0

    init(
        source: SourceText, parameters: [SQLType?], mayAddParameters: Bool = false,
        time: TimeContext, meter: WorkMeter
    ) {
        self.meter = meter
        self.source = source
        self.scope = .empty
        self.parameters = parameters
        self.mayAddParameters = mayAddParameters
        self.time = time
    }

    /// Counts work that is about to be done, see ``WorkMeter``.
    func charge(_ nanoseconds: Int) throws(SQLError) { try meter.charge(nanoseconds) }

    func error(
        _ state: String, _ message: String, at: Int, detail: String? = nil, hint: String? = nil
    ) -> SQLError {
        SQLError(state, message, detail: detail, hint: hint, position: source.position(of: at))
    }

    func unsupported(_ what: String, at: Int, hint: String? = nil) -> SQLError {
        error("0A000", "\(what) is not supported", at: at, hint: hint)
    }

    /// The types of all parameters; those that nothing decided about are an error.
    func resolvedParameters() throws(SQLError) -> [SQLType] {
        var types: [SQLType] = []
        for (index, type) in parameters.enumerated() {
            guard let type else {
                throw SQLError(
                    "42P18", "could not determine data type of parameter $\(index + 1)")
            }
            // As in PostgreSQL it would be of one type there and of another elsewhere.
            if open.contains(index) {
                throw SQLError(
                    "42P08", "could not determine data type of parameter $\(index + 1)")
            }
            types.append(type)
        }
        return types
    }

    /// Whether an operand that may be of any type is a parameter that has none yet: this says nothing
    /// about its type.
    mutating func leavesOpen(_ typed: Typed) -> Bool {
        guard typed.type == .unknown, case .parameter(let index) = typed.expression,
            parameters[index] == nil
        else { return false }
        open.insert(index)
        return true
    }

    mutating func setParameter(_ index: Int, _ type: SQLType) {
        parameters[index] = type.withoutModifier
    }

    /// Counts an operand that is compared with several others: each comparison has a copy of it. Where
    /// such operands nest, there are twice as many copies with every level.
    mutating func copy(_ operand: Typed, times: Int, at: Int) throws(SQLError) {
        guard times > 0 else { return }
        // It stands for a literal, which each comparison reads as what it needs.
        if !mayAddParameters, let parameter = undecided(operand)?.parameter {
            throw SQLError(
                "42P18", "could not determine data type of parameter $\(parameter + 1)")
        }
        let size = operand.expression.size(atMost: Self.mostCopies)
        try meter.charge(WorkMeter.evaluated * times * size)
        copies += times * size
        guard copies <= Self.mostCopies else {
            throw error(
                "54001", "statement too complex", at: at,
                detail: "What BETWEEN, IN, CASE and NULLIF compare comes to more than "
                    + "\(Self.mostCopies) parts of expressions.",
                hint: "Compute the operand once, in a statement of its own.")
        }
    }

    private static let mostCopies = 100_000

    // MARK: Expressions

    /// A condition: an expression of type boolean.
    mutating func condition(
        _ expression: Expression, of clause: String
    ) throws(SQLError) -> BoundExpression {
        let outer = self.clause
        self.clause = clause
        defer { self.clause = outer }
        let condition = try truth(expression, of: clause)
        try charge(WorkMeter.evaluated * condition.size(atMost: 1 << 20))
        return condition.inTestOrder
    }

    /// The operand of `WHERE`, `AND` and the like.
    mutating func truth(
        _ expression: Expression, of clause: String
    ) throws(SQLError) -> BoundExpression {
        let typed = try bind(expression)
        guard typed.type == .bool || typed.type == .unknown else {
            throw error(
                "42804",
                "argument of \(clause) must be type boolean, not type \(typed.type.plainName)",
                at: expression.location)
        }
        return try coerce(typed, to: .bool, at: expression.location).expression
    }

    mutating func bind(_ expression: Expression) throws(SQLError) -> Typed {
        try meter.charge(WorkMeter.planned)
        switch expression {
        case .literal(let literal, let at):
            do {
                var typed = try Self.literal(literal)
                typed.at = at
                return typed
            } catch { throw error.at(source.position(of: at)) }
        case .parameter(let number, let at): return try parameter(number, at: at)
        case .column(let qualifier, let name, let at):
            do {
                let column = try scope.column(qualifier, name)
                return Typed(expression: .column(column.index), type: column.type)
            } catch { throw error.at(source.position(of: at)) }
        case .star(_, let at): throw unsupported("a whole row as a value", at: at)
        case .operation(let name, let left, let right, let at):
            return try operation(name, left, right, at: at)
        case .and(let operands):
            var bound: [BoundExpression] = []
            for operand in operands { bound.append(try truth(operand, of: "AND")) }
            return Typed(expression: .and(bound), type: .bool)
        case .or(let operands):
            var bound: [BoundExpression] = []
            for operand in operands { bound.append(try truth(operand, of: "OR")) }
            bound = bound.withListsOfValues
            return Typed(expression: bound.count == 1 ? bound[0] : .or(bound), type: .bool)
        case .not(let operand):
            return Typed(expression: .not(try truth(operand, of: "NOT")), type: .bool)
        case .isNull(let operand, let isNegated):
            var typed = try bind(operand)
            if typed.type == .unknown, !leavesOpen(typed) {
                typed = try coerce(typed, to: .text, at: operand.location)
            }
            return Typed(
                expression: .isNull(typed.expression, isNegated: isNegated), type: .bool)
        case .isTruth(let operand, let test, _):
            return Typed(
                expression: .isTruth(try truth(operand, of: "IS"), test), type: .bool)
        case .cast(let operand, let type, let at):
            return try coerce(bind(operand), to: type, in: .explicit, at: at)
        case .call(let call): return try function(call)
        case .keyword(let keyword, _): return Self.keyword(keyword)
        case .setToDefault(let at):
            throw error("42601", "DEFAULT is not allowed in this context", at: at)
        default: return try bindComposite(expression)
        }
    }

    private static func literal(_ literal: Expression.Literal) throws(SQLError) -> Typed {
        switch literal {
        case .null: return Typed(expression: .null, type: .unknown)
        case .bool(let value): return Typed(expression: .constant(.bool(value)), type: .bool)
        case .integer(let value): return Typed(expression: .constant(.int(value)), type: .int4)
        case .string(let text): return Typed(expression: .constant(.text(text)), type: .unknown)
        case .decimal(let digits):
            if let value = Int64(digits) {
                // Also what follows a minus sign comes here, together with it.
                let type: SQLType = Int32(exactly: value) == nil ? .int8 : .int4
                return Typed(expression: .constant(.int(value)), type: type)
            }
            let number = try Numeric(Array(digits.utf8)[...])
            return Typed(expression: .constant(.numeric(number)), type: .numeric(nil))
        }
    }

    /// The limit of the protocol's count of parameters.
    private static let parameterLimit = 65_535

    private mutating func parameter(_ number: Int, at: Int) throws(SQLError) -> Typed {
        guard number <= (mayAddParameters ? Self.parameterLimit : parameters.count) else {
            throw SQLError.noParameter(number).at(source.position(of: at))
        }
        while parameters.count < number { parameters.append(nil) }
        return Typed(
            expression: .parameter(number - 1), type: parameters[number - 1] ?? .unknown)
    }

    private static func keyword(_ keyword: Expression.ValueKeyword) -> Typed {
        switch keyword {
        case .currentDate: Typed(expression: .call(.currentDate, []), type: .date)
        case .currentTimestamp:
            Typed(expression: .call(.transactionTimestamp, []), type: .timestamptz)
        case .localTimestamp: Typed(expression: .call(.localTimestamp, []), type: .timestamp)
        case .currentUser, .sessionUser: Typed(expression: .call(.currentUser, []), type: .name)
        case .currentDatabase: Typed(expression: .call(.currentDatabase, []), type: .name)
        case .currentSchema: Typed(expression: .call(.currentSchema, []), type: .name)
        }
    }

    // MARK: Aggregates

    /// An aggregate's argument; aggregates do not nest.
    mutating func aggregateArgument(
        _ expression: Expression, at: Int
    ) throws(SQLError) -> Typed {
        guard !isInAggregate else {
            throw error("42803", "aggregate function calls cannot be nested", at: at)
        }
        isInAggregate = true
        defer { isInAggregate = false }
        return try bind(expression)
    }

    func checkAggregateAllowed(at: Int) throws(SQLError) {
        if isInAggregate {
            throw error("42803", "aggregate function calls cannot be nested", at: at)
        }
        if let clause {
            throw error(
                "42803", "aggregate functions are not allowed in \(clause)", at: at)
        }
    }
}
