import SteleAPI
import SteleBase
import SteleClock
import SteleWire
import Synchronization

/// A transaction that a node runs on behalf of this client.
///
/// Writes, savepoints and new statements are collected here and travel with the next call that waits
/// for an answer, so a transaction that only writes costs one round trip. The transaction belongs to
/// one connection: when that breaks, the node rolls it back.
///
/// Invariants:
/// - Steps are submitted under the lock, so they arrive in the order in which they were made.
/// - After the end, whatever its outcome, every call throws `transactionClosed`.
final class RemoteTransaction: TransactionBackend {
    let options: TransactionOptions
    /// When all calls have to have ended.
    private let deadline: Deadline
    private let handle: UInt64
    private let keyspace: ClientKeyspace
    private let connector: Connector
    private let state = Mutex(State())

    fileprivate enum Phase {
        case open
        /// The commit is under way: nothing can be added to it any more.
        case committing
        case ended
    }

    fileprivate struct State {
        var phase = Phase.open
        /// The connection that the transaction belongs to, from its first step on.
        var link: Link?
        /// Whether the step that begins it has been submitted.
        var hasBegun = false
        /// Whether there is a write, submitted or not.
        var hasWritten = false
        /// What has not been submitted yet.
        var effects: [TransactionStep.Effect] = []
        /// All writes that were not taken back.
        var writes = Writes()
        /// The writes at each savepoint; their numbers begin with 1.
        var savepoints: [Writes] = []
    }

    fileprivate struct Writes {
        var count = 0
        var bytes = 0
    }

    /// Bytes of keys and values that one step carries, but for the last one.
    fileprivate static let stepBytes = Limits.frameBytes / 2

    init(
        handle: UInt64, options: TransactionOptions, deadline: Deadline,
        keyspace: ClientKeyspace, connector: Connector
    ) {
        self.handle = handle
        self.options = options
        self.deadline = deadline
        self.keyspace = keyspace
        self.connector = connector
    }

    deinit { rollback() }

    /// Unique within this client; the node numbers the transaction on its own.
    var id: TransactionID { TransactionID(handle) }

    // MARK: Without an answer

    func beginStatement() {
        guard options.isolation == .readCommitted else { return }
        state.withLock { state in
            if state.effects.last != .beginStatement { state.effects.append(.beginStatement) }
        }
    }

    func write(_ key: KeyBytes, _ value: [UInt8]?) throws(SteleError) {
        guard !options.isReadOnly else {
            throw SteleError(.invalidArgument, "a read-only transaction cannot write")
        }
        guard key.count <= Limits.keyBytes else { throw .keyTooLong(key.count) }
        if let value, value.count > Limits.valueBytes { throw .valueTooLong(value.count) }
        let failure: SteleError? = state.withLock { state in
            guard state.phase == .open else { return .transactionClosed }
            let total = state.writes.bytes + key.count + (value?.count ?? 0)
            guard total <= Limits.transactionBytes else { return .transactionTooLarge(total) }
            state.writes.bytes = total
            state.writes.count += 1
            state.hasWritten = true
            state.effects.append(.write(key, value))
            return nil
        }
        if let failure { throw failure }
    }

    func expect(_ key: KeyBytes, _ value: [UInt8]?) {
        state.withLock { $0.effects.append(.expect(key, value)) }
    }

    func savepoint() -> Savepoint {
        state.withLock { state in
            if case .savepoint(let number) = state.effects.last {
                return Savepoint(position: Int(number))
            }
            state.savepoints.append(state.writes)
            let number = state.savepoints.count
            state.effects.append(.savepoint(UInt64(number)))
            return Savepoint(position: number)
        }
    }

    func rollback(to savepoint: Savepoint) {
        state.withLock { state in
            guard savepoint.position > 0, savepoint.position <= state.savepoints.count else {
                return
            }
            state.writes = state.savepoints[savepoint.position - 1]
            state.effects.append(.rollbackTo(UInt64(savepoint.position)))
        }
    }

    var writeCount: Int { state.withLock(\.writes.count) }

    // MARK: With an answer

    func get(_ keys: [KeyBytes]) async throws(SteleError) -> [[UInt8]?] {
        guard !keys.isEmpty else { return [] }
        let reply = try await perform(.get(keys))
        guard case .values(let values) = reply, values.count == keys.count else {
            throw reply.error
        }
        return values
    }

    func scan(
        _ range: KeyRange, limit: Int, reverse: Bool, seeing writes: Int?
    ) async throws(SteleError) -> RowPage {
        let request = ScanRequest(range: range, limit: limit, reverse: reverse, writes: writes)
        let reply = try await perform(.scan(request))
        guard case .page(let page) = reply else { throw reply.error }
        return page
    }

    func lock(
        _ keys: [KeyBytes], _ mode: LockMode, _ wait: LockWait, reading others: [KeyBytes]
    ) async throws(SteleError) -> [LockedValue] {
        guard !keys.isEmpty else { return [] }
        let isOver = deadline.timeLeft(from: RemoteDatabase.clock()) == nil
        let reply: ClientReply.Body
        do {
            reply = try await perform(.lock(keys, mode, wait, reading: others))
        } catch where error.code == .timedOut && !isOver {
            throw SteleError(
                .lockNotAvailable, "the lock was not granted in the time that the call was given")
        }
        guard case .locked(let values) = reply, values.count == keys.count + others.count
        else { throw reply.error }
        return values
    }

    @discardableResult
    func commit() async throws(SteleError) -> Timestamp {
        let isUntouched = try enter { state in
            state.phase = .committing
            return !state.hasBegun && !state.hasWritten
        }
        defer { state.withLock { $0.phase = .ended } }
        if isUntouched { return .zero }
        let reply: ClientReply.Body
        do {
            reply = try await submitAll(.commit)
        } catch {
            // The node still has the transaction if a step before the commit has failed.
            rollback()
            throw error
        }
        guard case .committed(let timestamp) = reply else { throw reply.error }
        return timestamp
    }

    /// Tells the node, if it knows of the transaction, and waits for nothing.
    func rollback() {
        guard let link = end() else { return }
        let step = TransactionStep(handle: handle, action: .rollback)
        link.post(.database(keyspace, .transaction(step)))
    }

    /// Ends the transaction here; returns the connection if the node has to be told.
    private func end() -> Link? {
        state.withLock { state in
            defer { state.phase = .ended }
            return state.phase != .ended && state.hasBegun ? state.link : nil
        }
    }

    // MARK: Steps

    private func perform(
        _ action: TransactionStep.Action
    ) async throws(SteleError) -> ClientReply.Body {
        try enter { _ in }
        return try await submitAll(action)
    }

    /// Submits `action` with all effects before it, in several steps if one does not hold them.
    private func submitAll(
        _ action: TransactionStep.Action
    ) async throws(SteleError) -> ClientReply.Body {
        if Task.isCancelled {
            rollback()
            throw LinkFailure.cancelled(isSent: false).withoutEffect
        }
        guard deadline.timeLeft(from: RemoteDatabase.clock()) != nil else {
            rollback()
            throw .timedOut
        }
        let link = try await ownLink()
        while state.withLock({ $0.effectsInNextStep < $0.effects.count }) {
            let reply = try await submit(.none, on: link)
            guard case .done = reply else { throw reply.error }
        }
        return try await submit(action, on: link)
    }

    /// The connection that the transaction belongs to; a new one takes whichever there is.
    private func ownLink() async throws(SteleError) -> Link {
        if let link = state.withLock({ $0.link }) { return link }
        let link = try await connector.link(patience: RemoteDatabase.patience, by: deadline)
        return state.withLock { state in
            let own = state.link ?? link
            state.link = own
            return own
        }
    }

    private func submit(
        _ action: TransactionStep.Action, on link: Link
    ) async throws(SteleError) -> ClientReply.Body {
        do {
            return try await link.request(by: end(of: action)) { submit in
                state.withLock { submit(nextStep(action, &$0)) }
            }
        } catch {
            switch error {
            case .notSent, .lost: _ = end()
            case .cancelled, .timedOut, .tooLong: rollback()
            }
            let isInDoubt = action == .commit && state.withLock { $0.hasWritten }
            throw isInDoubt ? error.outcomeUnknown : error.withoutEffect
        }
    }

    /// When a step has to have been answered: the node ends calls by itself, unless it hangs.
    private func end(of action: TransactionStep.Action) -> Deadline {
        if case .lock = action { return deadline }
        let last = Deadline(after: options.callTimeout, from: RemoteDatabase.clock())
        return min(deadline, last.later(by: Self.grace))
    }

    private static let grace = Duration.seconds(5)

    /// As many effects as one step may carry, then `action`.
    private func nextStep(
        _ action: TransactionStep.Action, _ state: inout State
    ) -> ClientRequest.Body {
        let count = state.effectsInNextStep
        let step = TransactionStep(
            handle: handle, begin: state.hasBegun ? nil : options,
            effects: Array(state.effects.prefix(count)), action: action)
        state.effects.removeFirst(count)
        state.hasBegun = true
        return .database(keyspace, .transaction(step))
    }

    /// Changes the state of a transaction that has not ended.
    private func enter<R: Sendable>(
        _ body: (inout State) -> R
    ) throws(SteleError) -> R {
        let result = state.withLock { $0.phase == .open ? body(&$0) : nil }
        guard let result else { throw .transactionClosed }
        return result
    }
}

extension RemoteTransaction.State {
    fileprivate var effectsInNextStep: Int {
        var bytes = 0
        var count = 0
        while count < effects.count, count < TransactionStep.effectLimit,
            bytes < RemoteTransaction.stepBytes
        {
            if case .write(let key, let value) = effects[count] {
                bytes += key.count + (value?.count ?? 0)
            }
            count += 1
        }
        return count
    }
}
