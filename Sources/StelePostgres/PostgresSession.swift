import SteleSQL

// The seam to the SQL engine. It is as wide as the protocol needs, so that the front can be tested
// against a session that misbehaves on purpose.

/// One client's session with the SQL engine. All calls come from the connection's one task.
package protocol PostgresSession: AnyObject {
    /// How the session's transaction stands.
    var transactionStatus: TransactionStatus { get }
    /// The zone that times are shown in.
    var zone: TimeZone { get }
    /// The settings that a client is told of at the start.
    var reportedParameters: [(String, String)] { get }
    /// Makes the running statement end with 57014 at its next wait; may be called from anywhere.
    var canceller: @Sendable () -> Void { get }

    /// The reported settings that changed since they were last asked for.
    func takeChangedParameters() -> [(String, String)]
    /// The notices since they were last asked for.
    func takeNotices() -> [SQLError]
    /// Whether the client wants to be told of something that is no failure.
    func tells(_ notice: SQLError) -> Bool
    /// The client is about to be idle, which it may be for some time only.
    ///
    /// - Returns: what to call when it has said something; nil if it may be idle for ever.
    func limitIdleTime(_ end: @escaping @Sendable (SQLError) -> Void) -> (() -> Void)?

    /// Runs all statements of a text, in one implicit transaction unless they say otherwise.
    func simpleQuery(_ text: String, into sink: any ResultSink) async throws(SQLError)

    /// Prepares a statement; the empty name stands for one that is replaced without asking.
    func prepare(
        _ name: String, _ text: String, parameterTypes: [UInt32]
    ) async throws(SQLError)
    /// The parameters and columns of a prepared statement; nil columns if it returns no rows.
    func describeStatement(
        _ name: String
    ) async throws(SQLError) -> (parameterTypes: [UInt32], columns: [ResultColumn]?)
    /// Makes a portal of a prepared statement and values for its parameters.
    func bind(
        portal: String, statement: String, parameterFormats: [Int16],
        parameters: [ArraySlice<UInt8>?], resultFormats: [Int16]
    ) async throws(SQLError)
    /// The columns of a portal; nil if it returns no rows.
    func describePortal(_ name: String) async throws(SQLError) -> [ResultColumn]?
    /// Runs a portal; 0 rows at most means all.
    func execute(
        portal: String, maxRows: Int, into sink: any ResultSink
    ) async throws(SQLError)
    /// Forgets a prepared statement, if there is one of this name.
    func closeStatement(_ name: String)
    /// Forgets a portal, if there is one of this name.
    func closePortal(_ name: String)

    /// Ends the implicit transaction of extended messages by committing it.
    func sync() async throws(SQLError)
    /// An extended message failed: rolls the implicit transaction back, or fails the explicit one.
    func fail() async
    /// The client is gone: rolls back and releases everything.
    func close()
}

extension SQLSession: PostgresSession {}
