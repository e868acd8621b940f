import SteleAPI

/// One client's conversation with the database: its transaction, settings, prepared statements.
///
/// All calls come from the one task of the connection; only ``canceller`` may be called from
/// elsewhere. A call that throws in the simple protocol has cleaned up behind itself; in the
/// extended protocol the front calls ``fail()`` after an error, whoever found it.
package final class SQLSession {
    let database: any DatabaseBackend
    let catalog: SQLCatalogCache
    let environment: SQLEnvironment
    /// What `RESET` returns to.
    let defaults: SessionSettings
    /// The settings in force.
    var settings: SessionSettings {
        didSet {
            if settings.lockTimeout != oldValue.lockTimeout {
                transaction?.setLockTimeout(settings.lockTimeout)
            }
        }
    }
    /// The settings without those that last only for the transaction.
    var lastingSettings: SessionSettings
    var transaction: SessionTransaction?
    var statements = KeptByName<PreparedStatement>()
    var portals = KeptByName<Portal>()
    /// How many portals there were under names.
    var portalCount = 0
    let cancellation = Cancellation()
    let meter: WorkMeter
    /// The running statement is one of several in a text: they are one transaction, declared or not.
    var isInSeries = false
    /// The running statement has sent something, so that it cannot be run again unseen.
    var hasOutput = false
    /// A statement of the present series of extended messages was run, by reading at once.
    var hasReadAtOnce = false
    private var cache = StatementCache()
    private var notices: [SQLError] = []
    private var lastReported: [String]
    /// The settings that those were of.
    private var reportedSettings: SessionSettings

    package init(
        database: any DatabaseBackend, catalog: SQLCatalogCache, environment: SQLEnvironment,
        startupParameters: [(String, String)]
    ) throws(SQLError) {
        self.database = database
        self.catalog = catalog
        self.environment = environment
        meter = WorkMeter(environment, cancellation)
        let initial = SessionSettings(environment)
        var settings = initial
        for (name, value) in startupParameters {
            if let refusal = try settings.begin(name, value) { notices.append(refusal) }
        }
        self.settings = settings
        lastingSettings = settings
        defaults = settings
        reportedSettings = settings
        lastReported = try SessionSettings.reported.map { (name) throws(SQLError) in
            try settings.value(of: name)
        }
    }

    /// How the transaction stands.
    package var transactionStatus: TransactionStatus {
        guard let transaction, transaction.isExplicit else { return .idle }
        return transaction.isFailed ? .failed : .inTransaction
    }

    /// The zone that times are shown in.
    package var zone: TimeZone { settings.zone }

    /// Makes the running statement end with 57014; may be called from anywhere.
    package var canceller: @Sendable () -> Void { { [cancellation] in cancellation.request() } }

    /// The settings that a client is told of at the start.
    package var reportedParameters: [(String, String)] {
        Array(zip(SessionSettings.reported, lastReported))
    }

    /// The reported settings that changed since they were last asked for.
    package func takeChangedParameters() -> [(String, String)] {
        if settings.isCopy(of: reportedSettings) { return [] }
        reportedSettings = settings
        var changed: [(String, String)] = []
        for (index, name) in SessionSettings.reported.enumerated() {
            guard let value = try? settings.value(of: name), value != lastReported[index] else {
                continue
            }
            lastReported[index] = value
            changed.append((name, value))
        }
        return changed
    }

    /// The notices since they were last asked for.
    package func takeNotices() -> [SQLError] {
        notices.isEmpty ? [] : exchange(&notices, with: [])
    }

    /// What dates and times in a client's values depend on.
    var timeContext: TimeContext {
        settings.time(at: transaction?.start ?? environment.clock())
    }

    func notify(_ notice: SQLError) { notices.append(notice) }

    /// The client is gone: rolls back and releases everything.
    package func close() {
        dropPortals()
        dropStatements()
        let last = transaction
        transaction = nil
        last?.rollback()
    }

    // MARK: Simple protocol

    /// How often a statement outside of a transaction is run again after a conflict.
    private static let attempts = 20

    /// Some wait for nothing.
    private static let statementsPerTurn = 64

    /// Runs all statements of a text, in one implicit transaction unless they say otherwise.
    package func simpleQuery(
        _ text: String, into sink: any ResultSink
    ) async throws(SQLError) {
        cancellation.reset()
        statements.remove("")
        portals.remove("")
        do throws(SQLError) {
            let isAlone = transaction == nil
            if let (prepared, values) = await cached(text) {
                do throws(SQLError) {
                    return try await run(prepared, values, sink, isLast: true, isAlone: isAlone)
                } catch {
                    guard prepared.isOutdated else { throw error }
                    if isAlone { await abort() }
                }
            }
            var (parsed, isDeep) = try await parse(text)
            if parsed.isEmpty { return sink.emptyQuery() }
            let source = SourceText(text)
            isInSeries = parsed.count > 1
            defer { isInSeries = false }
            var rest = Array(parsed.reversed())
            parsed = []
            var count = 0
            while let statement = rest.popLast() {
                count += 1
                if count % Self.statementsPerTurn == 0 {
                    await Task.yield()
                    try cancellation.check()
                }
                let prepared = PreparedStatement(
                    statement, source: source, isDeep: isDeep, declared: [], mayChangeShape: true,
                    meter: meter)
                try await run(
                    prepared, [], sink, isLast: rest.isEmpty,
                    isAlone: rest.isEmpty && !isInSeries && isAlone)
            }
        } catch {
            await abort()
            throw error
        }
    }

    /// The statements of a text, and whether they nest so deeply that only a worker can take them.
    func parse(
        _ text: String
    ) async throws(SQLError) -> (statements: [Statement], isDeep: Bool) {
        let end = cancellation.limit(settings.statementTimeout, environment)
        defer { end() }
        // What nests deeply in a short text is found out at once, what is long is no work for here.
        let isLong = text.utf8.count > Parser.shortText
        let levels = try isLong ? 0 : NestingLimit.levels(of: text)
        return try await meter.compute(isDeep: isLong || levels > NestingLimit.fewLevels) {
            () throws(SQLError) in
            let levels = try isLong ? NestingLimit.levels(of: text) : levels
            let (statements, deepest) = try Parser.parse(text)
            return (statements, max(levels, deepest) > NestingLimit.fewLevels)
        }
    }

    /// Runs one statement of a text, at most for the time that a statement may take.
    private func run(
        _ prepared: PreparedStatement, _ values: [Datum], _ sink: any ResultSink, isLast: Bool,
        isAlone: Bool
    ) async throws(SQLError) {
        let end = cancellation.limit(settings.statementTimeout, environment)
        defer { end() }
        if isAlone { return try await runAlone(prepared, values, sink) }
        try await run(prepared, values, sink, isLast: isLast)
    }

    /// Runs a statement that is a transaction of its own, again if it loses against another.
    private func runAlone(
        _ prepared: PreparedStatement, _ values: [Datum], _ sink: any ResultSink
    ) async throws(SQLError) {
        var attempts = 0
        while true {
            do {
                return try await run(prepared, values, sink, isLast: true)
            } catch {
                attempts += 1
                guard error.state == "40001" || error.state == "40P01", !hasOutput,
                    attempts < Self.attempts, transaction?.isExplicit != true
                else { throw error }
                await abort()
            }
        }
    }

    /// Runs one statement of a text; the last one commits before the client hears of its success.
    private func run(
        _ prepared: PreparedStatement, _ values: [Datum], _ sink: any ResultSink, isLast: Bool
    ) async throws(SQLError) {
        let portal = Portal(prepared, parameters: values, meter: meter)
        hasOutput = false
        if let count = try fastRead(portal, into: sink) {
            if isLast, let transaction, !transaction.isExplicit { try await commit() }
            return sink.complete(tag: "SELECT \(count)")
        }
        try await start(portal, sink)
        let tag = try await fetchAll(portal, sink)
        if isLast, let transaction, !transaction.isExplicit { try await commit() }
        sink.complete(tag: tag)
    }

    // MARK: Texts that come again

    /// The statement and the values of its literals, if the text is one whose plan is kept.
    private func cached(_ text: String) async -> (PreparedStatement, [Datum])? {
        guard transaction?.isFailed != true, let template = StatementCache.template(text) else {
            return nil
        }
        let known: PreparedStatement?
        switch cache.statement(template) {
        case .some(nil): return nil
        case .some(let found?) where found.plan.map(isCurrent) ?? false: known = found
        default: known = await prepare(template)
        }
        guard let known, let types = known.plan?.parameters, types.count == template.literals.count
        else { return nil }
        var values: [Datum] = []
        values.reserveCapacity(types.count)
        let time = timeContext
        for (literal, type) in zip(template.literals, types) {
            switch literal {
            case .integer(let value): values.append(.int(value))
            case .string(let text):
                guard let value = try? Datum.parse(text: text, as: type, time: time) else {
                    return nil
                }
                values.append(value)
            }
        }
        return (known, values)
    }

    private func prepare(_ template: StatementCache.Template) async -> PreparedStatement? {
        do {
            let (parsed, isDeep) = try await parse(template.text)
            let declared: [SQLType?] = template.literals.map {
                if case .integer = $0 { .int4 } else { nil }
            }
            let prepared = PreparedStatement(
                parsed.first, source: SourceText(template.text), isDeep: isDeep, declared: declared,
                mayChangeShape: true, isTemplate: true)
            // To plan it may have to read definitions, for as long as there is a leader to wait for.
            let end = cancellation.limit(settings.statementTimeout, environment)
            defer { end() }
            _ = try await currentPlan(of: prepared)
            cache.keep(prepared, for: template)
            return prepared
        } catch {
            // Other failures may come from the state of the database, which changes.
            if ["42601", "0A000", "42P18"].contains(error.state) {
                cache.keep(nil, for: template)
            }
            return nil
        }
    }
}
