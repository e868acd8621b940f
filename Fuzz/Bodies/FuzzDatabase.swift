import SteleAPI
import SteleBase
import SteleClock
import Synchronization

/// A database in memory for one session at a time: what the SQL targets run on.
///
/// It has no versions and no conflicts, so a transaction sees what was committed when it reads.
package final class FuzzDatabase: DatabaseBackend {
    fileprivate let rows = Mutex<[KeyBytes: [UInt8]]>([:])

    package init() {}

    /// A database of its own that begins with what another holds.
    package init(copying other: FuzzDatabase) {
        let held = other.rows.withLock { $0 }
        rows.withLock { $0 = held }
    }

    package var now: UInt64 { 0 }

    package func begin(
        _ options: TransactionOptions, by deadline: Deadline
    ) throws(SteleError) -> any TransactionBackend {
        FuzzTransaction(self, options)
    }

    package func get(_ key: KeyBytes, by deadline: Deadline) async throws(SteleError) -> [UInt8]? {
        rows.withLock { $0[key] }
    }

    package func put(
        _ key: KeyBytes, _ value: [UInt8]?, by deadline: Deadline
    ) async throws(SteleError) {
        rows.withLock { $0[key] = value }
    }

    package func standBack(upTo most: Duration) async {}
}

private final class FuzzTransaction: TransactionBackend {
    let id = TransactionID(1)
    let options: TransactionOptions
    private let database: FuzzDatabase
    private let state = Mutex(State())

    private struct State {
        var isOpen = true
        var writes: [(key: KeyBytes, value: [UInt8]?)] = []
    }

    init(_ database: FuzzDatabase, _ options: TransactionOptions) {
        self.database = database
        self.options = options
    }

    private func checkOpen() throws(SteleError) {
        guard state.withLock({ $0.isOpen }) else { throw .transactionClosed }
    }

    /// All rows as the transaction sees them.
    private var present: [KeyBytes: [UInt8]] { rows(after: .max) }

    /// The same after so many of its writes.
    private func rows(after writes: Int) -> [KeyBytes: [UInt8]] {
        var rows = database.rows.withLock { $0 }
        for (key, value) in state.withLock({ $0.writes }).prefix(writes) { rows[key] = value }
        return rows
    }

    var writeCount: Int { state.withLock { $0.writes.count } }

    func beginStatement() {}

    func get(_ keys: [KeyBytes]) async throws(SteleError) -> [[UInt8]?] {
        try checkOpen()
        let rows = present
        return keys.map { rows[$0] }
    }

    func scan(
        _ range: KeyRange, limit: Int, reverse: Bool, seeing writes: Int?
    ) async throws(SteleError) -> RowPage {
        try checkOpen()
        let found = rows(after: writes ?? .max).filter { range.contains($0.key) }
            .sorted { $0.key.precedes($1.key) != reverse }
        var page = RowPage(
            rows: found.prefix(limit).map { RowPage.Row(key: $0.key[...], value: $0.value[...]) })
        if found.count > limit, let last = page.rows.last {
            page.rest =
                reverse
                ? KeyRange(start: range.start, end: Array(last.key))
                : KeyRange(start: Array(last.key) + [0], end: range.end)
        }
        return page
    }

    func lock(
        _ keys: [KeyBytes], _ mode: LockMode, _ wait: LockWait, reading others: [KeyBytes]
    ) async throws(SteleError) -> [LockedValue] {
        try checkOpen()
        let rows = present
        return keys.map { LockedValue(isLocked: true, value: rows[$0]) }
            + others.map { LockedValue(isLocked: false, value: rows[$0]) }
    }

    func write(_ key: KeyBytes, _ value: [UInt8]?) throws(SteleError) {
        try checkOpen()
        state.withLock { $0.writes.append((key, value)) }
    }

    func expect(_ key: KeyBytes, _ value: [UInt8]?) {}

    func discard(_ range: KeyRange) {}

    func savepoint() -> Savepoint { Savepoint(position: state.withLock { $0.writes.count }) }

    func rollback(to savepoint: Savepoint) {
        state.withLock { $0.writes.removeLast($0.writes.count - savepoint.position) }
    }

    func commit() async throws(SteleError) -> Timestamp {
        try checkOpen()
        let rows = present
        database.rows.withLock { $0 = rows }
        rollback()
        return .zero
    }

    func rollback() { state.withLock { $0.isOpen = false } }
}
