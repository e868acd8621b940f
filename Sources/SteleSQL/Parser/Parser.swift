internal import CPgQuery

/// Reads SQL with PostgreSQL's own grammar and keeps of the tree what this subset knows.
///
/// Whatever the grammar accepts and the subset lacks is refused here with 0A000: each clause of
/// the tree is looked at, so that none is left out in silence. The C structs live for one call.
struct Parser {
    /// The text, for the positions in errors.
    let source: SourceText
    let nesting = Nesting()

    /// How deep expressions nest: what was bounded before the text was parsed is counted here.
    final class Nesting {
        private var depth = 0
        private(set) var deepest = 0

        /// A part of an expression is read, one level deeper than what it is part of.
        func enter() throws(SQLError) {
            guard depth < NestingLimit.levels else { throw NestingLimit.exceeded }
            depth += 1
            deepest = max(deepest, depth)
        }

        func leave() { depth -= 1 }
    }

    /// Longer texts take longer than a turn of the event loop may.
    static let shortText = 4_096

    /// The statements of a text, in order; none if it holds only blanks and comments. And how deep
    /// the deepest expression in them nests.
    ///
    /// - Precondition: the text nests no deeper than ``NestingLimit`` allows, and the stack is deep
    ///   enough for it.
    static func parse(
        _ text: String
    ) throws(SQLError) -> (statements: [Statement], deepest: Int) {
        let result = pg_query_parse_protobuf(text)
        defer { pg_query_free_protobuf_parse_result(result) }
        if let error = result.error { throw syntaxError(error.pointee) }
        let tree: UnsafeMutablePointer<PgQuery__ParseResult>? = result.parse_tree.data
            .withMemoryRebound(to: UInt8.self, capacity: result.parse_tree.len) {
                pg_query__parse_result__unpack(nil, result.parse_tree.len, $0)
            }
        guard let tree else {
            throw SQLError("53200", "out of memory", detail: "Failed while reading a statement.")
        }
        defer { pg_query__parse_result__free_unpacked(tree, nil) }
        let parser = Parser(source: SourceText(text))
        var statements: [Statement] = []
        for index in 0..<tree.pointee.n_stmts {
            guard let statement = tree.pointee.stmts[index]?.pointee.stmt else { continue }
            statements.append(try parser.statement(statement))
        }
        return (statements, parser.nesting.deepest)
    }

    /// The library tells no SQLSTATE; nearly all that a parser reports is a syntax error.
    private static func syntaxError(_ error: PgQueryError) -> SQLError {
        let message = error.message.map { String(cString: $0) } ?? "syntax error"
        let state =
            message.contains("not yet implemented") || message.contains("not implemented")
            ? "0A000"
            : message.contains("stack depth") || message.contains("memory exhausted")
                ? "54001"
                : message.contains("nicode escape") || message.contains("nicode surrogate")
                    ? "22025" : message.contains("invalid byte sequence") ? "22021" : "42601"
        let position = Int(error.cursorpos)
        return SQLError(state, message, position: position > 0 ? position : nil)
    }

    // MARK: Statements

    private func statement(_ node: CNode) throws(SQLError) -> Statement {
        switch node.pointee.node_case {
        case PG_QUERY__NODE__NODE_SELECT_STMT:
            return .select(try select(node.pointee.select_stmt.pointee))
        case PG_QUERY__NODE__NODE_INSERT_STMT:
            return .insert(try insert(node.pointee.insert_stmt.pointee))
        case PG_QUERY__NODE__NODE_UPDATE_STMT:
            return .update(try update(node.pointee.update_stmt.pointee))
        case PG_QUERY__NODE__NODE_DELETE_STMT:
            return .delete(try delete(node.pointee.delete_stmt.pointee))
        case PG_QUERY__NODE__NODE_TRANSACTION_STMT:
            return .transaction(try transaction(node.pointee.transaction_stmt.pointee))
        case PG_QUERY__NODE__NODE_CREATE_STMT:
            return .createTable(try createTable(node.pointee.create_stmt.pointee))
        case PG_QUERY__NODE__NODE_DROP_STMT:
            return try drop(node.pointee.drop_stmt.pointee)
        case PG_QUERY__NODE__NODE_TRUNCATE_STMT:
            return try truncate(node.pointee.truncate_stmt.pointee)
        case PG_QUERY__NODE__NODE_ALTER_TABLE_STMT:
            return try alterTable(node.pointee.alter_table_stmt.pointee)
        case PG_QUERY__NODE__NODE_COPY_STMT:
            return .copyFrom(try copy(node.pointee.copy_stmt.pointee))
        case PG_QUERY__NODE__NODE_PREPARE_STMT:
            let prepare = node.pointee.prepare_stmt.pointee
            guard let query = prepare.query else { throw .unsupported("an empty PREPARE") }
            let types = try CList(prepare.argtypes, prepare.n_argtypes)
                .map { (node) throws(SQLError) in try type(node.pointee.type_name.pointee) }
            return .prepare(name: string(prepare.name), types: types, try statement(query))
        case PG_QUERY__NODE__NODE_EXECUTE_STMT:
            let execute = node.pointee.execute_stmt.pointee
            return .execute(
                name: string(execute.name),
                try expressions(CList(execute.params, execute.n_params)), at: -1)
        default:
            return try utility(node)
        }
    }

    // MARK: Tree access

    func string(_ pointer: UnsafePointer<CChar>?) -> String {
        pointer.map { String(cString: $0) } ?? ""
    }

    /// nil when the string is empty, as the tree marks what is not there.
    func optionalString(_ pointer: UnsafePointer<CChar>?) -> String? {
        guard let pointer, pointer.pointee != 0 else { return nil }
        return String(cString: pointer)
    }

    /// The strings of a list; nodes of other kinds are left out.
    func strings(_ list: CList) -> [String] {
        var strings: [String] = []
        for node in list { if let string = stringValue(node) { strings.append(string) } }
        return strings
    }

    func stringValue(_ node: CNode) -> String? {
        guard node.pointee.node_case == PG_QUERY__NODE__NODE_STRING else { return nil }
        return string(node.pointee.string.pointee.sval)
    }

    func items(_ node: CNode) -> CList {
        guard node.pointee.node_case == PG_QUERY__NODE__NODE_LIST else { return CList(nil, 0) }
        return CList(node.pointee.list.pointee.items, node.pointee.list.pointee.n_items)
    }

    func unsupported(_ what: String, at: Int = -1, hint: String? = nil) -> SQLError {
        SQLError(
            "0A000", "\(what) is not supported", hint: hint, position: source.position(of: at))
    }

    func tableName(_ range: PgQuery__RangeVar) throws(SQLError) -> TableName {
        if let catalog = optionalString(range.catalogname) {
            throw unsupported("a reference to database \"\(catalog)\"", at: Int(range.location))
        }
        var alias: String?
        if let written = range.alias {
            alias = string(written.pointee.aliasname)
            if written.pointee.n_colnames > 0 {
                throw unsupported("renaming columns in FROM", at: Int(range.location))
            }
        }
        return TableName(
            schema: string(range.schemaname), name: string(range.relname), alias: alias,
            at: Int(range.location))
    }
}

/// A node of the parse tree.
typealias CNode = UnsafeMutablePointer<PgQuery__Node>

/// A list of the parse tree.
struct CList: Sequence {
    private let nodes: UnsafeMutablePointer<UnsafeMutablePointer<PgQuery__Node>?>?
    let count: Int

    init(_ nodes: UnsafeMutablePointer<UnsafeMutablePointer<PgQuery__Node>?>?, _ count: Int) {
        self.nodes = nodes
        self.count = nodes == nil ? 0 : count
    }

    var isEmpty: Bool { count == 0 }

    var first: CNode? { self[0] }

    subscript(index: Int) -> CNode? {
        guard let nodes, index < count else { return nil }
        return nodes[index]
    }

    func makeIterator() -> AnyIterator<CNode> {
        var index = 0
        return AnyIterator {
            guard index < count else { return nil }
            defer { index += 1 }
            return nodes?[index]
        }
    }

    func map<Result>(
        _ transform: (CNode) throws(SQLError) -> Result
    ) throws(SQLError) -> [Result] {
        var results: [Result] = []
        results.reserveCapacity(count)
        for node in self { results.append(try transform(node)) }
        return results
    }
}
