import SteleAPI

extension SQLError {
    /// What a client is told when the kernel fails.
    ///
    /// `unavailable` is 57P03 ("cannot connect now"): the connection is fine, the data cannot be
    /// reached at the moment, and clients wait and try again on it.
    init(_ error: SteleError) {
        switch error.code {
        case .conflict:
            self.init("40001", "could not serialize access due to concurrent update")
        case .snapshotTooOld: self.init("72000", "snapshot too old")
        case .deadlock: self.init("40P01", "deadlock detected")
        case .lockNotAvailable: self.init("55P03", "could not obtain lock on row")
        case .commitOutcomeUnknown: self.init("40003", error.message)
        case .unavailable, .notInitialized, .timedOut: self.init("57P03", error.message)
        case .limitExceeded: self.init("54000", error.message)
        case .cancelled: self = .cancelled
        case .overloaded: self.init("53000", error.message)
        case .storage: self.init("58030", error.message)
        case .stopped: self.init("57P01", error.message)
        case .unsupported: self.init("0A000", error.message)
        case .transactionClosed: self.init("25P02", error.message)
        default: self.init("XX000", error.message)
        }
    }

    /// The statement took longer than `statement_timeout`.
    static let timedOut = SQLError("57014", "canceling statement due to statement timeout")

    /// The statement was cancelled by a request of the client's.
    static let cancelled = SQLError("57014", "canceling statement due to user request")
}
