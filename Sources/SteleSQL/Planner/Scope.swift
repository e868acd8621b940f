/// The columns that an expression can name.
struct Scope: Sendable {
    struct Column: Sendable {
        var qualifier: String
        var name: String
        var type: SQLType
        /// The place in the row.
        var index: Int
        /// Where it is stored, for the description of results.
        var tableOID: UInt32
        var attributeNumber: Int16
    }

    private(set) var columns: [Column] = []
    /// Names by which columns can be qualified.
    private(set) var qualifiers: [String] = []

    static let empty = Scope()

    /// Adds the columns of a table, whose row begins at `offset`.
    mutating func add(_ table: TableDefinition, as name: String, offset: Int = 0) {
        qualifiers.append(name)
        for (index, column) in table.columns.enumerated() {
            columns.append(
                Column(
                    qualifier: name, name: column.name, type: column.type, index: offset + index,
                    tableOID: table.oid, attributeNumber: Int16(clamping: index + 1)))
        }
    }

    /// Adds a single computed column.
    mutating func add(_ name: String, of qualifier: String, type: SQLType) {
        if !qualifiers.contains(qualifier) { qualifiers.append(qualifier) }
        columns.append(
            Column(
                qualifier: qualifier, name: name, type: type, index: columns.count, tableOID: 0,
                attributeNumber: 0))
    }

    func column(_ qualifier: String?, _ name: String) throws(SQLError) -> Column {
        if let qualifier {
            guard qualifiers.contains(qualifier) else {
                throw SQLError(
                    "42P01", "missing FROM-clause entry for table \"\(qualifier)\"")
            }
            guard let column = columns.first(where: {
                $0.qualifier == qualifier && $0.name == name
            }) else {
                throw SQLError("42703", "column \(qualifier).\(name) does not exist")
            }
            return column
        }
        guard let index = columns.firstIndex(where: { $0.name == name }) else {
            throw SQLError("42703", "column \"\(name)\" does not exist")
        }
        if qualifiers.count > 1, columns[(index + 1)...].contains(where: { $0.name == name }) {
            throw SQLError("42702", "column reference \"\(name)\" is ambiguous")
        }
        return columns[index]
    }

    /// What `*` or `t.*` stands for.
    func all(_ qualifier: String?) throws(SQLError) -> [Column] {
        guard let qualifier else { return columns }
        guard qualifiers.contains(qualifier) else {
            throw SQLError("42P01", "missing FROM-clause entry for table \"\(qualifier)\"")
        }
        return columns.filter { $0.qualifier == qualifier }
    }
}
