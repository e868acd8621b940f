import SteleSQL

// Errors and notices share one layout: tagged strings in any order, ended by a NUL. Clients read
// the SQLSTATE (C) and, for constraint violations, the names (s t c n).

/// How grave an error or a notice is.
package enum Severity: String, Hashable, Sendable {
    case error = "ERROR"
    /// The connection ends after it.
    case fatal = "FATAL"
    case warning = "WARNING"
    case notice = "NOTICE"
}

extension BackendWriter {
    /// Reports a failure.
    package mutating func errorResponse(_ error: SQLError, _ severity: Severity = .error) {
        message("E") { $0.fields(error, severity) }
    }

    /// Reports something that is no failure.
    package mutating func noticeResponse(_ notice: SQLError) {
        message("N") { $0.fields(notice, notice.isWarning ? .warning : .notice) }
    }

    private mutating func fields(_ error: SQLError, _ severity: Severity) {
        field("S", severity.rawValue)
        field("V", severity.rawValue)
        field("C", error.state)
        field("M", error.message)
        field("D", error.detail)
        field("H", error.hint)
        field("P", error.position.map(String.init))
        field("W", error.context)
        field("s", error.table == nil ? nil : "public")
        field("t", error.table)
        field("c", error.column)
        field("n", error.constraint)
        bytes.append(0)
    }

    private mutating func field(_ tag: Unicode.Scalar, _ value: String?) {
        guard let value else { return }
        string(String(tag) + value)
    }
}
