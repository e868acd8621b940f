import SteleAPI

/// One client's conversation with the database. All calls come from one task.
package final class SQLSession {
    package init(
        database: any DatabaseBackend, catalog: SQLCatalogCache, environment: SQLEnvironment,
        startupParameters: [(String, String)]
    ) throws(SQLError) {}

    package var transactionStatus: TransactionStatus { .idle }
    package var zone: ZoneOffset { .utc }
    package var reportedParameters: [(String, String)] { [] }
    package var canceller: @Sendable () -> Void { {} }
    package func takeChangedParameters() -> [(String, String)] { [] }
    package func takeNotices() -> [SQLError] { [] }
    package func simpleQuery(_ text: String, into sink: any ResultSink) async throws(SQLError) {
        if try Parser.parse(text).isEmpty { return sink.emptyQuery() }
        throw .unsupported("this statement")
    }
    package func prepare(
        _ name: String, _ text: String, parameterTypes: [UInt32]
    ) async throws(SQLError) {}
    package func describeStatement(
        _ name: String
    ) async throws(SQLError) -> (parameterTypes: [UInt32], columns: [ResultColumn]?) { ([], nil) }
    package func bind(
        portal: String, statement: String, parameterFormats: [Int16],
        parameters: [ArraySlice<UInt8>?], resultFormats: [Int16]
    ) async throws(SQLError) {}
    package func describePortal(_ name: String) async throws(SQLError) -> [ResultColumn]? { nil }
    package func execute(
        portal: String, maxRows: Int, into sink: any ResultSink
    ) async throws(SQLError) {}
    package func closeStatement(_ name: String) {}
    package func closePortal(_ name: String) {}
    package func sync() async throws(SQLError) {}
    package func fail() async {}
    package func close() async {}
}
