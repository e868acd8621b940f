internal import CPgQuery

extension Parser {
    func expressions(_ list: CList) throws(SQLError) -> [Expression] {
        try list.map { (node) throws(SQLError) in try expression(node) }
    }

    func optionalExpression(_ node: CNode?) throws(SQLError) -> Expression? {
        guard let node else { return nil }
        return try expression(node)
    }

    func expression(_ node: CNode) throws(SQLError) -> Expression {
        try nesting.enter()
        defer { nesting.leave() }
        switch node.pointee.node_case {
        case PG_QUERY__NODE__NODE_A_CONST: return try constant(node.pointee.a_const.pointee)
        case PG_QUERY__NODE__NODE_COLUMN_REF: return try column(node.pointee.column_ref.pointee)
        case PG_QUERY__NODE__NODE_PARAM_REF:
            let parameter = node.pointee.param_ref.pointee
            guard parameter.number > 0 else {
                throw SQLError("42P02", "there is no parameter $\(parameter.number)")
            }
            return .parameter(Int(parameter.number), at: Int(parameter.location))
        case PG_QUERY__NODE__NODE_A_EXPR: return try operation(node.pointee.a_expr.pointee)
        case PG_QUERY__NODE__NODE_BOOL_EXPR: return try logic(node.pointee.bool_expr.pointee)
        case PG_QUERY__NODE__NODE_NULL_TEST:
            let test = node.pointee.null_test.pointee
            return .isNull(
                try required(test.arg),
                isNegated: test.nulltesttype == PG_QUERY__NULL_TEST_TYPE__IS_NOT_NULL)
        case PG_QUERY__NODE__NODE_BOOLEAN_TEST:
            return try truthTest(node.pointee.boolean_test.pointee)
        case PG_QUERY__NODE__NODE_TYPE_CAST:
            let cast = node.pointee.type_cast.pointee
            guard let name = cast.type_name else { throw unsupported("this cast") }
            return .cast(
                try required(cast.arg), try type(name.pointee), at: Int(cast.location))
        case PG_QUERY__NODE__NODE_FUNC_CALL: return .call(try call(node.pointee.func_call.pointee))
        case PG_QUERY__NODE__NODE_CASE_EXPR: return try choice(node.pointee.case_expr.pointee)
        case PG_QUERY__NODE__NODE_COALESCE_EXPR:
            let coalesce = node.pointee.coalesce_expr.pointee
            return .coalesce(
                try expressions(CList(coalesce.args, coalesce.n_args)), at: Int(coalesce.location))
        case PG_QUERY__NODE__NODE_MIN_MAX_EXPR:
            let extreme = node.pointee.min_max_expr.pointee
            return .extreme(
                isGreatest: extreme.op == PG_QUERY__MIN_MAX_OP__IS_GREATEST,
                try expressions(CList(extreme.args, extreme.n_args)), at: Int(extreme.location))
        case PG_QUERY__NODE__NODE_SQLVALUE_FUNCTION:
            return try keyword(node.pointee.sqlvalue_function.pointee)
        case PG_QUERY__NODE__NODE_SET_TO_DEFAULT:
            return .setToDefault(at: Int(node.pointee.set_to_default.pointee.location))
        case PG_QUERY__NODE__NODE_SUB_LINK:
            throw unsupported("a subquery", at: Int(node.pointee.sub_link.pointee.location))
        case PG_QUERY__NODE__NODE_ROW_EXPR:
            throw unsupported("a row value", at: Int(node.pointee.row_expr.pointee.location))
        case PG_QUERY__NODE__NODE_A_ARRAY_EXPR:
            throw unsupported("an array", at: Int(node.pointee.a_array_expr.pointee.location))
        case PG_QUERY__NODE__NODE_COLLATE_CLAUSE:
            throw unsupported("COLLATE", at: Int(node.pointee.collate_clause.pointee.location))
        case PG_QUERY__NODE__NODE_A_INDIRECTION: throw unsupported("a subscript or field selection")
        case PG_QUERY__NODE__NODE_GROUPING_SET: throw unsupported("GROUPING SETS")
        case PG_QUERY__NODE__NODE_CURRENT_OF_EXPR: throw unsupported("WHERE CURRENT OF")
        default: throw unsupported("this kind of expression")
        }
    }

    private func required(_ node: CNode?) throws(SQLError) -> Expression {
        guard let node else { throw unsupported("this kind of expression") }
        return try expression(node)
    }

    private func constant(_ constant: PgQuery__AConst) throws(SQLError) -> Expression {
        let at = Int(constant.location)
        if constant.isnull != 0 { return .literal(.null, at: at) }
        switch constant.val_case {
        case PG_QUERY__A__CONST__VAL_IVAL:
            return .literal(.integer(Int64(constant.ival.pointee.ival)), at: at)
        case PG_QUERY__A__CONST__VAL_FVAL:
            return .literal(.decimal(string(constant.fval.pointee.fval)), at: at)
        case PG_QUERY__A__CONST__VAL_BOOLVAL:
            return .literal(.bool(constant.boolval.pointee.boolval != 0), at: at)
        case PG_QUERY__A__CONST__VAL_SVAL:
            return .literal(.string(string(constant.sval.pointee.sval)), at: at)
        default: throw unsupported("a bit string", at: at)
        }
    }

    private func column(_ reference: PgQuery__ColumnRef) throws(SQLError) -> Expression {
        let fields = CList(reference.fields, reference.n_fields)
        let at = Int(reference.location)
        var names: [String] = []
        var isStar = false
        for field in fields {
            if field.pointee.node_case == PG_QUERY__NODE__NODE_A_STAR {
                isStar = true
            } else if let name = stringValue(field) {
                names.append(name)
            }
        }
        if names.count > (isStar ? 1 : 2) {
            throw unsupported("a column name with a schema", at: at)
        }
        if isStar { return .star(qualifier: names.first, at: at) }
        guard let name = names.last else { throw unsupported("this column reference", at: at) }
        return .column(qualifier: names.count == 2 ? names[0] : nil, name: name, at: at)
    }

    // MARK: Operators

    /// The name of an operator, without `OPERATOR(pg_catalog.…)`.
    private func operatorName(_ list: CList, at: Int) throws(SQLError) -> String {
        let names = strings(list)
        guard let name = names.last, names.count == 1 || names == ["pg_catalog", name] else {
            throw unsupported("operator \(names.joined(separator: "."))", at: at)
        }
        return name
    }

    private func operation(_ expression: PgQuery__AExpr) throws(SQLError) -> Expression {
        let at = Int(expression.location)
        let name = try operatorName(CList(expression.name, expression.n_name), at: at)
        switch expression.kind {
        case PG_QUERY__A__EXPR__KIND__AEXPR_OP:
            return .operation(
                name, try optionalExpression(expression.lexpr), try required(expression.rexpr),
                at: at)
        case PG_QUERY__A__EXPR__KIND__AEXPR_DISTINCT:
            return .isDistinct(
                try required(expression.lexpr), try required(expression.rexpr), isNegated: false,
                at: at)
        case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_DISTINCT:
            return .isDistinct(
                try required(expression.lexpr), try required(expression.rexpr), isNegated: true,
                at: at)
        case PG_QUERY__A__EXPR__KIND__AEXPR_NULLIF:
            return .nullIf(
                try required(expression.lexpr), try required(expression.rexpr), at: at)
        case PG_QUERY__A__EXPR__KIND__AEXPR_IN:
            guard let list = expression.rexpr else { throw unsupported("IN", at: at) }
            return .isIn(
                try required(expression.lexpr), try expressions(items(list)),
                isNegated: name == "<>", at: at)
        case PG_QUERY__A__EXPR__KIND__AEXPR_LIKE, PG_QUERY__A__EXPR__KIND__AEXPR_ILIKE:
            return .like(
                try required(expression.lexpr), try required(expression.rexpr),
                Expression.Like(
                    isNegated: name.hasPrefix("!"),
                    ignoresCase: expression.kind == PG_QUERY__A__EXPR__KIND__AEXPR_ILIKE), at: at)
        case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN, PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN,
            PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN_SYM,
            PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN_SYM:
            return try between(expression, name, at: at)
        case PG_QUERY__A__EXPR__KIND__AEXPR_OP_ANY, PG_QUERY__A__EXPR__KIND__AEXPR_OP_ALL:
            throw unsupported("a comparison with ANY or ALL", at: at)
        default: throw unsupported("operator \(name)", at: at)
        }
    }

    private func between(
        _ expression: PgQuery__AExpr, _ name: String, at: Int
    ) throws(SQLError) -> Expression {
        guard let list = expression.rexpr, items(list).count == 2,
            let lower = items(list)[0], let upper = items(list)[1]
        else { throw unsupported("BETWEEN", at: at) }
        let kind = expression.kind
        return .between(
            try required(expression.lexpr), try self.expression(lower), try self.expression(upper),
            Expression.Between(
                isNegated: kind == PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN
                    || kind == PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN_SYM,
                isSymmetric: kind == PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN_SYM
                    || kind == PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN_SYM), at: at)
    }

    private func logic(_ expression: PgQuery__BoolExpr) throws(SQLError) -> Expression {
        let operands = try expressions(CList(expression.args, expression.n_args))
        switch expression.boolop {
        case PG_QUERY__BOOL_EXPR_TYPE__AND_EXPR: return .and(operands)
        case PG_QUERY__BOOL_EXPR_TYPE__OR_EXPR: return .or(operands)
        default:
            guard let operand = operands.first else { throw unsupported("NOT") }
            return .not(operand)
        }
    }

    private func truthTest(_ test: PgQuery__BooleanTest) throws(SQLError) -> Expression {
        let kind: Expression.TruthTest =
            switch test.booltesttype {
            case PG_QUERY__BOOL_TEST_TYPE__IS_TRUE: .init(value: true, isNegated: false)
            case PG_QUERY__BOOL_TEST_TYPE__IS_NOT_TRUE: .init(value: true, isNegated: true)
            case PG_QUERY__BOOL_TEST_TYPE__IS_FALSE: .init(value: false, isNegated: false)
            case PG_QUERY__BOOL_TEST_TYPE__IS_NOT_FALSE: .init(value: false, isNegated: true)
            case PG_QUERY__BOOL_TEST_TYPE__IS_UNKNOWN: .init(value: nil, isNegated: false)
            default: .init(value: nil, isNegated: true)
            }
        return .isTruth(try required(test.arg), kind, at: Int(test.location))
    }

    private func choice(_ choice: PgQuery__CaseExpr) throws(SQLError) -> Expression {
        var arms: [Expression.Arm] = []
        for node in CList(choice.args, choice.n_args) {
            let arm = node.pointee.case_when.pointee
            arms.append(
                Expression.Arm(
                    condition: try required(arm.expr), result: try required(arm.result)))
        }
        return .choice(
            operand: try optionalExpression(choice.arg), arms: arms,
            otherwise: try optionalExpression(choice.defresult), at: Int(choice.location))
    }

    // MARK: Functions

    func call(_ call: PgQuery__FuncCall) throws(SQLError) -> Expression.FunctionCall {
        let at = Int(call.location)
        let names = strings(CList(call.funcname, call.n_funcname))
        guard let name = names.last, names.count == 1 || names == ["pg_catalog", name] else {
            throw SQLError(
                "3F000", "schema \"\(names.first ?? "")\" does not exist",
                position: source.position(of: at))
        }
        if call.n_agg_order > 0 || call.agg_within_group != 0 {
            throw unsupported("ORDER BY in a function call", at: at)
        }
        if call.agg_filter != nil { throw unsupported("FILTER", at: at) }
        if call.over != nil { throw unsupported("a window function", at: at) }
        if call.func_variadic != 0 { throw unsupported("VARIADIC", at: at) }
        return Expression.FunctionCall(
            name: name, arguments: try expressions(CList(call.args, call.n_args)),
            isStar: call.agg_star != 0, isDistinct: call.agg_distinct != 0, at: at)
    }

    private func keyword(_ function: PgQuery__SQLValueFunction) throws(SQLError) -> Expression {
        let at = Int(function.location)
        let keyword: Expression.ValueKeyword =
            switch function.op {
            case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_DATE: .currentDate
            case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIMESTAMP: .currentTimestamp
            case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIMESTAMP: .localTimestamp
            case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_ROLE,
                PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_USER,
                PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_USER:
                .currentUser
            case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_SESSION_USER: .sessionUser
            case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_CATALOG: .currentDatabase
            case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_SCHEMA: .currentSchema
            default: throw unsupported("a time of day, or a time with a precision", at: at)
            }
        return .keyword(keyword, at: at)
    }
}
