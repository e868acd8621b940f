/// How grave a message has to be for a client to be told: `client_min_messages`.
enum MessageLevel: Int, Comparable {
    case notice, warning, error

    /// Of the levels that PostgreSQL has; those below a notice have no messages here.
    init?(_ name: String) {
        switch name.lowercased() {
        case "debug5", "debug4", "debug3", "debug2", "debug1", "debug", "log", "info", "notice":
            self = .notice
        case "warning": self = .warning
        case "error", "fatal", "panic": self = .error
        default: return nil
        }
    }

    static func < (left: MessageLevel, right: MessageLevel) -> Bool {
        left.rawValue < right.rawValue
    }
}

extension SQLError {
    /// Whether a message that is no failure is a warning: those are of their own SQLSTATE class, 01,
    /// or say that a transaction statement makes no sense in the present state, class 25.
    package var isWarning: Bool { state.hasPrefix("01") || state.hasPrefix("25") }
}

extension SQLSession {
    /// Whether the client wants to be told of something that is no failure.
    package func tells(_ notice: SQLError) -> Bool {
        (notice.isWarning ? .warning : MessageLevel.notice) >= settings.messageLevel
    }

    /// The client is about to be idle: ends the session if it stays so for longer than it may.
    ///
    /// - Parameter end: is called at most once, with the reason.
    /// - Returns: what to call when the client has said something; nil if it may be idle for ever.
    package func limitIdleTime(
        _ end: @escaping @Sendable (SQLError) -> Void
    ) -> (() -> Void)? {
        let isInTransaction = transactionStatus != .idle
        let milliseconds =
            isInTransaction ? settings.idleInTransactionTimeout : settings.idleTimeout
        guard milliseconds > 0 else { return nil }
        let reason =
            isInTransaction
            ? SQLError("25P03", "terminating connection due to idle-in-transaction timeout")
            : SQLError("57P05", "terminating connection due to idle-session timeout")
        return environment.schedule(milliseconds) { end(reason) }
    }
}
