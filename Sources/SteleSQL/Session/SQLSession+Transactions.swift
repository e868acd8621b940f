import SteleBase

extension SQLSession {
    /// The transaction, begun implicitly if there is none.
    func openTransaction() throws(SQLError) -> SessionTransaction {
        if let transaction { return transaction }
        return openTransaction(isExplicit: false)
    }

    @discardableResult
    private func openTransaction(isExplicit: Bool) -> SessionTransaction {
        let opened = SessionTransaction(
            database: database, catalog: catalog, cancellation: cancellation, settings: settings,
            start: environment.clock(), isExplicit: isExplicit)
        transaction = opened
        return opened
    }

    /// Refuses a statement that has to be a transaction of its own where others are part of it.
    func checkAlone(_ statement: String) throws(SQLError) {
        if isInSeries || transaction?.isExplicit == true {
            throw SQLError("25001", "\(statement) cannot run inside a transaction block")
        }
        if hasReadAtOnce || transaction?.hasExecuted == true {
            throw SQLError("25001", "\(statement) cannot be executed within a pipeline")
        }
    }

    /// A statement that uses data begins: under read committed it gets a snapshot of its own.
    func beginStatement() async throws(SQLError) -> SessionTransaction {
        let transaction = try openTransaction()
        if transaction.isReadCommitted || !transaction.isReadOnly { try await finishSuspended() }
        transaction.beginStatement()
        return transaction
    }

    /// Portals that are not finished keep the snapshot in which they were begun, and see no later
    /// writes of the transaction itself: what they have not read yet is read now. Rows to be locked
    /// are only found; they are locked when they are asked for, and come as they are then.
    ///
    /// What goes wrong with a portal is its own affair, and told when it is asked for more. Thrown is
    /// only what ends the present statement too: a request to cancel, or the end of the transaction.
    private func finishSuspended() async throws(SQLError) {
        guard !portals.isEmpty else { return }
        var held = portals.all.reduce(0) { $0 + $1.heldBytes }
        for portal in portals.all.filter(\.isToBeReadAhead).sorted(by: { $0.number < $1.number }) {
            guard let run = portal.run else { continue }
            held -= portal.heldBytes
            let others = held
            func checkSize() throws(SQLError) {
                if others + portal.heldBytes > Limits.statementBytes { throw MemoryMeter.exceeded }
            }
            do throws(SQLError) {
                try checkSize()
                if run.locksRows {
                    try await run.readAhead(checkSize)
                } else {
                    while let rows = try await run.next() {
                        portal.hold(rows)
                        try checkSize()
                    }
                    portal.end(with: nil)
                }
                try checkSize()
            } catch {
                if transaction?.hasEnded ?? true { portal.fail() }
                // What has come out of it is kept: after a return to a savepoint it goes on.
                if let reason = cancellation.reason { throw reason }
                if portal.hasFailed { throw error }
                if error.state == MemoryMeter.exceeded.state { portal.dropRows() }
                portal.end(with: error)
                // A definition that is out of date is that of the portal's statement.
                transaction?.tables.stale = nil
            }
            held += portal.heldBytes
        }
    }

    // MARK: What the session keeps

    /// Forgets portals. All of them together may take long to let go of, which a worker does.
    func dropPortals(where isToGo: (Portal) -> Bool = { _ in true }) {
        guard !portals.isEmpty else { return }
        let gone = portals.take(where: isToGo)
        let bytes = gone.reduce(0) { $0 + $1.heldBytes + $1.keptBytes }
        if bytes > Self.largeBytes { meter.discard(consume gone) }
    }

    /// Forgets portals that were made since a savepoint. One that was made before and run since may
    /// have read what is taken back: it cannot go on.
    private func returnPortals(to number: Int) {
        dropPortals { $0.number >= number }
        for portal in portals.all where portal.startNumber >= number && !portal.isFinished {
            portal.fail()
        }
    }

    /// Forgets all prepared statements.
    func dropStatements() {
        let isMuch = statements.bytes > Self.largeBytes
        let gone = exchange(&statements, with: KeptByName())
        if isMuch { meter.discard(consume gone) }
    }

    /// More than this takes long to let go of.
    private static let largeBytes = 1 << 20

    // MARK: The end of transactions

    /// Commits whatever transaction there is.
    func commit() async throws(SQLError) {
        guard let ending = transaction else { return }
        transaction = nil
        dropPortals()
        do {
            try await ending.commit()
            settings = lastingSettings
        } catch {
            settings = ending.settingsBefore
            lastingSettings = settings
            throw error
        }
    }

    /// Rolls back whatever transaction there is.
    func rollback() {
        guard let ending = transaction else { return }
        transaction = nil
        dropPortals()
        settings = ending.settingsBefore
        lastingSettings = settings
        ending.rollback()
    }

    /// After an error: an implicit transaction is gone, an explicit one waits for its end.
    func abort() async {
        guard let transaction else { return }
        guard transaction.isExplicit else { return rollback() }
        transaction.isFailed = true
        // Those from before the last savepoint can be returned to.
        returnPortals(to: transaction.savepoints.last?.portals ?? 0)
        // Locks are let go, those from before the last savepoint unless it brings them back.
        guard let savepoint = transaction.savepoints.last, !transaction.hasEnded else {
            return transaction.rollback()
        }
        try? await transaction.rollback(to: savepoint)
    }

    // MARK: Statements

    func perform(
        _ control: TransactionSyntax, _ sink: any ResultSink
    ) async throws(SQLError) -> String {
        switch control {
        case .begin(let modes, let isStart):
            try begin(modes, sink)
            return isStart ? "START TRANSACTION" : "BEGIN"
        case .commit(let andChain):
            return try await end(commits: true, andChain: andChain, sink)
        case .rollback(let andChain):
            return try await end(commits: false, andChain: andChain, sink)
        case .savepoint(let name):
            let transaction = try block("SAVEPOINT")
            try transaction.savepoint(
                name, settings: settings, lasting: lastingSettings, portals: portalCount)
            return "SAVEPOINT"
        case .release(let name):
            let transaction = try block("RELEASE SAVEPOINT")
            let place = try transaction.savepointIndex(name)
            transaction.isReadOnly = transaction.savepoints[place].isReadOnly
            transaction.savepoints.removeSubrange(place...)
            return "RELEASE"
        case .rollbackTo(let name):
            let transaction = try block("ROLLBACK TO SAVEPOINT")
            let place = try transaction.savepointIndex(name)
            let savepoint = transaction.savepoints[place]
            try await transaction.rollback(to: savepoint)
            transaction.savepoints.removeSubrange((place + 1)...)
            transaction.isFailed = false
            transaction.isolation = savepoint.isolation
            transaction.isReadOnly = savepoint.isReadOnly
            settings = savepoint.settings
            lastingSettings = savepoint.lastingSettings
            returnPortals(to: savepoint.portals)
            return "ROLLBACK"
        }
    }

    /// The open block, in which alone the statement makes sense.
    private func block(_ statement: String) throws(SQLError) -> SessionTransaction {
        guard let transaction, transaction.isExplicit else {
            throw SQLError("25P01", "\(statement) can only be used in transaction blocks")
        }
        return transaction
    }

    private func begin(
        _ modes: TransactionModes, _ sink: any ResultSink
    ) throws(SQLError) {
        if let transaction, transaction.isExplicit {
            sink.notice(SQLError("25001", "there is already a transaction in progress"))
        } else if let transaction {
            // Statements before it in the same text become part of the block.
            transaction.isExplicit = true
        } else {
            openTransaction(isExplicit: true)
        }
        try set(modes)
    }

    /// Applies modes to the open transaction, by PostgreSQL's rules about when each may be set.
    func set(_ modes: TransactionModes) throws(SQLError) {
        let transaction = try openTransaction()
        let isNested = !transaction.savepoints.isEmpty
        if let isolation = modes.isolation {
            guard SessionSettings.isolationLevels.contains(isolation) else {
                throw SQLError(
                    "22023",
                    "invalid value for parameter \"transaction_isolation\": \"\(isolation)\"")
            }
            if isolation != transaction.isolation {
                let what = "SET TRANSACTION ISOLATION LEVEL must"
                if transaction.hasQueried {
                    throw SQLError("25001", "\(what) be called before any query")
                }
                if isNested {
                    throw SQLError("25001", "\(what) not be called in a subtransaction")
                }
            }
        }
        if modes.isReadOnly == false, transaction.isReadOnly {
            if isNested {
                throw SQLError(
                    "25001",
                    "cannot set transaction read-write mode inside a read-only transaction")
            }
            if transaction.hasQueried {
                throw SQLError(
                    "25001", "transaction read-write mode must be set before any query")
            }
        }
        if modes.isDeferrable != nil {
            // A deferrable transaction may only wait for a better snapshot: nothing to be kept.
            let what = "SET TRANSACTION [NOT] DEFERRABLE"
            if isNested {
                throw SQLError("25001", "\(what) cannot be called within a subtransaction")
            }
            if transaction.hasQueried {
                throw SQLError("25001", "\(what) must be called before any query")
            }
        }
        transaction.isolation = modes.isolation ?? transaction.isolation
        transaction.isReadOnly = modes.isReadOnly ?? transaction.isReadOnly
    }

    private func end(
        commits: Bool, andChain: Bool, _ sink: any ResultSink
    ) async throws(SQLError) -> String {
        guard let ending = transaction, ending.isExplicit else {
            if andChain {
                throw SQLError(
                    "25P01",
                    "\(commits ? "COMMIT" : "ROLLBACK") AND CHAIN can only be used in transaction "
                        + "blocks")
            }
            sink.notice(SQLError("25P01", "there is no transaction in progress"))
            if commits { try await commit() } else { rollback() }
            return commits ? "COMMIT" : "ROLLBACK"
        }
        let succeeds = commits && !ending.isFailed
        if succeeds { try await commit() } else { rollback() }
        if andChain {
            let next = openTransaction(isExplicit: true)
            next.isolation = ending.isolation
            next.isReadOnly = ending.isReadOnly
        }
        return succeeds ? "COMMIT" : "ROLLBACK"
    }
}
