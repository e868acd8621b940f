import SteleAPI
import SteleBase

/// One transaction of a session, from the statement that begins it to its end.
///
/// The kernel's transaction is begun by the first access to data, so that `BEGIN` costs nothing
/// and modes can be set after it.
final class SessionTransaction {
    /// A block that `BEGIN` opened, rather than the frame around statements without one.
    var isExplicit: Bool
    /// An error happened; only the end of the block is accepted.
    var isFailed = false
    /// A statement took a snapshot, or would have if it read anything: modes cannot be set any more.
    var hasQueried = false
    /// A statement of the extended protocol has been executed in it.
    var hasExecuted = false
    /// When it began, for `now()`.
    let start: Int64
    var isolation: String
    var isReadOnly: Bool
    var savepoints: [NamedSavepoint] = []
    /// What the session's settings were, to put them back on rollback.
    let settingsBefore: SessionSettings

    private let database: any DatabaseBackend
    /// How long statements wait for locks; nil is for ever.
    private var lockTimeout: Duration?
    private let cancellation: Cancellation
    private var kernel: (any TransactionBackend)?
    /// The kernel's transaction has come to its end, or to an error that ended it.
    private var isOver = false

    // The tables that the transaction may rely on, see SessionTransaction+Tables.
    var tables = TableKnowledge()
    let catalog: SQLCatalogCache

    /// A place to which `ROLLBACK TO` returns.
    struct NamedSavepoint {
        var name: String
        /// nil if the transaction had not touched data yet.
        var kernel: Savepoint?
        var made: [String: TableKnowledge.Made]
        /// What was locked then; locks that were taken later go with what was done later.
        var locked: Set<UInt32>
        var settings: SessionSettings
        var lastingSettings: SessionSettings
        var isolation: String
        var isReadOnly: Bool
        /// Portals that were made before have lower numbers.
        var portals: Int
    }

    init(
        database: any DatabaseBackend, catalog: SQLCatalogCache, cancellation: Cancellation,
        settings: SessionSettings, start: Int64, isExplicit: Bool
    ) {
        self.database = database
        self.catalog = catalog
        self.cancellation = cancellation
        self.start = start
        self.isExplicit = isExplicit
        isolation = settings.isolation
        isReadOnly = settings.isReadOnly
        settingsBefore = settings
        setLockTimeout(settings.lockTimeout)
    }

    /// - Parameter milliseconds: 0 waits for ever.
    func setLockTimeout(_ milliseconds: Int) {
        lockTimeout = milliseconds > 0 ? .milliseconds(milliseconds) : nil
        kernel?.setLockTimeout(lockTimeout)
    }

    /// Whether the kernel's transaction is of no more use.
    var hasEnded: Bool { isOver }

    /// Whether it has neither read nor changed anything.
    var isUntouched: Bool { kernel == nil && tables.made.isEmpty }

    private func open() throws(SQLError) -> any TransactionBackend {
        try cancellation.check()
        if let kernel {
            guard !isOver else {
                throw SQLError(
                    "40001", "could not serialize access because the transaction was ended",
                    hint: "Roll the whole transaction back and run it again.")
            }
            return kernel
        }
        do {
            let kernel = try database.begin(
                TransactionOptions(
                    isolation: kernelIsolation, isReadOnly: staysReadOnly,
                    lockTimeout: lockTimeout))
            self.kernel = kernel
            return kernel
        } catch { throw SQLError(error) }
    }

    private var kernelIsolation: Isolation {
        switch isolation {
        case "serializable": .serializable
        case "repeatable read": .snapshot
        default: .readCommitted
        }
    }

    /// Whether no return to a savepoint will make it one that writes.
    private var staysReadOnly: Bool { isReadOnly && savepoints.allSatisfy(\.isReadOnly) }

    var isReadCommitted: Bool { kernelIsolation == .readCommitted }

    /// A statement begins: under read committed it sees what was committed before it.
    func beginStatement() {
        guard isReadCommitted else { return }
        kernel?.beginStatement()
        tables.forgetSnapshot()
    }

    /// Between two pieces of work that call no kernel: others get their turn, and a request to
    /// cancel is heard.
    func takeTurn() async throws(SQLError) {
        try cancellation.check()
        await Task.yield()
    }

    /// Spends the time that `pg_sleep` asked for in the rows so far.
    func sleepOff(_ context: StatementContext) async throws(SQLError) {
        guard context.sleep > 0 else { return }
        // A timer's longest time; nobody will see the difference.
        let milliseconds = Int(min(context.sleep.rounded(.up), Double(Int32.max)))
        context.sleep = 0
        try await cancellation.sleep(milliseconds, context.environment)
    }

    // MARK: Data

    func get(_ keys: [KeyBytes]) async throws(SQLError) -> [[UInt8]?] {
        let kernel = try open()
        try cancellation.beginWait(of: kernel)
        defer { cancellation.endWait() }
        do {
            return try await kernel.get(keys)
        } catch { throw failure(error) }
    }

    func scan(
        _ range: KeyRange, limit: Int, reverse: Bool
    ) async throws(SQLError) -> RowPage {
        let kernel = try open()
        try cancellation.beginWait(of: kernel)
        defer { cancellation.endWait() }
        do {
            return try await kernel.scan(range, limit: limit, reverse: reverse)
        } catch { throw failure(error) }
    }

    func lock(
        _ keys: [KeyBytes], _ mode: LockMode, _ wait: LockWait, reading others: [KeyBytes] = []
    ) async throws(SQLError) -> [LockedValue] {
        try checkWritable()
        let kernel = try open()
        try cancellation.beginWait(of: kernel, forLocks: true)
        defer { cancellation.endWait() }
        do {
            return try await kernel.lock(keys, mode, wait, reading: others)
        } catch {
            if let reason = cancellation.reason {
                isOver = true
                throw reason
            }
            guard error.code == .lockNotAvailable, wait == .wait else { throw failure(error) }
            throw SQLError("55P03", "canceling statement due to lock timeout")
        }
    }

    func write(_ key: KeyBytes, _ value: [UInt8]?) throws(SQLError) {
        try checkWritable()
        let kernel = try open()
        do {
            try kernel.write(key, value)
        } catch { throw failure(error) }
    }

    /// Makes the commit fail unless the key has this value then.
    func expect(_ key: KeyBytes, _ value: [UInt8]?) throws(SQLError) {
        let kernel = try open()
        do {
            try kernel.expect(key, value)
        } catch { throw failure(error) }
    }

    /// Says that a range is of no more use once the transaction has committed.
    func discard(_ range: KeyRange) throws(SQLError) {
        try checkWritable()
        let kernel = try open()
        do {
            try kernel.discard(range)
        } catch { throw failure(error) }
    }

    func checkWritable() throws(SQLError) {
        guard !isReadOnly else {
            throw SQLError("25006", "cannot execute this statement in a read-only transaction")
        }
    }

    /// An error in terms of SQL. After some the kernel's transaction is of no more use.
    private func failure(_ error: SteleError) -> SQLError {
        if error.code == .cancelled, let reason = cancellation.reason { return reason }
        switch error.code {
        case .conflict, .deadlock, .snapshotTooOld, .unavailable, .transactionClosed, .stopped, .storage:
            isOver = true
        default: break
        }
        return SQLError(error)
    }

    /// An id that no table, storage or version has had.
    func nextID() async throws(SQLError) -> UInt32 {
        try await catalog.nextID(database, cancellation)
    }

    // MARK: Savepoints

    func savepoint(
        _ name: String, settings: SessionSettings, lasting: SessionSettings, portals: Int
    ) throws(SQLError) {
        guard savepoints.count < Limits.savepoints else {
            throw SQLError(
                "54000", "a transaction has more than \(Limits.savepoints) savepoints",
                hint: "Release those that are not needed any more.")
        }
        let position: Savepoint?
        do {
            position = try kernel?.savepoint()
        } catch { throw failure(error) }
        savepoints.append(
            NamedSavepoint(
                name: name, kernel: position, made: tables.made, locked: tables.locked,
                settings: settings, lastingSettings: lasting, isolation: isolation,
                isReadOnly: isReadOnly, portals: portals))
    }

    /// The place of the newest savepoint of a name.
    func savepointIndex(_ name: String) throws(SQLError) -> Int {
        guard let index = savepoints.lastIndex(where: { $0.name == name }) else {
            throw SQLError("3B001", "savepoint \"\(name)\" does not exist")
        }
        return index
    }

    /// Undoes what was done since the savepoint, which stays.
    func rollback(to savepoint: NamedSavepoint) async throws(SQLError) {
        if let kernel {
            guard !isOver else { _ = try open(); return }
            // The buffer was empty before the kernel's transaction was begun.
            await kernel.rollback(to: savepoint.kernel ?? Savepoint(position: 0))
        }
        tables.made = savepoint.made
        tables.locked = savepoint.locked
    }

    // MARK: The end

    /// Commits; whatever the result, the transaction is over.
    func commit() async throws(SQLError) {
        guard let kernel, !isOver else { return }
        isOver = true
        do {
            try cancellation.beginWait(of: kernel)
        } catch {
            kernel.rollback()
            throw error
        }
        defer { cancellation.endWait() }
        do {
            try await kernel.commit()
        } catch {
            // One of the definitions that the commit required may have been the reason.
            for name in tables.expected.values { catalog.forget(name) }
            throw failure(error)
        }
        for (name, made) in tables.made {
            if let table = made.table { catalog.keep(table) } else { catalog.forget(name) }
        }
    }

    func rollback() {
        guard let kernel else { return }
        isOver = true
        kernel.rollback()
    }
}
