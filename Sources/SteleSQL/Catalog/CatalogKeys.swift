import SteleBase

/// Where things are in the database's keyspace.
///
/// Every key begins with a storage id (4 bytes) and an index id (2 bytes). Storage 1 is the
/// catalogue; its indexes are:
///
/// | index | key | value |
/// |---|---|---|
/// | 1 | table name | definition, see `TableDefinition+Coding` |
/// | 2 | table name | stamp: the definition's version, 4 bytes |
/// | 3 | – | the next id for tables, storages and versions |
enum CatalogKeys {
    private static let catalogue: UInt32 = 1
    /// The index of a table's rows.
    private static let primaryIndex: UInt16 = 1

    /// The smallest id for tables, as in PostgreSQL.
    static let firstID: UInt32 = 16_384

    static func definition(_ table: String) -> KeyBytes {
        var key = prefix(catalogue, 1)
        OrderedCoding.encode(table, into: &key)
        return key
    }

    static func stamp(_ table: String) -> KeyBytes {
        var key = prefix(catalogue, 2)
        OrderedCoding.encode(table, into: &key)
        return key
    }

    static let counter: KeyBytes = prefix(catalogue, 3)

    static func rows(of storage: UInt32) -> KeyBytes { prefix(storage, primaryIndex) }

    /// The rows of a storage and its indexes.
    static func all(of storage: UInt32) -> KeyRange {
        KeyRange(start: prefix(storage, 0), end: prefix(storage + 1, 0))
    }

    private static func prefix(_ storage: UInt32, _ index: UInt16) -> KeyBytes {
        var key: KeyBytes = []
        withUnsafeBytes(of: storage.bigEndian) { key.append(contentsOf: $0) }
        withUnsafeBytes(of: index.bigEndian) { key.append(contentsOf: $0) }
        return key
    }

    /// An id as the value of a stamp or the counter.
    static func value(_ id: UInt32) -> [UInt8] {
        withUnsafeBytes(of: id.bigEndian) { Array($0) }
    }

    /// The id in a stamp or the counter; nil if it is damaged.
    static func id(_ value: [UInt8]) -> UInt32? {
        value.count == 4 ? value.reduce(0) { $0 << 8 | UInt32($1) } : nil
    }
}
