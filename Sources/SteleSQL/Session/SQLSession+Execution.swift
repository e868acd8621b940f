import SteleAPI

// How one statement is run: planned statements by their plan, the others here.

extension SQLSession {
    /// Rows between two points where the client is waited for.
    private static let rowsPerFlush = 64

    /// Begins the execution of a portal: changes and utilities run to their end, a query up to its
    /// first rows.
    func start(_ portal: Portal, _ sink: any ResultSink) async throws(SQLError) {
        guard let statement = portal.prepared.statement else {
            portal.isStarted = true
            portal.isFinished = true
            return
        }
        try checkBlock(statement)
        portal.isStarted = true
        if statement.takesSnapshot { try openTransaction().hasQueried = true }
        if Planner.plans(statement) {
            try await startPlanned(portal)
            return
        }
        portal.tag = try await perform(statement, portal, sink)
        portal.isFinished = portal.run == nil
    }

    /// Sends rows, at most so many (0 is all), and says whether more may come.
    func fetch(
        _ portal: Portal, _ limit: Int, _ sink: any ResultSink
    ) async throws(SQLError) -> (count: Int, isSuspended: Bool) {
        guard let columns = portal.columns else { return (0, false) }
        hasOutput = true
        sink.columns(columns)
        var count = 0
        while true {
            while let row = portal.nextRow {
                try await send(row, columns, sink)
                portal.dropRow()
                count += 1
                if count % Self.rowsPerFlush == 0 || sink.isFull {
                    try cancellation.check()
                    try await sink.flushIfNeeded()
                }
                if count == limit {
                    try checkSuspended()
                    return (count, true)
                }
            }
            if let failure = portal.failure { throw failure }
            portal.wanted = limit > 0 ? limit - count : .max
            guard let run = portal.run, let rows = try await run.next(locking: portal.wanted)
            else { break }
            portal.hold(rows)
        }
        portal.finish()
        return (count, false)
    }

    /// Sends a row; a worker encodes one that takes long to show.
    private func send(
        _ row: [Datum], _ columns: [ResultColumn], _ sink: any ResultSink
    ) async throws(SQLError) {
        var bytes = 0
        for (value, column) in zip(row, columns) { bytes += value.shownBytes(as: column.type) }
        if bytes <= Self.longRow { return sink.row(row) }
        try await meter.compute(isDeep: true) { () throws(SQLError) in sink.row(row) }
    }

    /// A row of so many bytes takes up to a millisecond to encode.
    private static let longRow = 1 << 18

    /// Refuses to leave a portal as it is if with all others too much would wait in it.
    private func checkSuspended() throws(SQLError) {
        var memory = MemoryMeter()
        for portal in portals.all { try memory.add(bytes: portal.heldBytes) }
    }

    /// Sends all rows and returns the statement's tag.
    func fetchAll(_ portal: Portal, _ sink: any ResultSink) async throws(SQLError) -> String {
        let (count, _) = try await fetch(portal, 0, sink)
        return portal.tag.isEmpty ? "SELECT \(count)" : portal.tag
    }

    // MARK: Planned statements

    /// How often a statement is planned again because a table turns out to have changed.
    private static let plannings = 10

    private func startPlanned(_ portal: Portal) async throws(SQLError) {
        let transaction = try await beginStatement()
        var attempts = 0
        while true {
            do {
                let plan = try await currentPlan(of: portal.prepared)
                return try await start(plan, portal, transaction)
            } catch {
                if portal.prepared.isOutdated { throw error }
                attempts += 1
                try await replan(transaction, after: error, attempts)
            }
        }
    }

    /// Returns if a definition that is out of date was the reason of the failure, else throws.
    private func replan(
        _ transaction: SessionTransaction, after error: SQLError, _ attempts: Int
    ) async throws(SQLError) {
        if transaction.tables.stale == nil { await transaction.findStale() }
        guard transaction.tables.stale != nil, attempts < Self.plannings else { throw error }
        transaction.tables.stale = nil
        transaction.beginStatement()
    }

    private func start(
        _ plan: Plan, _ portal: Portal, _ transaction: SessionTransaction
    ) async throws(SQLError) {
        // It may have been begun with a definition that is out of date.
        portal.dropRows()
        portal.columns = try portal.formatted(plan.columns)
        let context = context(
            parameters: portal.parameters, transaction, isDeep: portal.prepared.isDeep)
        var action = plan.action
        if plan.isWorthFolding {
            action = try await context.compute { () throws(SQLError) in
                try plan.action.folded(context)
            }
        }
        defer {
            if plan.isWorthFolding, portal.prepared.isLarge {
                meter.discard(exchange(&action, with: plan.action))
            }
        }
        switch action {
        case .select(let select):
            if let locking = select.locking {
                try checkWritable(
                    "SELECT FOR \(locking.isExclusive ? "UPDATE" : "SHARE")", transaction)
            }
            let run = try await SelectRun(select, context, transaction)
            if let rows = try await run.next(locking: portal.wanted) {
                portal.hold(rows)
                portal.run = run
            }
        case .insert(let insert):
            try checkWritable("INSERT", transaction)
            var run = ChangeRun(context, transaction)
            let result = try await run.insert(insert)
            portal.tag = "INSERT 0 \(result.count)"
            portal.hold(result.rows)
        case .update(let update):
            try checkWritable("UPDATE", transaction)
            var run = ChangeRun(context, transaction)
            let result = try await run.update(update)
            portal.tag = "UPDATE \(result.count)"
            portal.hold(result.rows)
        case .delete(let delete):
            try checkWritable("DELETE", transaction)
            var run = ChangeRun(context, transaction)
            let result = try await run.delete(delete)
            portal.tag = "DELETE \(result.count)"
            portal.hold(result.rows)
        }
        try await transaction.sleepOff(context)
        context.takesChanges = false
        for change in context.changes {
            try set(change.name, change.value.map { [$0] }, isLocal: change.isLocal)
        }
    }

    /// Refuses what cannot be done in a block that has failed.
    func checkBlock(_ statement: Statement) throws(SQLError) {
        if transaction?.isFailed == true, !statement.endsFailedBlock { throw .failedBlock }
    }

    func checkWritable(
        _ statement: String, _ transaction: SessionTransaction
    ) throws(SQLError) {
        if transaction.isReadOnly {
            throw SQLError(
                "25006", "cannot execute \(statement) in a read-only transaction")
        }
    }

    /// The statement's plan, made again if a table has changed since.
    func currentPlan(of prepared: PreparedStatement) async throws(SQLError) -> Plan {
        // Where no transaction may be needed, none is begun.
        if transaction == nil, let plan = prepared.plan, plan.fastRead != nil, isCurrent(plan) {
            return plan
        }
        let transaction = try openTransaction()
        transaction.hasQueried = true
        transaction.tables.used = prepared.plan?.tables ?? []
        if let plan = prepared.plan {
            if isCurrent(plan) { return plan }
            if prepared.isTemplate {
                prepared.isOutdated = true
                throw .changedShape
            }
        }
        let plan = try await makePlan(prepared, transaction)
        if !prepared.mayChangeShape, let old = prepared.plan,
            old.columns?.map(\.shape) != plan.columns?.map(\.shape)
        {
            throw .changedShape
        }
        prepared.plan = plan
        return plan
    }

    /// Whether the plan was made for the definitions that are now to be used.
    func isCurrent(_ plan: Plan) -> Bool {
        guard let transaction, !transaction.tables.made.isEmpty else {
            return plan.epoch == catalog.epoch
                || plan.tables.allSatisfy { catalog.table($0.name) === $0 }
        }
        return plan.tables.allSatisfy(transaction.isCurrent)
    }

    private func makePlan(
        _ prepared: PreparedStatement, _ transaction: SessionTransaction
    ) async throws(SQLError) -> Plan {
        guard let statement = prepared.statement else { throw .unsupported("an empty statement") }
        // Taken before the tables, so that a change meanwhile makes the plan look old.
        let epoch = catalog.epoch
        var tables: [TableDefinition] = []
        for name in Planner.tableNames(statement) {
            tables.append(try await transaction.table(name, in: prepared.source))
        }
        transaction.tables.used = tables
        let time = settings.time(at: transaction.start)
        return try await meter.compute(isDeep: prepared.isDeep) {
            [meter, tables] () throws(SQLError) in
            var planner = Planner(
                source: prepared.source, parameters: prepared.inferred ?? prepared.declared,
                mayAddParameters: prepared.mayAddParameters, time: time, tables: tables,
                epoch: epoch, meter: meter)
            return try planner.plan(statement)
        }
    }

    func context(
        parameters: [Datum], _ transaction: SessionTransaction, isDeep: Bool
    ) -> StatementContext {
        var settings = settings
        settings.note(isolation: transaction.isolation, isReadOnly: transaction.isReadOnly)
        return StatementContext(
            parameters: parameters,
            time: settings.time(at: transaction.start),
            statementTime: environment.clock(), environment: environment, settings: settings,
            defaults: defaults, meter: meter, isDeep: isDeep)
    }

    // MARK: Other statements

    /// Runs a statement without a plan and returns its tag; rows are left in the portal.
    private func perform(
        _ statement: Statement, _ portal: Portal, _ sink: any ResultSink
    ) async throws(SQLError) -> String {
        switch statement {
        case .transaction(let control): return try await perform(control, sink)
        case .set(let set): return try perform(set, sink)
        case .show(let name): return try show(name, portal)
        case .createTable, .dropTables, .truncate, .addPrimaryKey:
            return try await define(statement, portal.prepared, sink)
        case .copyFrom(let copy): return try await self.copy(copy, portal.prepared.source, sink)
        case .vacuum(let isVacuum, let tables):
            return try await vacuum(isVacuum, tables, portal.prepared.source)
        case .prepare(let name, let types, let statement):
            let prepared = PreparedStatement(
                statement, source: portal.prepared.source, isDeep: portal.prepared.isDeep,
                declared: types,
                mayAddParameters: true)
            try await keep(prepared, as: name)
            return "PREPARE"
        case .execute(let name, let arguments, _):
            return try await execute(name, arguments, portal)
        case .deallocate(let name):
            if let name {
                guard statements.remove(name) else { throw .noStatement(name) }
                return "DEALLOCATE"
            }
            dropStatements()
            return "DEALLOCATE ALL"
        case .discard(let what): return try discard(what)
        case .closeCursor(let name):
            if let name, portals[name] == nil {
                throw SQLError("34000", "cursor \"\(name)\" does not exist")
            }
            guard let name else {
                let unnamed = portals[""]
                dropPortals { $0 !== unnamed }
                return "CLOSE CURSOR ALL"
            }
            portals.remove(name)
            return "CLOSE CURSOR"
        case .unlisten: return "UNLISTEN"
        case .select, .insert, .update, .delete: throw .unsupported("this statement")
        }
    }

    private func define(
        _ statement: Statement, _ prepared: PreparedStatement, _ sink: any ResultSink
    ) async throws(SQLError) -> String {
        let transaction = try await beginStatement()
        let context = context(parameters: [], transaction, isDeep: prepared.isDeep)
        var run = DefinitionRun(transaction, context, prepared.source)
        let tag: String
        /// Portals that have not come to their end would go on in storage that the table has left.
        func checkUnused(_ tables: [TableName], by change: String) throws(SQLError) {
            for table in tables
            where portals.all.contains(where: { $0.isSuspended && $0.reads(table) }) {
                throw SQLError(
                    "55006",
                    "cannot \(change) \"\(table.name)\" because it is being used by active queries in "
                        + "this session")
            }
        }
        switch statement {
        case .createTable(let syntax):
            tag = "CREATE TABLE"
            try checkWritable(tag, transaction)
            try await run.create(syntax)
        case .dropTables(let names, let ifExists):
            tag = "DROP TABLE"
            try checkWritable(tag, transaction)
            try checkUnused(names, by: tag)
            try await run.drop(names, ifExists: ifExists)
        case .truncate(let names):
            tag = "TRUNCATE TABLE"
            try checkWritable(tag, transaction)
            try checkUnused(names, by: "TRUNCATE")
            try await run.truncate(names)
        case .addPrimaryKey(let syntax):
            tag = "ALTER TABLE"
            try checkWritable(tag, transaction)
            try checkUnused([syntax.table], by: tag)
            try await run.addPrimaryKey(syntax)
        default: throw .unsupported("this statement")
        }
        for notice in run.notices { sink.notice(notice) }
        return tag
    }

    private func copy(
        _ syntax: CopySyntax, _ source: SourceText, _ sink: any ResultSink
    ) async throws(SQLError) -> String {
        let transaction = try await beginStatement()
        try checkWritable("COPY FROM", transaction)
        var attempts = 0
        while true {
            do {
                let table = try await transaction.table(syntax.table, in: source)
                transaction.tables.used = [table]
                // Found out before the client sends its data.
                try await transaction.verify(table)
                let run = try CopyRun(
                    syntax, table, context(parameters: [], transaction, isDeep: false))
                hasOutput = true
                return "COPY \(try await run.run(transaction, sink))"
            } catch {
                attempts += 1
                guard !hasOutput else { throw error }
                try await replan(transaction, after: error, attempts)
            }
        }
    }

    /// There is nothing to clean up or to count: tables are only looked for.
    private func vacuum(
        _ isVacuum: Bool, _ tables: [TableName], _ source: SourceText
    ) async throws(SQLError) -> String {
        if isVacuum { try checkAlone("VACUUM") }
        let transaction = try await beginStatement()
        for table in tables { _ = try await transaction.table(table, in: source) }
        return isVacuum ? "VACUUM" : "ANALYZE"
    }

    /// `EXECUTE name (…)`: runs the prepared statement in place of this one.
    private func execute(
        _ name: String, _ arguments: [Expression], _ portal: Portal
    ) async throws(SQLError) -> String {
        guard let prepared = statements[name], let statement = prepared.statement else {
            throw .noStatement(name)
        }
        guard Planner.plans(statement) else { throw .unsupported("EXECUTE of this statement") }
        let plan = try await currentPlan(of: prepared)
        guard plan.parameters.count == arguments.count else {
            throw SQLError(
                "42601", "wrong number of parameters for prepared statement \"\(name)\"",
                detail: "Expected \(plan.parameters.count) parameters but got \(arguments.count).")
        }
        let transaction = try openTransaction()
        let isDeep = portal.prepared.isDeep
        let context = context(parameters: portal.parameters, transaction, isDeep: isDeep)
        let values = try await context.compute { () throws(SQLError) in
            var binder = Binder(
                source: portal.prepared.source, parameters: [], time: context.time,
                meter: context.meter)
            binder.clause = "EXECUTE"
            var values: [Datum] = []
            for (argument, type) in zip(arguments, plan.parameters) {
                let bound = try binder.coerce(
                    binder.bind(argument), to: type, in: .assignment, at: argument.location)
                let value = try bound.expression.evaluate([], context)
                try context.hold(value)
                values.append(value)
            }
            context.held = 0
            return values
        }
        let inner = Portal(
            prepared, parameters: values, formats: portal.formats, meter: meter)
        inner.wanted = portal.wanted
        try await startPlanned(inner)
        portal.columns = inner.columns
        portal.run = inner.run
        portal.takeRows(of: inner)
        return inner.tag
    }

    private func discard(_ what: Statement.Discard) throws(SQLError) -> String {
        switch what {
        case .plans:
            for prepared in statements.all { prepared.plan = nil }
            return "DISCARD PLANS"
        case .sequences: return "DISCARD SEQUENCES"
        case .temporary: return "DISCARD TEMP"
        case .all:
            try checkAlone("DISCARD ALL")
            dropPortals()
            dropStatements()
            settings = defaults
            lastingSettings = defaults
            return "DISCARD ALL"
        }
    }
}

extension ResultColumn {
    /// What must not change while a client holds a prepared statement.
    fileprivate var shape: [String] { [name, "\(type.oid)", "\(type.modifier)"] }
}

extension SQLError {
    static let failedBlock = SQLError(
        "25P02",
        "current transaction is aborted, commands ignored until end of transaction block")

    static let changedShape = SQLError("0A000", "cached plan must not change result type")

    static func noStatement(_ name: String) -> SQLError {
        SQLError(
            "26000",
            name.isEmpty
                ? "unnamed prepared statement does not exist"
                : "prepared statement \"\(name)\" does not exist")
    }
}
