import SteleBase
import SteleClock

/// What stands behind a ``Database``: the kernel in this process, or a connection to one.
///
/// The public verbs and the SQL layer are written against this port and know nothing else.
package protocol DatabaseBackend: Sendable {
    /// Begins a transaction, whose calls all end by `deadline`. Costs nothing until it reads or
    /// commits.
    func begin(
        _ options: TransactionOptions, by deadline: Deadline
    ) throws(SteleError) -> any TransactionBackend

    /// The newest committed value of one key.
    func get(_ key: KeyBytes, by deadline: Deadline) async throws(SteleError) -> [UInt8]?

    /// The newest committed values of keys, and a page of rows, all of one snapshot; nil if that cannot
    /// be had without waiting.
    ///
    /// - Parameter limit: how many rows the page has at most.
    func readAtOnce(
        _ keys: [KeyBytes], scanning range: KeyRange?, limit: Int, reverse: Bool
    ) -> (values: [[UInt8]?], page: RowPage)?

    /// Writes one key on its own; nil deletes.
    func put(_ key: KeyBytes, _ value: [UInt8]?, by deadline: Deadline) async throws(SteleError)

    /// Microseconds of the clock that deadlines are on.
    var now: UInt64 { get }

    /// Waits for a random time of up to `most`, some milliseconds. Time and chance are the
    /// backend's, so that a simulation repeats them; a cancelled task waits all the same.
    func standBack(upTo most: Duration) async
}

extension DatabaseBackend {
    package func readAtOnce(
        _ keys: [KeyBytes], scanning range: KeyRange?, limit: Int, reverse: Bool
    ) -> (values: [[UInt8]?], page: RowPage)? { nil }

    /// The moment at which so much time will have passed; nil is never.
    package func deadline(after duration: Duration?) -> Deadline {
        duration.map { Deadline(after: $0, from: now) } ?? .never
    }

    package func begin(
        _ options: TransactionOptions
    ) throws(SteleError) -> any TransactionBackend {
        try begin(options, by: deadline(after: options.timeout))
    }

    package func get(_ key: KeyBytes) async throws(SteleError) -> [UInt8]? {
        try await get(key, by: .never)
    }

    package func put(_ key: KeyBytes, _ value: [UInt8]?) async throws(SteleError) {
        try await put(key, value, by: .never)
    }
}

/// One transaction, begun by hand. Calls may come from any task; they take effect one at a time.
///
/// A transaction that is given up without `commit` or `rollback` is rolled back when it is released.
package protocol TransactionBackend: AnyObject, Sendable {
    var id: TransactionID { get }
    var options: TransactionOptions { get }

    /// Under read committed, makes the next read take a fresh snapshot; otherwise does nothing.
    func beginStatement()

    /// The values of `keys` in the transaction's snapshot, its own writes included.
    func get(_ keys: [KeyBytes]) async throws(SteleError) -> [[UInt8]?]

    /// A page of the rows of `range` in the transaction's snapshot, its own writes included: all, or
    /// the first so many.
    func scan(
        _ range: KeyRange, limit: Int, reverse: Bool, seeing writes: Int?
    ) async throws(SteleError) -> RowPage

    /// How many writes it has made that were not taken back.
    var writeCount: Int { get }

    /// Locks `keys` (that need not exist) and returns their newest committed values, the
    /// transaction's own writes included.
    ///
    /// Under snapshot and serializable isolation a key that changed after the transaction's
    /// snapshot is a ``SteleError/Code/conflict``. Locks are held until the transaction ends.
    ///
    /// - Parameter others: keys to read at the moment at which all locks are held, whatever the
    ///   isolation. Their values follow those of `keys`; they are not locked.
    func lock(
        _ keys: [KeyBytes], _ mode: LockMode, _ wait: LockWait, reading others: [KeyBytes]
    ) async throws(SteleError) -> [LockedValue]

    /// How long a call waits for a lock from now on; nil is for ever.
    func setLockTimeout(_ timeout: Duration?)

    /// Buffers a write; nil deletes. Reads of this transaction see it at once, others at commit.
    func write(_ key: KeyBytes, _ value: [UInt8]?) throws(SteleError)

    /// Makes the commit a ``SteleError/Code/conflict`` unless `key` has this value then; nil is none.
    ///
    /// For what the transaction relies on without having read it in its snapshot, such as a cached
    /// schema. A transaction that writes nothing is not checked.
    func expect(_ key: KeyBytes, _ value: [UInt8]?) throws(SteleError)

    /// Says that the rows of `range` are of no more use once this has committed: nobody reads or
    /// writes them at a later timestamp. They go when nobody can read at an earlier one any more.
    func discard(_ range: KeyRange) throws(SteleError)

    /// Remembers the present state of the write buffer.
    func savepoint() throws(SteleError) -> Savepoint

    /// Forgets what was written since, and lets go of the locks that were taken since.
    func rollback(to savepoint: Savepoint) async

    /// Commits. Whatever the result, the transaction has ended afterwards.
    ///
    /// - Returns: the commit timestamp; of a transaction that wrote nothing, its read timestamp.
    @discardableResult
    func commit() async throws(SteleError) -> Timestamp

    /// Gives everything up, at once: a call that waits for an answer fails. Does nothing if the
    /// transaction has ended. May be called from anywhere.
    func rollback()

    /// From here on ``interrupt()`` is meant for the call that follows.
    func expectInterruption()

    /// Ends the call that waits, or is about to, with ``SteleError/Code/cancelled``; a commit whose
    /// outcome is not known by then says so. The transaction goes on, and holds what it holds. May be
    /// called from anywhere.
    func interrupt()
}

extension TransactionBackend {
    package func expectInterruption() {}

    package func interrupt() {}

    package func setLockTimeout(_ timeout: Duration?) {}

    package func scan(
        _ range: KeyRange, limit: Int, reverse: Bool
    ) async throws(SteleError) -> RowPage {
        try await scan(range, limit: limit, reverse: reverse, seeing: nil)
    }

    package func discard(_ range: KeyRange) throws(SteleError) {
        throw SteleError(.unsupported, "a client cannot discard ranges")
    }

    package func lock(
        _ keys: [KeyBytes], _ mode: LockMode, _ wait: LockWait
    ) async throws(SteleError) -> [LockedValue] {
        try await lock(keys, mode, wait, reading: [])
    }
}

/// How a transaction relates to others.
public enum Isolation: UInt8, Hashable, Sendable {
    /// As if transactions ran one after the other.
    case serializable
    /// One snapshot for all reads; of two transactions that write the same key, one fails.
    case snapshot
    /// A fresh snapshot for each statement.
    case readCommitted
}

/// How a transaction is run.
public struct TransactionOptions: Hashable, Sendable {
    public var isolation: Isolation
    /// Refuses writes, and takes no part in conflicts.
    public var isReadOnly: Bool
    /// How long the transaction may take in all: what its closure does, waiting for locks, and
    /// running again included. A call that would take longer ends then. Nil, the default, sets no
    /// bound but that of ``callTimeout`` for each call.
    public var timeout: Duration?
    /// How long a call waits for a lock, within ``timeout``; nil is for ever.
    public var lockTimeout: Duration?
    /// How long one call waits for a leader, a majority, or an answer, within ``timeout``; 10
    /// seconds by default. Waiting for locks is apart.
    public var callTimeout = TransactionOptions.defaultCallTimeout

    package static let defaultCallTimeout = Duration.seconds(10)

    public init(
        isolation: Isolation = .serializable, isReadOnly: Bool = false,
        timeout: Duration? = nil, lockTimeout: Duration? = nil
    ) {
        self.isolation = isolation
        self.isReadOnly = isReadOnly
        self.timeout = timeout
        self.lockTimeout = lockTimeout
    }
}

/// What a row lock excludes.
package enum LockMode: UInt8, Hashable, Sendable {
    /// Shares the key with other shared locks; nobody changes it.
    case shared
    case exclusive
}

/// What happens when a lock is taken.
package enum LockWait: UInt8, Hashable, Sendable {
    case wait
    /// Fails at once with ``SteleError/Code/lockNotAvailable``.
    case fail
    /// Leaves the key out.
    case skip
}

/// A key that was locked; or one that was not, because another transaction holds it or because
/// nobody asked for more than its value.
package struct LockedValue: Hashable, Sendable {
    package var isLocked: Bool
    package var value: [UInt8]?

    package init(isLocked: Bool, value: [UInt8]?) {
        self.isLocked = isLocked
        self.value = value
    }
}

/// Rows of one page of a scan, in scan order.
package struct RowPage: Sendable {
    package struct Row: Sendable {
        package var key: ArraySlice<UInt8>
        package var value: ArraySlice<UInt8>

        package init(key: ArraySlice<UInt8>, value: ArraySlice<UInt8>) {
            self.key = key
            self.value = value
        }
    }

    package var rows: [Row]
    /// What of the range is still to be scanned; nil when everything was.
    package var rest: KeyRange?

    package init(rows: [Row] = [], rest: KeyRange? = nil) {
        self.rows = rows
        self.rest = rest
    }
}

/// A state of a transaction's writes and locks to which it can return.
package struct Savepoint: Hashable, Sendable {
    package var position: Int
    /// How many locks it had.
    package var locks: Int

    package init(position: Int, locks: Int = 0) {
        self.position = position
        self.locks = locks
    }
}
