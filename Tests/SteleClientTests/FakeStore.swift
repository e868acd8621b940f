import SteleAPI
import SteleBase
import SteleClock
import Synchronization

/// The smallest thing that behaves like a transactional store: one dictionary, one version counter.
///
/// The first of two transactions that write or read the same key wins; locks do not wait.
final class FakeStore: Sendable {
    fileprivate struct State {
        var rows: [KeyBytes: (value: [UInt8], version: UInt64)] = [:]
        var version: UInt64 = 0
    }

    fileprivate let state = Mutex(State())

    subscript(key: String) -> String? {
        state.withLock { $0.rows[Array(key.utf8)] }.map {
            String(decoding: $0.value, as: UTF8.self)
        }
    }

    func begin(_ options: TransactionOptions) -> FakeTransaction {
        FakeTransaction(store: self, options: options)
    }
}

/// A transaction of a ``FakeStore``.
final class FakeTransaction: Sendable {
    private struct State {
        var snapshot: FakeStore.State?
        var writes: [(key: KeyBytes, value: [UInt8]?)] = []
        var read: Set<KeyBytes> = []
    }

    private let store: FakeStore
    private let options: TransactionOptions
    private let state = Mutex(State())

    init(store: FakeStore, options: TransactionOptions) {
        self.store = store
        self.options = options
    }

    func get(_ keys: [KeyBytes]) -> [[UInt8]?] {
        state.withLock { state in
            let rows = visible(&state)
            state.read.formUnion(keys)
            return keys.map { rows[$0] }
        }
    }

    func scan(
        _ range: KeyRange, limit: Int, reverse: Bool, seeing writes: Int?
    ) -> RowPage {
        state.withLock { state in
            var rows = visible(&state, writes ?? .max).filter { range.contains($0.key) }
                .sorted { $0.key.precedes($1.key) }
            if reverse { rows.reverse() }
            let page = rows.prefix(limit)
            var rest: KeyRange?
            if page.count < rows.count, let last = page.last?.key {
                rest =
                    reverse
                    ? KeyRange(start: range.start, end: last)
                    : KeyRange(start: last + [0], end: range.end)
            }
            return RowPage(
                rows: page.map { .init(key: $0.key[...], value: $0.value[...]) }, rest: rest)
        }
    }

    func write(_ key: KeyBytes, _ value: [UInt8]?) throws(SteleError) {
        if key == Array("poison".utf8) { throw SteleError(.limitExceeded, "poison") }
        state.withLock { $0.writes.append((key, value)) }
    }

    var position: Int { state.withLock { $0.writes.count } }

    func rollback(to position: Int) {
        state.withLock { $0.writes.removeLast($0.writes.count - position) }
    }

    func commit() throws(SteleError) -> Timestamp {
        let mine = state.withLock { $0 }
        let version: UInt64? = store.state.withLock { store in
            let touched = mine.read.union(mine.writes.map(\.key))
            if let began = mine.snapshot?.version, !options.isReadOnly,
                touched.contains(where: { (store.rows[$0]?.version ?? 0) > began })
            {
                return nil
            }
            store.version += 1
            for (key, value) in mine.writes {
                store.rows[key] = value.map { ($0, store.version) }
            }
            return store.version
        }
        guard let version else { throw SteleError(.conflict, "somebody else was faster") }
        return Timestamp(rawValue: version)
    }

    /// All rows, after so many of the transaction's writes.
    private func visible(_ state: inout State, _ writes: Int = .max) -> [KeyBytes: [UInt8]] {
        let snapshot = state.snapshot ?? store.state.withLock { $0 }
        state.snapshot = snapshot
        var rows = snapshot.rows.mapValues(\.value)
        for (key, value) in state.writes.prefix(writes) { rows[key] = value }
        return rows
    }
}
