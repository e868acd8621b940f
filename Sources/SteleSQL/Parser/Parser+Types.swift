internal import CPgQuery

extension Parser {
    /// The type that a name and its modifiers stand for.
    func type(_ name: PgQuery__TypeName) throws(SQLError) -> SQLType {
        let at = Int(name.location)
        let names = strings(CList(name.names, name.n_names))
        guard let last = names.last else { throw unsupported("this type", at: at) }
        if name.n_array_bounds > 0 { throw unsupported("an array type", at: at) }
        if name.setof != 0 || name.pct_type != 0 { throw unsupported("this type", at: at) }
        guard names.count == 1 || names == ["pg_catalog", last],
            let type = SQLType(internalName: last), type != .unknown
        else {
            if Self.otherTypes.contains(last) || ForeignNames.hasType(last) {
                throw unsupported("type \(last)", at: at)
            }
            throw SQLError(
                "42704", "type \"\(names.joined(separator: "."))\" does not exist",
                position: source.position(of: at))
        }
        let modifiers = try CList(name.typmods, name.n_typmods)
            .map { (node) throws(SQLError) in try modifier(node, at: at) }
        return modifiers.isEmpty ? type : try self.type(type, modifiers, at: at)
    }

    private func modifier(_ node: CNode, at: Int) throws(SQLError) -> Int {
        guard case .literal(.integer(let value), _) = try expression(node) else {
            throw SQLError(
                "42601", "type modifiers must be simple constants or identifiers",
                position: source.position(of: at))
        }
        return Int(value)
    }

    private func type(
        _ type: SQLType, _ modifiers: [Int], at: Int
    ) throws(SQLError) -> SQLType {
        switch (type, modifiers.count) {
        case (.varchar, 1):
            return .varchar(try length(modifiers[0], "varchar", at: at))
        case (.char, 1):
            return .char(try length(modifiers[0], "char", at: at))
        case (.numeric, 1), (.numeric, 2):
            do {
                return .numeric(
                    try NumericModifier(
                        precision: modifiers[0], scale: modifiers.count == 2 ? modifiers[1] : 0))
            } catch {
                throw error.at(source.position(of: at))
            }
        case (.timestamp, 1) where modifiers[0] == 6, (.timestamptz, 1) where modifiers[0] == 6:
            return type
        case (.timestamp, _), (.timestamptz, _):
            throw unsupported("\(type.plainName) with a precision", at: at)
        default:
            throw SQLError(
                "42601", "type modifier is not allowed for type \"\(type.internalName)\"",
                position: source.position(of: at))
        }
    }

    private func length(_ length: Int, _ name: String, at: Int) throws(SQLError) -> Int {
        guard length >= 1 else {
            throw SQLError(
                "22023", "length for type \(name) must be at least 1",
                position: source.position(of: at))
        }
        guard length <= 10_485_760 else {
            throw SQLError(
                "22023", "length for type \(name) cannot exceed 10485760",
                position: source.position(of: at))
        }
        return length
    }

    /// Types of PostgreSQL's that are known to be missing here, rather than misspelt.
    /// Names that the grammar takes for types, beyond those of `pg_type`.
    private static let otherTypes: Set<String> = [
        "serial", "serial2", "serial4", "serial8", "bigserial", "smallserial",
    ]
}

extension SQLError {
    /// The same error with a position, unless it has one.
    func at(_ position: Int?) -> SQLError {
        var error = self
        error.position = error.position ?? position
        return error
    }
}
