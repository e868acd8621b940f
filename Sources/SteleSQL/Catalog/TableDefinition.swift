import SteleBase

/// A table: its columns, its key, and where its rows are.
///
/// A row is one key-value pair: storage id and index id, then the primary key's columns in ordered
/// coding (or the hidden row id), and as value the packed columns. A key column is left out of the
/// value unless its coding in the key loses something.
final class TableDefinition: Sendable {
    struct Column: Hashable, Sendable {
        var name: String
        var type: SQLType
        var isNotNull: Bool
        var initial: ColumnDefault?
    }

    /// What clients know the table by; stays when the rows move.
    let oid: UInt32
    let name: String
    /// Another one with each change of the definition; see ``CatalogKeys/stamp(_:)``.
    let version: UInt32
    /// Leads the keys of the rows. TRUNCATE and rewrites take a new one.
    let storage: UInt32
    let columns: [Column]
    /// The primary key's columns in its order; empty when rows have a hidden id.
    let primaryKey: [Int]
    /// The name of the primary key's constraint.
    let keyName: String

    // Derived, because each statement needs them.
    let types: [SQLType]
    let stampKey: KeyBytes
    let rowPrefix: KeyBytes
    private let coder: RowCoder
    /// Key columns that the value leaves out.
    private let omitted: [Int]
    private let isKeyColumn: [Bool]

    init(
        oid: UInt32, name: String, version: UInt32, storage: UInt32, columns: [Column],
        primaryKey: [Int], keyName: String
    ) {
        self.oid = oid
        self.name = name
        self.version = version
        self.storage = storage
        self.columns = columns
        self.primaryKey = primaryKey
        self.keyName = keyName
        types = columns.map(\.type)
        stampKey = CatalogKeys.stamp(name)
        rowPrefix = CatalogKeys.rows(of: storage)
        coder = RowCoder(columns: columns.map(\.type), schemaVersion: 1)
        omitted = primaryKey.filter { !columns[$0].type.keyLosesForm }
        isKeyColumn = columns.indices.map(primaryKey.contains)
    }

    /// Another state of the same table.
    func with(
        version: UInt32, storage: UInt32, columns: [Column]? = nil, primaryKey: [Int]? = nil,
        keyName: String? = nil
    ) -> TableDefinition {
        TableDefinition(
            oid: oid, name: name, version: version, storage: storage,
            columns: columns ?? self.columns, primaryKey: primaryKey ?? self.primaryKey,
            keyName: keyName ?? self.keyName)
    }

    func columnIndex(_ name: String) -> Int? { columns.firstIndex { $0.name == name } }

    /// All rows.
    var range: KeyRange { KeyRange(prefix: rowPrefix) }

    var hasHiddenKey: Bool { primaryKey.isEmpty }

    /// Whether the primary key contains the column.
    func isKey(_ column: Int) -> Bool { isKeyColumn[column] }

    // MARK: Rows

    /// The key of a row.
    func key(of row: [Datum]) -> KeyBytes {
        var key = rowPrefix
        for column in primaryKey { row[column].encodeKey(into: &key) }
        return key
    }

    /// The key of a row in a table without a primary key.
    func key(hidden id: UInt64) -> KeyBytes {
        var key = rowPrefix
        OrderedCoding.encode(id, into: &key)
        return key
    }

    /// The packed columns of a row.
    func value(of row: [Datum]) -> [UInt8] {
        var value: [UInt8] = []
        value.reserveCapacity(16 + 8 * row.count)
        if omitted.isEmpty {
            coder.encode(row, into: &value)
        } else {
            var stored = row
            for column in omitted { stored[column] = .null }
            coder.encode(stored, into: &value)
        }
        return value
    }

    /// A row's columns; those that are not wanted may come out as null.
    func row(
        key: ArraySlice<UInt8>, value: ArraySlice<UInt8>, wanted: [Bool]
    ) throws(SQLError) -> [Datum] {
        var row: [Datum] = []
        try self.row(key: key, value: value, wanted: wanted, into: &row)
        return row
    }

    /// The same, behind what an array holds.
    func row(
        key: ArraySlice<UInt8>, value: ArraySlice<UInt8>, wanted: [Bool], into row: inout [Datum]
    ) throws(SQLError) {
        let start = row.count
        try coder.decode(value, wanted: wanted, into: &row)
        if omitted.contains(where: { wanted[$0] }) {
            var rest = key.dropFirst(rowPrefix.count)
            for column in primaryKey {
                let value = try Datum.decodeKey(from: &rest, type: types[column])
                if !types[column].keyLosesForm { row[start + column] = value }
            }
        }
    }
}

/// The value of a column that an INSERT leaves out.
enum ColumnDefault: Hashable, Sendable {
    case constant(Datum)
    case function(DefaultFunction)

    /// The functions that a default may be, by the number with which they are stored.
    enum DefaultFunction: UInt8, Sendable {
        case transactionTimestamp = 1
        case statementTimestamp = 2
        case clockTimestamp = 3
        case currentDate = 4
        case localTimestamp = 5
        case currentUser = 6
        case random = 7
        case randomUUID = 8

        var function: Function {
            switch self {
            case .transactionTimestamp: .transactionTimestamp
            case .statementTimestamp: .statementTimestamp
            case .clockTimestamp: .clockTimestamp
            case .currentDate: .currentDate
            case .localTimestamp: .localTimestamp
            case .currentUser: .currentUser
            case .random: .random
            case .randomUUID: .randomUUID
            }
        }

        var type: SQLType {
            switch self {
            case .transactionTimestamp, .statementTimestamp, .clockTimestamp: .timestamptz
            case .currentDate: .date
            case .localTimestamp: .timestamp
            case .currentUser: .name
            case .random: .float8
            case .randomUUID: .uuid
            }
        }

        static let all: [DefaultFunction] = [
            .transactionTimestamp, .statementTimestamp, .clockTimestamp, .currentDate,
            .localTimestamp, .currentUser, .random, .randomUUID,
        ]
    }

    /// The value as an expression of the column's type.
    func expression(as type: SQLType) -> BoundExpression {
        switch self {
        case .constant(let value): .constant(value)
        case .function(let function):
            .cast(.call(function.function, []), from: function.type, to: type, isExplicit: false)
        }
    }
}
