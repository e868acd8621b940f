import SteleBase

/// What expressions depend on besides the row: parameters, clock, session.
final class StatementContext {
    let parameters: [Datum]
    /// The start of the transaction, and the session's zone.
    let time: TimeContext
    /// The start of the statement.
    let statementTime: Int64
    let environment: SQLEnvironment
    let settings: SessionSettings
    /// The milliseconds that `pg_sleep` asked for and that were not waited yet.
    var sleep = 0.0
    /// What `set_config` has changed, to be taken over by the session.
    var changes: [SettingChange] = []
    /// Whether the session still takes over changes.
    var takesChanges = true
    /// What the values take up that were computed for the present row and are still needed.
    var held = 0

    struct SettingChange {
        var name: String
        /// nil is the default.
        var value: String?
        var isLocal: Bool
    }

    init(
        parameters: [Datum], time: TimeContext, statementTime: Int64,
        environment: SQLEnvironment, settings: SessionSettings
    ) {
        self.parameters = parameters
        self.time = time
        self.statementTime = statementTime
        self.environment = environment
        self.settings = settings
    }

    /// Counts a value as long as others are computed beside it.
    func hold(_ value: Datum) throws(SQLError) {
        held += value.outsideBytes
        if held > Limits.statementBytes { throw MemoryMeter.exceeded }
    }

    /// The start of the transaction in microseconds since 2000.
    var now: Int64 { time.now ?? statementTime }
}
