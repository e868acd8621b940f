import SteleBase

/// A transaction that reads and writes, valid inside the closure of ``Database/write(_:_:)``.
///
/// A copyable handle; calls after the closure has ended throw
/// ``SteleError/Code/transactionClosed``.
public struct Transaction: Sendable {
    let core: any TransactionBackend

    /// The value of `key` in the transaction's snapshot, or what the transaction wrote itself.
    public func get<V: ValueConvertible>(
        _ key: some KeyConvertible, as type: V.Type
    ) async throws(SteleError) -> V? {
        try decode(await core.get([try checkedKey(key)])[0], as: type)
    }

    /// All entries whose key begins with `prefix`, ascending unless `reverse`; of the transaction's
    /// own writes those from before the scan's first step, and none of later ones.
    public func scan(prefix: some KeyConvertible, reverse: Bool = false) -> Scan {
        Scan(core: core, range: KeyRange(prefix: prefix.keyBytes), reverse: reverse)
    }

    /// All entries from `start` up to, not including, `end`, ascending unless `reverse`; of the
    /// transaction's own writes those from before the scan's first step, and none of later ones.
    public func scan(
        from start: some KeyConvertible, to end: some KeyConvertible, reverse: Bool = false
    ) -> Scan {
        Scan(core: core, range: KeyRange(from: start, to: end), reverse: reverse)
    }

    /// Writes `value` when the transaction commits.
    public func put(
        _ key: some KeyConvertible, _ value: some ValueConvertible
    ) async throws(SteleError) {
        try core.write(try checkedKey(key), try checkedValue(value))
    }

    /// Deletes `key` when the transaction commits.
    public func delete(_ key: some KeyConvertible) async throws(SteleError) {
        try core.write(try checkedKey(key), nil)
    }

    /// The value of `key`, locked until the transaction ends, so that no other transaction can
    /// change it first: for a key that is about to be written and that many contend for.
    public func getForUpdate<V: ValueConvertible>(
        _ key: some KeyConvertible, as type: V.Type
    ) async throws(SteleError) -> V? {
        try decode(
            await core.lock([try checkedKey(key)], .exclusive, .wait)[0].value, as: type)
    }
}

/// A transaction that only reads, valid inside the closure of ``Database/read(timeout:_:)``.
public struct ReadTransaction: Sendable {
    let core: any TransactionBackend

    /// The value of `key` in the snapshot.
    public func get<V: ValueConvertible>(
        _ key: some KeyConvertible, as type: V.Type
    ) async throws(SteleError) -> V? {
        try decode(await core.get([try checkedKey(key)])[0], as: type)
    }

    /// All entries whose key begins with `prefix`, ascending unless `reverse`.
    public func scan(prefix: some KeyConvertible, reverse: Bool = false) -> Scan {
        Scan(core: core, range: KeyRange(prefix: prefix.keyBytes), reverse: reverse)
    }

    /// All entries from `start` up to, not including, `end`, ascending unless `reverse`.
    public func scan(
        from start: some KeyConvertible, to end: some KeyConvertible, reverse: Bool = false
    ) -> Scan {
        Scan(core: core, range: KeyRange(from: start, to: end), reverse: reverse)
    }
}

/// A key and its value.
public struct Entry: Sendable {
    /// The key's bytes.
    public let key: [UInt8]
    let valueBytes: [UInt8]

    /// The value; throws ``SteleError/Code/valueMismatch`` if it is not of that type.
    public func value<V: ValueConvertible>(as type: V.Type) throws -> V {
        guard let value = try decode(valueBytes, as: type) else { throw SteleError.transactionClosed }
        return value
    }
}

/// The entries of a key range in a transaction's snapshot, fetched page by page as they are needed.
///
/// A loop over a scan may write to what it scans: each time it is gone through, a scan shows the
/// range as it was for the transaction at that beginning.
public struct Scan: AsyncSequence, Sendable {
    public typealias Element = Entry
    public typealias Failure = SteleError

    let core: any TransactionBackend
    let range: KeyRange
    let reverse: Bool

    public func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(core: core, rest: range, reverse: reverse, writes: core.writeCount)
    }

    public struct AsyncIterator: AsyncIteratorProtocol {
        let core: any TransactionBackend
        var rest: KeyRange?
        let reverse: Bool
        /// How many of the transaction's writes it shows.
        let writes: Int
        var page = RowPage()
        var position = 0

        public mutating func next(
            isolation actor: isolated (any Actor)? = #isolation
        ) async throws(SteleError) -> Entry? {
            while position == page.rows.count {
                guard let rest else { return nil }
                page = try await core.scan(
                    rest, limit: Scan.pageRows, reverse: reverse, seeing: writes)
                self.rest = page.rest
                position = 0
            }
            let row = page.rows[position]
            position += 1
            return Entry(key: Array(row.key), valueBytes: Array(row.value))
        }
    }

    private static let pageRows = 1_000
}

extension KeyRange {
    fileprivate init(from start: some KeyConvertible, to end: some KeyConvertible) {
        self.init(start: start.keyBytes, end: end.keyBytes)
    }
}
