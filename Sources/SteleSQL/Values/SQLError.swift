/// An error as a Postgres client sees it.
package struct SQLError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The five-character SQLSTATE.
    package var state: String
    package var message: String
    package var detail: String?
    package var hint: String?
    /// Position in the statement, counted in characters from 1.
    package var position: Int?
    /// What a constraint violation names: schema, table, column, constraint.
    package var table: String?
    package var column: String?
    package var constraint: String?
    /// In what part of the work it happened, such as a line of `COPY`.
    package var context: String?

    package init(
        _ state: String, _ message: String, detail: String? = nil, hint: String? = nil,
        position: Int? = nil, table: String? = nil, column: String? = nil,
        constraint: String? = nil
    ) {
        self.state = state
        self.message = message
        self.detail = detail
        self.hint = hint
        self.position = position
        self.table = table
        self.column = column
        self.constraint = constraint
    }

    /// A feature that this subset lacks: SQLSTATE 0A000.
    package static func unsupported(_ what: String, hint: String? = nil) -> SQLError {
        SQLError("0A000", "\(what) is not supported", hint: hint)
    }

    static func noParameter(_ number: Int) -> SQLError {
        SQLError("42P02", "there is no parameter $\(number)")
    }

    /// A plan reads what its source does not deliver. Never to be seen, and no reason to trap.
    static func noValue(ofColumn index: Int) -> SQLError {
        SQLError("XX000", "a row has no column \(index + 1)")
    }

    /// Whether a value was the reason, so that another row may be without fault: it is no value of
    /// its type, or makes a result that is too large or not supported.
    var isOfValue: Bool { state.hasPrefix("22") || state == "54000" || state == "0A000" }

    package var description: String { "\(state): \(message)" }
}
