import SteleBase

/// Checks rows against a table's constraints, and words their violation as PostgreSQL does.
extension TableDefinition {
    /// The columns of the key are not null either.
    func checkNotNull(_ row: [Datum]) throws(SQLError) {
        for (index, value) in row.enumerated() where value.isNull && columns[index].isNotNull {
            throw SQLError(
                "23502",
                "null value in column \"\(columns[index].name)\" of relation \"\(name)\" "
                    + "violates not-null constraint",
                detail: "Failing row contains (\(shown(row))).", table: name,
                column: columns[index].name)
        }
    }

    func duplicateKey(_ row: [Datum]) -> SQLError {
        SQLError(
            "23505", "duplicate key value violates unique constraint \"\(keyName)\"",
            detail: "Key (\(keyColumns))=(\(keyValues(row))) already exists.", table: name,
            constraint: keyName)
    }

    /// Rows that are already there violate a new key.
    func duplicateOfNewKey(_ row: [Datum]) -> SQLError {
        SQLError(
            "23505", "could not create unique index \"\(keyName)\"",
            detail: "Key (\(keyColumns))=(\(keyValues(row))) is duplicated.", table: name,
            constraint: keyName)
    }

    private var keyColumns: String { primaryKey.map { columns[$0].name }.joined(separator: ", ") }

    private func keyValues(_ row: [Datum]) -> String {
        primaryKey.map { Self.shown(row[$0], types[$0]) }.joined(separator: ", ")
    }

    private func shown(_ row: [Datum]) -> String {
        zip(row, types).map { value, type in
            value.isNull ? "null" : Self.shown(value, type, atMost: 64)
        }.joined(separator: ", ")
    }

    /// The beginning of a value, of which the text is made no longer than needed: PostgreSQL shows
    /// 64 bytes of each value of a row.
    private static func shown(_ value: Datum, _ type: SQLType, atMost limit: Int = 8_192) -> String {
        var value = value
        var type = type
        switch (value, type) {
        case (.text(let text), .char(let width?)) where width > limit:
            value = .text(text)
            type = .text
        case (.bytes(let bytes), _) where bytes.count > limit: value = .bytes(Array(bytes.prefix(limit)))
        default: break
        }
        let text = value.text(as: type)
        return text.utf8.count <= limit ? text : "\(text.prefix(limit))..."
    }
}
