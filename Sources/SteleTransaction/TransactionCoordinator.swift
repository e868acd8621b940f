import SteleAPI
import SteleBase
import SteleClock
import SteleEngine
import SteleTablet
import Synchronization

/// One transaction from begin to commit: its snapshot, its buffered writes, what it read and locked.
///
/// Reads go to the leader; the first one of a snapshot lets the leader choose its timestamp, where
/// nothing is uncertain. Writes stay here until the commit, which carries everything to the leader
/// in one request. Under serializable isolation the commit also names all that was read, and fails
/// if any of it has changed.
///
/// Invariants:
/// - All reads of a snapshot are at one timestamp: calls take effect one at a time, see `Turnstile`.
/// - After the end, whatever its outcome, every call throws `transactionClosed`.
/// - What the state holds is counted in `memory`, which is shared, and no more once it has ended.
package final class TransactionCoordinator: TransactionBackend {
    package let id: TransactionID
    package let options: TransactionOptions
    /// When all calls have to have ended.
    private let deadline: Deadline
    private let port: any RequestPort
    private let keyspace: Keyspace
    private let memory: BufferedBytes
    private let turnstile = Turnstile()
    private let state = Mutex(State())

    private struct State {
        var isOpen = true
        /// How long a call waits for a lock.
        var lockTimeout: Duration?
        /// Keys that were asked for in vain: some of them may be locked all the same.
        var missedLocks: [KeyBytes] = []
        /// How often locks were given up by a return to a savepoint.
        var rollbacks: UInt64 = 0
        var buffer = WriteBuffer()
        /// The snapshot's timestamp; nil until its first read.
        var readTimestamp: Timestamp?
        var readKeys: [KeyBytes] = []
        var readRanges: [KeyRange] = []
        /// Locks that were granted.
        var locks: [KeyBytes] = []
        /// A key that was asked to be locked, granted or not, so that all can be released.
        var lockedNear: KeyBytes?
        /// What the locks were granted as.
        var grant: LockGrant?
        var expected: [TabletRequest.CommitRequest.Write] = []
        /// The keys of `expected`.
        var expectedKeys: Set<DictionaryKey> = []
        /// What the commit takes besides its writes.
        var namedBytes = 0
        /// What `memory` has counted.
        var held = 0
        /// The request that a call waits for, and whether that wait was interrupted.
        var waitsFor: UInt64?
        var isInterrupted = false

        /// What is left when the rest was taken: it is counted, known as a reader and can be
        /// interrupted until the end.
        var closed: State {
            var closed = State()
            closed.isOpen = false
            closed.held = held
            closed.readTimestamp = readTimestamp
            closed.waitsFor = waitsFor
            closed.isInterrupted = isInterrupted
            return closed
        }

        /// Whether it takes long to let go of it.
        var isLarge: Bool {
            buffer.position + readKeys.count + locks.count > Slices.slice
        }

        /// Lets go of everything, of very much bit by bit.
        mutating func discard() async {
            await buffer.discard()
            await Slices.discard(&readKeys)
            await Slices.discard(&locks)
        }
    }

    /// What an ended transaction has left, which is let go of bit by bit.
    ///
    /// It is handed out once: of what two hold, the first bit that goes would have all copied.
    private final class Remains: Sendable {
        private let state: Mutex<State?>

        init(_ state: State) { self.state = Mutex(state) }

        func discard() async {
            var state = state.withLock { $0.take() }
            await state?.discard()
        }
    }

    /// What a transaction, a write, or a key that the commit names takes up beside its bytes.
    private enum Cost {
        static let transaction = 1_024
        static let write = 128
        static let key = 64
        /// In the message of the commit.
        static let keyInMessage = 8
    }

    init(
        id: TransactionID, options: TransactionOptions, deadline: Deadline,
        port: any RequestPort, keyspace: Keyspace, memory: BufferedBytes
    ) throws(SteleError) {
        self.id = id
        self.options = options
        self.deadline = deadline
        self.port = port
        self.keyspace = keyspace
        self.memory = memory
        try open { state throws(SteleError) in
            state.lockTimeout = options.lockTimeout
            try hold(Cost.transaction, &state)
        }
    }

    deinit {
        release(near: state.withLock { $0.isOpen ? $0.lockedNear : nil })
        end()
    }

    // MARK: Reads

    package func beginStatement() {
        if options.isolation == .readCommitted { state.withLock { read(at: nil, &$0) } }
    }

    package func get(_ keys: [KeyBytes]) async throws(SteleError) -> [[UInt8]?] {
        try Self.check(keys.count)
        await turnstile.enter()
        defer { turnstile.leave() }
        var values = [[UInt8]?](repeating: nil, count: keys.count)
        var missing: [KeyBytes] = []
        var places: [Int] = []
        let timestamp = try open { state throws(SteleError) in
            for (place, key) in keys.enumerated() {
                let full = keyspace.key(key)
                if let written = state.buffer.value(of: full) {
                    values[place] = written
                } else {
                    missing.append(full)
                    places.append(place)
                }
            }
            return state.readTimestamp
        }
        guard !missing.isEmpty else { return values }
        let (found, at) = try await read(missing, at: timestamp)
        try open { state throws(SteleError) in
            read(at: at, &state)
            if validatesReads {
                try name(missing, &state)
                state.readKeys += missing
            }
        }
        for (place, value) in zip(places, found) { values[place] = value }
        return values
    }

    /// Reads keys at one timestamp, which the leader chooses if none is given.
    private func read(
        _ keys: [KeyBytes], at requested: Timestamp?
    ) async throws(SteleError) -> (values: [[UInt8]?], at: Timestamp) {
        var values: [[UInt8]?] = []
        var bytes = 0
        var timestamp = requested
        for start in stride(from: 0, to: keys.count, by: Limits.keysAtOnce) {
            let slice = Array(keys[start..<min(start + Limits.keysAtOnce, keys.count)])
            let reply = await send(.read(keys: slice, at: timestamp))
            guard case .values(let found, let at) = reply, found.count == slice.count else {
                throw reply.errorWithoutEffect
            }
            try Self.count(found.lazy.map { $0?.count ?? 0 }, in: &bytes)
            values += found
            timestamp = at
        }
        return (values, timestamp ?? .zero)
    }

    /// What several requests bring is one answer, with the limit of one.
    private static func count(
        _ sizes: some Sequence<Int>, in bytes: inout Int, limit: Int = Limits.answerBytes
    ) throws(SteleError) {
        for size in sizes { bytes += 8 + size }
        guard bytes <= limit else {
            throw SteleError(LimitExceeded(.answerBytes, count: bytes))
        }
    }

    package func scan(
        _ range: KeyRange, limit: Int, reverse: Bool, seeing writes: Int?
    ) async throws(SteleError) -> RowPage {
        await turnstile.enter()
        defer { turnstile.leave() }
        let full = keyspace.range(range)
        if full.isEmpty { return RowPage() }
        await sortWrites()
        let timestamp = try open { state throws(SteleError) in state.readTimestamp }
        let reply = await send(
            .scan(
                .init(
                    range: full, timestamp: timestamp,
                    limits: ScanLimits(rows: max(limit, 1), keys: Limits.scanPageKeys),
                    reverse: reverse)))
        guard case .page(let page, let at) = reply else { throw reply.errorWithoutEffect }
        // Only what the page covers may be merged with what was written here.
        var covered = full
        var rest: KeyRange?
        if let resumeKey = page.resumeKey {
            if reverse { covered.start = resumeKey + [0] } else { covered.end = resumeKey }
            rest = range.rest(from: resumeKey[...], reverse: reverse)
        }
        return try open { state throws(SteleError) in
            read(at: at, &state)
            if validatesReads {
                try note(covered, &state)
            }
            let (rows, resumeKey) = merge(
                page.rows, with: &state.buffer, upTo: writes ?? .max, in: covered,
                reverse: reverse, limit: max(limit, 1))
            // More was written than a page may hold.
            if let resumeKey { rest = range.rest(from: resumeKey, reverse: reverse) }
            return RowPage(rows: rows, rest: rest)
        }
    }

    /// Puts very many writes in order, some at a time, before a scan merges them with its rows.
    private func sortWrites() async {
        guard let unsorted = state.withLock({ $0.buffer.isLongUnsorted ? $0.buffer : nil }) else {
            return
        }
        let keys = await unsorted.keysInSlices()
        state.withLock { $0.buffer.adopt(keys, ofFirst: unsorted.position) }
    }

    package var writeCount: Int { state.withLock { $0.buffer.position } }

    /// Has the commit validate a range that was read. The pages of one scan come to one range.
    private func note(_ range: KeyRange, _ state: inout State) throws(SteleError) {
        if let last = state.readRanges.last {
            if last.contains(range) { return }
            var both = last
            if !last.end.isEmpty, last.end == range.start {
                both.end = range.end
            } else if !range.end.isEmpty, range.end == last.start {
                both.start = range.start
            }
            if both != last {
                try name([both.start, both.end], &state)
                forget([last.start, last.end], &state)
                state.readRanges[state.readRanges.count - 1] = both
                return
            }
        }
        try name([range.start, range.end], &state)
        state.readRanges.append(range)
    }

    /// The rows of a page with those of the first so many writes, by scan order; at most so many, and
    /// the key to go on with if there are more.
    private func merge(
        _ rows: [ScanPage.Row], with buffer: inout WriteBuffer, upTo position: Int,
        in range: KeyRange, reverse: Bool, limit: Int
    ) -> (rows: [RowPage.Row], resumeKey: ArraySlice<UInt8>?) {
        var visited = 0
        let keys = buffer.isEmpty ? [] : buffer.writes(in: range)
        var place = reverse ? keys.endIndex - 1 : keys.startIndex
        /// The next key that was written by then.
        func nextKey() -> KeyBytes? {
            while keys.indices.contains(place) {
                if buffer.value(of: keys[place], upTo: position) != nil { return keys[place] }
                place += reverse ? -1 : 1
            }
            return nil
        }
        func comes(_ key: KeyBytes, before row: ArraySlice<UInt8>) -> Bool {
            reverse
                ? row.lexicographicallyPrecedes(key) : key[...].lexicographicallyPrecedes(row)
        }
        var merged: [RowPage.Row] = []
        merged.reserveCapacity(min(rows.count + keys.count, limit))
        func takeWritten(_ key: KeyBytes) {
            if let value = buffer.value(of: key, upTo: position).flatMap({ $0 }) {
                merged.append(.init(key: key.dropFirst(), value: value[...]))
            }
            place += reverse ? -1 : 1
            visited += 1
        }
        func isFull() -> Bool { merged.count >= limit || visited >= Self.mostMerged }
        for row in rows {
            while let key = nextKey(), comes(key, before: row.key) {
                if isFull() { return (merged, key[...]) }
                takeWritten(key)
            }
            if isFull() { return (merged, row.key) }
            if let key = nextKey(), row.key.elementsEqual(key) {
                takeWritten(key)
            } else {
                merged.append(.init(key: row.key.dropFirst(), value: row.value))
            }
        }
        while let key = nextKey() {
            if isFull() { return (merged, key[...]) }
            takeWritten(key)
        }
        return (merged, nil)
    }

    /// Keys that were written are looked at in one piece, rows or deletions.
    private static let mostMerged = 8_192

    /// Only a serializable transaction that may write has its reads validated; one that only reads
    /// is consistent by its snapshot alone.
    private var validatesReads: Bool {
        options.isolation == .serializable && !options.isReadOnly
    }

    // MARK: Locks

    package func lock(
        _ keys: [KeyBytes], _ mode: LockMode, _ wait: LockWait, reading others: [KeyBytes]
    ) async throws(SteleError) -> [LockedValue] {
        guard !keys.isEmpty else { return [] }
        try Self.check(keys.count + others.count)
        await turnstile.enter()
        defer { turnstile.leave() }
        let full = keys.map(keyspace.key)
        let beside = others.map(keyspace.key)
        // Noted before the answer: should it get lost, the locks are released all the same.
        try open { state throws(SteleError) in
            try name(full, &state)
            state.lockedNear = full[0]
        }
        var values: [LockedValue] = []
        values.reserveCapacity(full.count + beside.count)
        var bytes = 0
        for start in stride(from: 0, to: full.count, by: Limits.keysAtOnce) {
            let end = min(start + Limits.keysAtOnce, full.count)
            // What is not locked is read once all locks are held.
            let some = try await lockSome(
                Array(full[start..<end]), mode, wait, reading: end == full.count ? beside : [])
            // Rows of a change are locked by the thousand, in two requests.
            try Self.count(
                some.lazy.map { $0.value?.count ?? 0 }, in: &bytes, limit: 2 * Limits.answerBytes)
            values += some
        }
        return values
    }

    /// Locks a part of the keys.
    private func lockSome(
        _ keys: [KeyBytes], _ mode: LockMode, _ wait: LockWait, reading beside: [KeyBytes]
    ) async throws(SteleError) -> [LockedValue] {
        let (snapshot, grant, timeout, rollbacks) = try open { state throws(SteleError) in
            (
                options.isolation == .readCommitted ? nil : state.readTimestamp, state.grant,
                state.lockTimeout, state.rollbacks
            )
        }
        let patience = timeLeft.map { left in min(timeout ?? left, left) } ?? timeout
        let request = TabletRequest.Body.lock(
            .init(
                keys: keys, others: beside, mode: mode, wait: wait,
                timeoutMicroseconds: patience.map(\.microseconds),
                snapshot: snapshot, grant: grant, rollbacks: rollbacks))
        let reply = await withTaskCancellationHandler {
            await send(request)
        } onCancel: {
            rollback()
        }
        // A release that was sent while the request was on its way may have come before it.
        if !state.withLock(\.isOpen) { release(near: keys[0]) }
        if Task.isCancelled { throw SteleError(.cancelled, "the call was cancelled") }
        guard case .locked(let found, let grant, let clock) = reply,
            found.count == keys.count + beside.count
        else {
            state.withLock { $0.missedLocks += keys }
            throw reply.errorWithoutEffect
        }
        return try open { state throws(SteleError) in
            if options.isolation != .readCommitted, state.readTimestamp == nil {
                read(at: clock, &state)
            }
            for (key, locked) in zip(keys, found) where locked.isLocked { state.locks.append(key) }
            // Of locks that this transaction knows of only: where all was skipped, the leader may have
            // named those that are about to be given up.
            if let grant, !state.locks.isEmpty { state.grant = grant }
            return zip(keys + beside, found).map { key, locked in
                LockedValue(
                    isLocked: locked.isLocked, value: state.buffer.value(of: key) ?? locked.value)
            }
        }
    }

    package func setLockTimeout(_ timeout: Duration?) {
        state.withLock { $0.lockTimeout = timeout }
    }

    // MARK: Writes

    package func write(_ key: KeyBytes, _ value: [UInt8]?) throws(SteleError) {
        guard !options.isReadOnly else {
            throw SteleError(.invalidArgument, "a read-only transaction cannot write")
        }
        guard key.count <= Limits.keyBytes else { throw .keyTooLong(key.count) }
        if let value, value.count > Limits.valueBytes { throw .valueTooLong(value.count) }
        try open { state throws(SteleError) in
            let total = state.buffer.bytes + key.count + 1 + (value?.count ?? 0)
            guard total <= Limits.transactionBytes else { throw .transactionTooLarge(total) }
            let count = state.buffer.position + 1
            guard count <= Limits.transactionWrites else {
                throw SteleError(LimitExceeded(.transactionWrites, count: count))
            }
            try hold(total - state.buffer.bytes + Cost.write, &state)
            state.buffer.write(keyspace.key(key), value)
        }
    }

    package func discard(_ range: KeyRange) throws(SteleError) {
        let full = keyspace.range(range)
        try open { state throws(SteleError) in
            try hold(full.start.count + full.end.count + Cost.write, &state)
            state.buffer.write(DiscardedRange.key(of: full), full.end)
        }
    }

    package func expect(_ key: KeyBytes, _ value: [UInt8]?) throws(SteleError) {
        // As with writes: the leader takes no larger ones.
        guard key.count <= Limits.keyBytes else { throw .keyTooLong(key.count) }
        if let value, value.count > Limits.valueBytes { throw .valueTooLong(value.count) }
        let key = keyspace.key(key)
        try open { state throws(SteleError) in
            guard !state.expectedKeys.contains(DictionaryKey(key)) else { return }
            let count = state.expected.count + 1
            guard count <= Limits.expectedKeys else {
                throw SteleError(LimitExceeded(.expectedKeys, count: count))
            }
            try name([key, value ?? []], &state)
            state.expectedKeys.insert(DictionaryKey(key))
            state.expected.append(.init(key: key, value: value))
        }
    }

    package func savepoint() throws(SteleError) -> Savepoint {
        try open { state throws(SteleError) in
            try hold(Cost.key, &state)
            return Savepoint(position: state.buffer.position, locks: state.locks.count)
        }
    }

    package func rollback(to savepoint: Savepoint) async {
        await turnstile.enter()
        defer { turnstile.leave() }
        while !state.withLock({ takeBackSome(to: savepoint.position, &$0) }) { await Task.yield() }
        let (kept, later) = state.withLock { state in
            state.isOpen ? takeLocks(after: savepoint.locks, &state) : ([], [])
        }
        guard !later.isEmpty else { return }
        let rollback = state.withLock { state in
            state.rollbacks += 1
            return state.rollbacks
        }
        var unlocked = await Self.keys(later, notIn: kept)
        // The newest first, so that the leader need not remember that they were given up.
        while !unlocked.isEmpty {
            let keys = Array(unlocked.suffix(Limits.keysAtOnce))
            unlocked.removeLast(keys.count)
            post(
                .unlock(keys: keys, rollback: rollback),
                bytes: keys.reduce(Cost.transaction) { $0 + $1.count })
            if !unlocked.isEmpty { await Task.yield() }
        }
    }

    /// The keys of a list that are not in the other one, each once; of very many some at a time.
    private static func keys(_ keys: [KeyBytes], notIn others: [KeyBytes]) async -> [KeyBytes] {
        var seen: Set<DictionaryKey> = []
        seen.reserveCapacity(keys.count + others.count)
        var found: [KeyBytes] = []
        for (place, key) in others.enumerated() {
            seen.insert(DictionaryKey(key))
            if place % Slices.slice == Slices.slice - 1 { await Task.yield() }
        }
        for (place, key) in keys.enumerated() {
            if seen.insert(DictionaryKey(key)).inserted { found.append(key) }
            if place % Slices.slice == Slices.slice - 1 { await Task.yield() }
        }
        return found
    }

    /// Takes back the newest writes, not very many at a time. Returns whether that was all.
    private func takeBackSome(to position: Int, _ state: inout State) -> Bool {
        let before = state.buffer.bytes + state.buffer.position * Cost.write
        state.buffer.rollback(to: max(position, state.buffer.position - Slices.slice))
        let freed = before - state.buffer.bytes - state.buffer.position * Cost.write
        memory.remove(freed)
        state.held -= freed
        return state.buffer.position <= position
    }

    /// Forgets the locks after the first so many; returns those and the others.
    ///
    /// What was seen through a lock stays read after the lock is gone: where reads are validated, its
    /// key becomes a read one, so that a return to a savepoint lets no write skew through. It was no
    /// newer than the snapshot, or the lock would have been refused.
    private func takeLocks(
        after count: Int, _ state: inout State
    ) -> (kept: [KeyBytes], later: [KeyBytes]) {
        let missed = exchange(&state.missedLocks, with: [])
        guard state.locks.count > count else { return (state.locks, missed) }
        var later = Array(state.locks[count...])
        if validatesReads {
            state.readKeys += later
        } else {
            forget(later, &state)
        }
        state.locks.removeSubrange(count...)
        later += missed
        // The grant is that of all locks; those that are taken next are granted anew.
        if state.locks.isEmpty { state.grant = nil }
        return (state.locks, later)
    }

    // MARK: What the transaction holds

    /// Reads at a timestamp from now on; with nil, the next read takes a fresh one.
    private func read(at timestamp: Timestamp?, _ state: inout State) {
        guard state.readTimestamp != timestamp else { return }
        state.readTimestamp = timestamp
        port.note(id, readsAt: timestamp)
    }

    private static func check(_ keys: Int) throws(SteleError) {
        guard keys <= Limits.requestKeys else {
            throw SteleError(LimitExceeded(.requestKeys, count: keys))
        }
    }

    private func hold(_ bytes: Int, _ state: inout State) throws(SteleError) {
        try memory.add(bytes)
        state.held += bytes
    }

    /// Makes room for what the commit will name.
    private func name(_ keys: [KeyBytes], _ state: inout State) throws(SteleError) {
        let bytes = keys.reduce(0) { $0 + $1.count }
        let total = state.namedBytes + bytes + keys.count * Cost.keyInMessage
        guard total <= Limits.transactionReadBytes else {
            throw SteleError(LimitExceeded(.transactionReadBytes, count: total))
        }
        try hold(bytes + keys.count * Cost.key, &state)
        state.namedBytes = total
    }

    /// Takes back what was named.
    private func forget(_ keys: [KeyBytes], _ state: inout State) {
        let bytes = keys.reduce(0) { $0 + $1.count }
        let held = bytes + keys.count * Cost.key
        memory.remove(held)
        state.held -= held
        state.namedBytes -= bytes + keys.count * Cost.keyInMessage
    }

    // MARK: The end

    @discardableResult
    package func commit() async throws(SteleError) -> Timestamp {
        await turnstile.enter()
        defer { turnstile.leave() }
        var final = try open { state throws(SteleError) in
            state.isOpen = false
            let final = state
            state = final.closed
            return final
        }
        defer { end() }
        if final.buffer.isEmpty { return try await commitWithoutWrites(consume final) }
        var request = TabletRequest.CommitRequest(
            readTimestamp: final.readTimestamp ?? .zero,
            readKeys: await Slices.ascending(final.readKeys),
            readRanges: final.readRanges, locks: final.locks, grant: final.grant,
            expected: final.expected,
            // Without a snapshot nobody can have been first: it begins at the commit.
            firstCommitterWins: options.isolation == .snapshot && final.readTimestamp != nil,
            writes: await final.buffer.allWritesInSlices())
        let reply = await send(.commit(request))
        request.writes = []
        request.locks = []
        await Slices.discard(&request.readKeys)
        await final.discard()
        if case .committed(let timestamp) = reply { return timestamp }
        release(near: final.lockedNear)
        throw reply.error
    }

    /// What was read is consistent by its snapshot; but whoever held locks relies on having held
    /// them until now.
    private func commitWithoutWrites(_ final: State) async throws(SteleError) -> Timestamp {
        defer { release(near: final.lockedNear) }
        var final = final
        guard !final.locks.isEmpty else {
            await final.discard()
            return final.readTimestamp ?? .zero
        }
        let reply = await send(
            .commit(.init(locks: final.locks, grant: final.grant, writes: [])))
        await final.discard()
        guard case .committed(let timestamp) = reply else { throw reply.errorWithoutEffect }
        return timestamp
    }

    package func rollback() {
        let key = state.withLock { state in
            defer { state.isOpen = false }
            return state.isOpen ? state.lockedNear : nil
        }
        end()
        release(near: key)
        interrupt()
    }

    package func expectInterruption() { state.withLock { $0.isInterrupted = false } }

    package func interrupt() {
        let token = state.withLock { state in
            state.isInterrupted = true
            return state.waitsFor
        }
        if let token { port.cancel(token) }
    }

    /// Lets go of everything. Does nothing if that was done.
    private func end() {
        let left = state.withLock { state in
            memory.remove(state.held)
            read(at: nil, &state)
            let left = state
            state = state.closed
            state.held = 0
            return left
        }
        guard left.isLarge else { return }
        let remains = Remains(consume left)
        port.inBackground { await remains.discard() }
    }

    private func release(near key: KeyBytes?) {
        guard let key else { return }
        post(.release(near: key), bytes: Cost.transaction + key.count)
    }

    /// Has locks given up, while the client begins its next transaction. Where no leader can be
    /// reached for long this is given up too: one that still has the locks will ask about them.
    private func post(_ body: TabletRequest.Body, bytes: Int) {
        memory.insist(on: bytes)
        port.post(TabletRequest(transaction: id, body: body)) { [memory] in
            memory.remove(bytes)
        }
    }

    private func send(_ body: TabletRequest.Body) async -> TabletReply {
        let request = TabletRequest(transaction: id, body: body)
        let timeLeft = timeLeft
        let isOver = timeLeft == .zero || Task.isCancelled
        if !isOver, request.isRead || request.isLock, let reply = port.answerAtOnce(request) { return reply }
        let token = port.nextToken()
        let isInterrupted = state.withLock { state in
            state.waitsFor = token
            return state.isInterrupted
        }
        // Asked for a moment ago, when there was nothing to end yet; or the task is over, and what is
        // not sent is not in doubt.
        if isInterrupted || Task.isCancelled {
            return .failed(.init(.cancelled, "the call was cancelled"))
        }
        if timeLeft == .zero {
            return .failed(.init(.timedOut, SteleError.timedOut.message))
        }
        let reply = await port.send(
            request, timeout: min(options.callTimeout, timeLeft ?? options.callTimeout),
            token: token)
        state.withLock { $0.waitsFor = nil }
        return reply
    }

    /// How long calls may take from now on; nil is as long as each may.
    private var timeLeft: Duration? {
        deadline == .never ? nil : deadline.timeLeft(from: port.now) ?? .zero
    }

    private func open<R>(
        _ body: (inout State) throws(SteleError) -> R
    ) throws(SteleError) -> R {
        let result: Result<R, SteleError> = state.withLock { state in
            guard state.isOpen else { return .failure(.transactionClosed) }
            do throws(SteleError) {
                return .success(try body(&state))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }
}
