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
        primaryKey.map { row[$0].text(as: types[$0]) }.joined(separator: ", ")
    }

    /// PostgreSQL shows the first 64 bytes of each value.
    private func shown(_ row: [Datum]) -> String {
        zip(row, types).map { value, type in
            if value.isNull { return "null" }
            let text = value.text(as: type)
            return text.utf8.count <= 64 ? text : "\(text.prefix(64))..."
        }.joined(separator: ", ")
    }
}
