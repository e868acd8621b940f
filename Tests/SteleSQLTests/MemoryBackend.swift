import SteleAPI
import SteleBase
import SteleClock
import Synchronization

/// A database in memory, with snapshots and locks: enough of the port for tests of the SQL layer.
///
/// Versions of all keys are kept. A lock that is held by another transaction is waited for by
/// trying again; a circle of waits is not found.
final class MemoryBackend: DatabaseBackend {
    struct State {
        var versions: [KeyBytes: [(time: Int, value: [UInt8]?)]] = [:]
        var clock = 0
        var locks: [KeyBytes: (mode: LockMode, owners: Set<UInt64>)] = [:]
        var nextTransaction: UInt64 = 1
        /// How many of the next commits fail with a conflict.
        var conflicts = 0
        /// How many keys one read or request for locks is answered for.
        var answeredKeys = Int.max
        /// Whether reads that need no transaction are answered at once.
        var answersAtOnce = false
        /// Is called by each scan.
        var onScan: (@Sendable () -> Void)?
        /// Calls of transactions, by name.
        var calls: [String] = []
    }

    let state = Mutex(State())

    /// The calls since this was asked for, in order.
    func takeCalls() -> [String] {
        state.withLock { state in
            defer { state.calls = [] }
            return state.calls
        }
    }

    func failNextCommits(_ count: Int) { state.withLock { $0.conflicts = count } }

    var now: UInt64 { 0 }

    func begin(
        _ options: TransactionOptions, by deadline: Deadline
    ) throws(SteleError) -> any TransactionBackend {
        let id = state.withLock { state in
            defer { state.nextTransaction += 1 }
            return state.nextTransaction
        }
        return MemoryTransaction(self, TransactionID(id), options)
    }

    func get(_ key: KeyBytes, by deadline: Deadline) async throws(SteleError) -> [UInt8]? {
        state.withLock { $0.value(of: key, at: .max) }
    }

    func readAtOnce(
        _ keys: [KeyBytes], scanning range: KeyRange?, limit: Int, reverse: Bool
    ) -> (values: [[UInt8]?], page: RowPage)? {
        state.withLock { state in
            guard state.answersAtOnce else { return nil }
            let found = state.versions.keys.filter { range?.contains($0) ?? false }
                .sorted { reverse ? $1.precedes($0) : $0.precedes($1) }
            let rows = found.compactMap { key in
                state.value(of: key, at: .max).map { RowPage.Row(key: key[...], value: $0[...]) }
            }
            return (
                keys.map { state.value(of: $0, at: .max) },
                RowPage(rows: Array(rows.prefix(limit)), rest: rows.count > limit ? range : nil)
            )
        }
    }

    func put(
        _ key: KeyBytes, _ value: [UInt8]?, by deadline: Deadline
    ) async throws(SteleError) {
        state.withLock { $0.apply([key: value]) }
    }

    func standBack(upTo most: Duration) async { try? await Task.sleep(for: most / 2) }
}

extension MemoryBackend.State {
    func value(of key: KeyBytes, at time: Int) -> [UInt8]? {
        versions[key]?.last { $0.time <= time }?.value
    }

    mutating func apply(_ writes: [KeyBytes: [UInt8]?]) {
        clock += 1
        for (key, value) in writes { versions[key, default: []].append((clock, value)) }
    }
}

final class MemoryTransaction: TransactionBackend {
    let id: TransactionID
    let options: TransactionOptions
    private let database: MemoryBackend
    private let own = Mutex(Own())

    private struct Own {
        var snapshot: Int?
        var log: [(key: KeyBytes, value: [UInt8]?)] = []
        var expected: [KeyBytes: [UInt8]?] = [:]
        var isOpen = true
        /// Keys in the order in which they were locked, and how long to wait for one.
        var locks: [KeyBytes] = []
        var lockTimeout: Duration?

        var writes: [KeyBytes: [UInt8]?] { writes(log.count) }

        /// The first so many of them.
        func writes(_ count: Int) -> [KeyBytes: [UInt8]?] {
            Dictionary(log.prefix(count).map { ($0.key, $0.value) }, uniquingKeysWith: { $1 })
        }
    }

    init(_ database: MemoryBackend, _ id: TransactionID, _ options: TransactionOptions) {
        self.database = database
        self.id = id
        self.options = options
        own.withLock { $0.lockTimeout = options.lockTimeout }
    }

    deinit { release() }

    func setLockTimeout(_ timeout: Duration?) { own.withLock { $0.lockTimeout = timeout } }

    private func note(_ call: String) { database.state.withLock { $0.calls.append(call) } }

    func beginStatement() {
        if options.isolation == .readCommitted { own.withLock { $0.snapshot = nil } }
    }

    private func snapshot() -> Int {
        let now = database.state.withLock { $0.clock }
        return own.withLock { own in
            let snapshot = own.snapshot ?? now
            own.snapshot = snapshot
            return snapshot
        }
    }

    private func checkOpen() throws(SteleError) {
        guard own.withLock({ $0.isOpen }) else { throw .transactionClosed }
    }

    func discard(_ range: KeyRange) throws(SteleError) { try checkOpen() }

    func get(_ keys: [KeyBytes]) async throws(SteleError) -> [[UInt8]?] {
        try checkOpen()
        note("get \(keys.count)")
        guard keys.count <= database.state.withLock({ $0.answeredKeys }) else {
            throw SteleError(LimitExceeded(.answerBytes, count: .max))
        }
        let time = snapshot()
        let writes = own.withLock { $0.writes }
        return database.state.withLock { state in
            keys.map { key in
                if let written = writes[key] { written } else { state.value(of: key, at: time) }
            }
        }
    }

    var writeCount: Int { own.withLock(\.log.count) }

    func scan(
        _ range: KeyRange, limit: Int, reverse: Bool, seeing count: Int?
    ) async throws(SteleError) -> RowPage {
        try checkOpen()
        note("scan")
        database.state.withLock { $0.onScan }?()
        let time = snapshot()
        let writes = own.withLock { $0.writes(count ?? .max) }
        var rows: [KeyBytes: [UInt8]] = [:]
        database.state.withLock { state in
            for key in state.versions.keys where range.contains(key) {
                rows[key] = state.value(of: key, at: time)
            }
        }
        for (key, value) in writes where range.contains(key) { rows[key] = value }
        var keys = rows.keys.sorted { $0.precedes($1) }
        if reverse { keys.reverse() }
        let page = keys.prefix(limit)
        var rest: KeyRange?
        if page.count < keys.count, let last = page.last {
            rest = reverse
                ? KeyRange(start: range.start, end: last)
                : KeyRange(start: last + [0], end: range.end)
        }
        return RowPage(
            rows: page.map { RowPage.Row(key: $0[...], value: (rows[$0] ?? [])[...]) },
            rest: rest)
    }

    func lock(
        _ keys: [KeyBytes], _ mode: LockMode, _ wait: LockWait, reading others: [KeyBytes]
    ) async throws(SteleError) -> [LockedValue] {
        try checkOpen()
        note("lock \(keys.count)")
        guard keys.count <= database.state.withLock({ $0.answeredKeys }) else {
            throw SteleError(LimitExceeded(.answerBytes, count: .max))
        }
        var granted: Set<KeyBytes> = []
        let end = own.withLock { $0.lockTimeout.map { ContinuousClock.now + $0 } }
        for key in keys {
            while true {
                if take(key, mode) {
                    granted.insert(key)
                    own.withLock { $0.locks.append(key) }
                    break
                }
                if let end, ContinuousClock.now > end {
                    throw SteleError(.lockNotAvailable, "waited for too long")
                }
                if wait == .skip { break }
                if wait == .fail { throw SteleError(.lockNotAvailable, "locked") }
                try checkOpen()
                await Task.yield()
            }
        }
        let own = own.withLock { $0 }
        let writes = own.writes
        if options.isolation != .readCommitted, let snapshot = own.snapshot {
            let hasConflict = database.state.withLock { state in
                granted.contains { state.versions[$0]?.last.map { $0.time > snapshot } ?? false }
            }
            if hasConflict { throw SteleError(.conflict, "changed since the snapshot") }
        }
        return database.state.withLock { state in
            (keys + others).enumerated().map { place, key in
                let isLocked = place < keys.count && granted.contains(key)
                guard isLocked || place >= keys.count else {
                    return LockedValue(isLocked: false, value: nil)
                }
                let value =
                    if let written = writes[key] { written } else {
                        state.value(of: key, at: .max)
                    }
                return LockedValue(isLocked: isLocked, value: value)
            }
        }
    }

    private func take(_ key: KeyBytes, _ mode: LockMode) -> Bool {
        let id = id.rawValue
        return database.state.withLock { state in
            guard let held = state.locks[key] else {
                state.locks[key] = (mode, [id])
                return true
            }
            if held.owners == [id] {
                if mode == .exclusive { state.locks[key] = (mode, [id]) }
                return true
            }
            guard held.mode == .shared, mode == .shared else { return false }
            state.locks[key] = (.shared, held.owners.union([id]))
            return true
        }
    }

    func write(_ key: KeyBytes, _ value: [UInt8]?) throws(SteleError) {
        try checkOpen()
        own.withLock { $0.log.append((key, value)) }
    }

    func expect(_ key: KeyBytes, _ value: [UInt8]?) {
        own.withLock { if $0.expected[key] == nil { $0.expected[key] = .some(value) } }
    }

    func savepoint() -> Savepoint {
        own.withLock { Savepoint(position: $0.log.count, locks: $0.locks.count) }
    }

    func rollback(to savepoint: Savepoint) {
        let unlocked = own.withLock { own in
            own.log.removeLast(own.log.count - savepoint.position)
            let later = own.locks[savepoint.locks...]
            own.locks.removeSubrange(savepoint.locks...)
            return Set(later).subtracting(own.locks)
        }
        release { unlocked.contains($0) }
    }

    @discardableResult
    func commit() async throws(SteleError) -> Timestamp {
        try checkOpen()
        note("commit")
        let (writes, expected) = own.withLock { own in
            own.isOpen = false
            return (own.writes, own.expected)
        }
        defer { release() }
        let fails = database.state.withLock { state in
            if state.conflicts > 0 {
                state.conflicts -= 1
                return true
            }
            let id = id.rawValue
            for (key, value) in expected where !writes.isEmpty {
                if let held = state.locks[key], held.mode == .exclusive, held.owners != [id] {
                    return true
                }
                if state.value(of: key, at: .max) != value { return true }
            }
            if !writes.isEmpty { state.apply(writes) }
            return false
        }
        if fails { throw SteleError(.conflict, "made to fail") }
        return .zero
    }

    func rollback() {
        own.withLock { $0.isOpen = false }
        release()
    }

    private func release(where isToGo: (KeyBytes) -> Bool = { _ in true }) {
        let id = id.rawValue
        database.state.withLock { state in
            for (key, held) in state.locks where held.owners.contains(id) && isToGo(key) {
                let rest = held.owners.subtracting([id])
                state.locks[key] = rest.isEmpty ? nil : (held.mode, rest)
            }
        }
    }
}
