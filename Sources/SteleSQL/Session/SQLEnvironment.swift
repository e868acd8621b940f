/// What a session knows of the node and of the client that it serves.
package struct SQLEnvironment: Sendable {
    package typealias Schedule =
        @Sendable (Int, _ action: @escaping @Sendable () -> Void) -> @Sendable () -> Void

    package typealias Offload = @Sendable (_ work: @escaping @Sendable () -> Void) -> Void

    /// The wall clock in microseconds since 2000-01-01 UTC.
    package var clock: @Sendable () -> Int64
    /// Numbers that are unique in the whole cluster, for rows of tables without a primary key.
    package var nextRowID: @Sendable () -> UInt64
    /// Runs an action after some milliseconds; what it returns calls it off.
    package var schedule: Schedule
    /// Does work that takes long somewhere else than where the session runs, on a stack that is deep
    /// enough for statements that nest ``NestingLimit/levels`` times.
    package var offload: Offload
    /// What a session may compute before others get their turn, in estimated nanoseconds.
    package var turnBudget = 1_000_000
    /// Draws what `random()` and `gen_random_uuid()` are made of; unpredictable in production.
    package var random: @Sendable () -> UInt64
    /// What `server_version` says; begins with a number as PostgreSQL's does.
    package var serverVersion: String
    /// What `pg_backend_pid()` says.
    package var processID: Int32
    package var user: String
    package var database: String
    /// Where time zones are found by name.
    package var zones: ZoneDatabase

    package init(
        clock: @escaping @Sendable () -> Int64, nextRowID: @escaping @Sendable () -> UInt64,
        random: @escaping @Sendable () -> UInt64, schedule: @escaping Schedule,
        offload: @escaping Offload,
        serverVersion: String = "15.0", processID: Int32 = 0, user: String = "postgres",
        database: String = "postgres", zones: ZoneDatabase = .none
    ) {
        self.zones = zones
        self.random = random
        self.schedule = schedule
        self.offload = offload
        self.clock = clock
        self.nextRowID = nextRowID
        self.serverVersion = serverVersion
        self.processID = processID
        self.user = user
        self.database = database
    }
}
