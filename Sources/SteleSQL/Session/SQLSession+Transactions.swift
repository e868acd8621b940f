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

    /// A statement that uses data begins: under read committed it gets a snapshot of its own.
    func beginStatement() async throws(SQLError) -> SessionTransaction {
        let transaction = try openTransaction()
        if transaction.isReadCommitted { try await finishSuspended() }
        transaction.beginStatement()
        return transaction
    }

    /// Portals that are not finished keep the snapshot in which they were begun: what they have
    /// not read yet is read now.
    private func finishSuspended() async throws(SQLError) {
        guard !portals.isEmpty else { return }
        var memory = MemoryMeter()
        for portal in portals.all where portal.isSuspended {
            var rows = Array(portal.waiting)
            while let run = portal.run, let more = try await run.next() {
                for row in more { try memory.add(row) }
                rows += more
            }
            portal.run = nil
            portal.waiting = rows[...]
        }
    }

    // MARK: The end of transactions

    /// Commits whatever transaction there is.
    func commit() async throws(SQLError) {
        guard let ending = transaction else { return }
        transaction = nil
        portals.removeAll()
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
        portals.removeAll()
        settings = ending.settingsBefore
        lastingSettings = settings
        ending.rollback()
    }

    /// After an error: an implicit transaction is gone, an explicit one waits for its end.
    func abort() {
        guard let transaction else { return }
        guard transaction.isExplicit else { return rollback() }
        transaction.isFailed = true
        portals.removeAll()
        // Locks are let go unless a savepoint could bring the transaction back.
        if transaction.savepoints.isEmpty { transaction.rollback() }
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
            try transaction.savepoint(name, settings: settings, lasting: lastingSettings)
            return "SAVEPOINT"
        case .release(let name):
            let transaction = try block("RELEASE SAVEPOINT")
            let place = try transaction.savepointIndex(name)
            transaction.savepoints.removeSubrange(place...)
            return "RELEASE"
        case .rollbackTo(let name):
            let transaction = try block("ROLLBACK TO SAVEPOINT")
            let place = try transaction.savepointIndex(name)
            let savepoint = transaction.savepoints[place]
            try transaction.rollback(to: savepoint)
            transaction.savepoints.removeSubrange((place + 1)...)
            transaction.isFailed = false
            settings = savepoint.settings
            lastingSettings = savepoint.lastingSettings
            portals.removeAll()
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

    /// Applies modes to the open transaction.
    func set(_ modes: TransactionModes) throws(SQLError) {
        guard let transaction else { return }
        if let isolation = modes.isolation {
            if transaction.hasBegun, isolation != transaction.isolation {
                throw SQLError(
                    "25001", "SET TRANSACTION ISOLATION LEVEL must be called before any query")
            }
            guard SessionSettings.isolationLevels.contains(isolation) else {
                throw SQLError(
                    "22023",
                    "invalid value for parameter \"transaction_isolation\": \"\(isolation)\"")
            }
            transaction.isolation = isolation
        }
        if let isReadOnly = modes.isReadOnly {
            if !isReadOnly, transaction.isReadOnly, transaction.hasBegun {
                throw SQLError(
                    "25001", "transaction read-write mode must be set before any query")
            }
            transaction.isReadOnly = isReadOnly
        }
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
