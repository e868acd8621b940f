import SteleAPI
import SteleBase

/// A row as it is stored, unpacked.
struct StoredRow {
    /// Empty if the row is no table's, or is not looked for again.
    var key: ArraySlice<UInt8>
    var row: [Datum]
}

/// Reads the rows of a table that fulfil a condition, page by page.
struct TableScan {
    private let access: TableAccess
    private let context: StatementContext
    private let isReversed: Bool
    private let keepsKeys: Bool
    private var pageRows: Int
    /// What is still to be read; nil before the first page.
    private var rest: ResolvedKeys?
    private var pagePoints = Self.pageRows
    /// What the keys that the condition names take up.
    private(set) var heldBytes = 0
    /// Whether the definition was looked at together with rows.
    private var hasRead = false
    /// Of a row that comes after those that were handed out.
    private var failure: SQLError?

    /// Rows of a page; the kernel also limits its bytes.
    static let pageRows = 1_000
    /// How many bytes of rows are read by named keys at once, as far as those before tell.
    private static let pageBytes = 4 << 20

    /// - Parameters:
    ///   - rowLimit: how many rows are wanted at most, if that is known.
    ///   - keepsKeys: whether the rows come with their keys, which keep all of their page in memory.
    init(
        _ access: TableAccess, _ context: StatementContext, isReversed: Bool = false,
        rowLimit: Int? = nil, keepsKeys: Bool = true
    ) {
        self.access = access
        self.context = context
        self.isReversed = isReversed
        self.keepsKeys = keepsKeys
        // A condition may let few of the rows through.
        pageRows =
            access.isExact ? max(1, min(rowLimit ?? Self.pageRows, Self.pageRows)) : Self.pageRows
    }

    /// The next rows that fulfil the condition, maybe none; nil at the end.
    mutating func next(
        _ transaction: SessionTransaction
    ) async throws(SQLError) -> [StoredRow]? {
        if let failure { throw failure }
        let rest: ResolvedKeys
        if let known = self.rest { rest = known } else {
            rest = try await ResolvedKeys.resolve(access, context)
            if case .points(let keys) = rest { heldBytes = keys.reduce(0) { $0 + 48 + $1.count } }
        }
        defer { hasRead = true }
        switch rest {
        case .range(let range):
            let page = try await transaction.scan(
                access.table, range, limit: pageRows, reverse: isReversed)
            self.rest = page.rest.map { .range($0) } ?? .points([])
            // Some of those that were wanted are locked by others, or gone by now.
            pageRows = min(4 * pageRows, Self.pageRows)
            return try await accepted(page.rows)
        case .points(let points):
            guard !points.isEmpty else {
                // What is said of a table of which nothing is read may be out of date too.
                if !hasRead { try await transaction.verify(access.table) }
                return nil
            }
            let keys = Array(points.prefix(pagePoints))
            let values: [[UInt8]?]
            do {
                values = try await transaction.read(access.table, keys)
            } catch {
                // Rows may be so large that no answer holds as many.
                guard error.state == "54000", keys.count > 1 else { throw error }
                pagePoints = keys.count / 2
                self.rest = rest
                return []
            }
            self.rest = .points(points.dropFirst(keys.count))
            var rows: [RowPage.Row] = []
            rows.reserveCapacity(keys.count)
            var bytes = 0
            for (key, value) in zip(keys, values) {
                guard let value else { continue }
                bytes += value.count
                rows.append(RowPage.Row(key: key[...], value: value[...]))
            }
            // The next ones are probably as large.
            pagePoints = max(1, min(Self.pageRows, keys.count * Self.pageBytes / max(1, bytes)))
            return try await accepted(rows)
        }
    }

    /// A row at which the condition fails lets the rows before it go first, as if each row were asked
    /// for alone.
    private mutating func accepted(_ rows: [RowPage.Row]) async throws(SQLError) -> [StoredRow] {
        let (accepted, failure) = try await access.accepted(rows, context, keepsKeys: keepsKeys)
        guard let failure else { return accepted }
        if accepted.isEmpty || !failure.isOfValue { throw failure }
        self.failure = failure
        return accepted
    }
}

extension TableAccess {
    /// Those of the rows that fulfil the condition, up to the one at which it fails.
    func accepted(
        _ rows: [RowPage.Row], _ context: StatementContext, keepsKeys: Bool = true
    ) async throws(SQLError) -> (rows: [StoredRow], failure: SQLError?) {
        var failure: SQLError?
        var accepted: [StoredRow] = []
        accepted.reserveCapacity(rows.count)
        var count = 0
        try await context.compute { () throws(SQLError) in
            failure = nil
            while count < rows.count {
                context.beginRow()
                let (key, value) = (rows[count].key, rows[count].value)
                try context.meter.charge(WorkMeter.row + value.count / 8 + 2 * wanted.count)
                let row = try table.row(key: key, value: value, wanted: wanted)
                do throws(SQLError) {
                    if try condition?.holds(row, context) ?? true {
                        accepted.append(StoredRow(key: keepsKeys ? key : [], row: row))
                    }
                } catch {
                    failure = error
                    return
                }
                count += 1
            }
        }
        return (accepted, failure)
    }
}
