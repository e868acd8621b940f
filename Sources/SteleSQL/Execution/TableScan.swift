import SteleBase

/// A row as it is stored, unpacked.
struct StoredRow {
    /// Empty if the row is no table's.
    var key: ArraySlice<UInt8>
    var row: [Datum]
}

/// Reads the rows of a table that fulfil a condition, page by page.
struct TableScan {
    private let access: TableAccess
    private let context: StatementContext
    private let isReversed: Bool
    private let pageRows: Int
    private var points: ArraySlice<KeyBytes> = []
    private var pagePoints = Self.pageRows
    private var range: KeyRange?

    /// Rows of a page; the kernel also limits its bytes.
    static let pageRows = 1_000

    /// - Parameter rowLimit: how many rows are wanted at most, if that is known.
    init(
        _ access: TableAccess, _ context: StatementContext, isReversed: Bool = false,
        rowLimit: Int? = nil
    ) throws(SQLError) {
        self.access = access
        self.context = context
        self.isReversed = isReversed
        // A condition may let few of the rows through.
        pageRows =
            access.isExact ? max(1, min(rowLimit ?? Self.pageRows, Self.pageRows)) : Self.pageRows
        switch try ResolvedKeys(access, context) {
        case .points(let keys): points = keys[...]
        case .range(let range): self.range = range
        }
    }

    /// The next rows that fulfil the condition, maybe none; nil at the end.
    mutating func next(
        _ transaction: SessionTransaction
    ) async throws(SQLError) -> [StoredRow]? {
        if let range {
            let page = try await transaction.scan(
                access.table, range, limit: pageRows, reverse: isReversed)
            self.range = page.rest
            var rows: [StoredRow] = []
            rows.reserveCapacity(page.rows.count)
            for row in page.rows { try unpack(row.key, row.value, into: &rows) }
            return rows
        }
        guard !points.isEmpty else { return nil }
        let keys = Array(points.prefix(pagePoints))
        let values: [[UInt8]?]
        do {
            values = try await transaction.read(access.table, keys)
        } catch {
            // Rows may be so large that no answer holds as many.
            guard error.state == "54000", keys.count > 1 else { throw error }
            pagePoints = keys.count / 2
            return []
        }
        points = points.dropFirst(keys.count)
        var rows: [StoredRow] = []
        for (key, value) in zip(keys, values) {
            if let value { try unpack(key[...], value[...], into: &rows) }
        }
        return rows
    }

    private func unpack(
        _ key: ArraySlice<UInt8>, _ value: ArraySlice<UInt8>, into rows: inout [StoredRow]
    ) throws(SQLError) {
        let row = try access.table.row(key: key, value: value, wanted: access.wanted)
        if let condition = access.condition, try !condition.holds(row, context) { return }
        rows.append(StoredRow(key: key, row: row))
    }
}

extension TableAccess {
    /// The row if it still fulfils the condition.
    func accepted(
        _ key: ArraySlice<UInt8>, _ value: [UInt8], _ context: StatementContext
    ) throws(SQLError) -> StoredRow? {
        let row = try table.row(key: key, value: value[...], wanted: wanted)
        if let condition, try !condition.holds(row, context) { return nil }
        return StoredRow(key: key, row: row)
    }
}
