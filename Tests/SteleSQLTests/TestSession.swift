import PostgresJudge
import SteleBase
import Synchronization
import Testing

@testable import SteleSQL

/// A session for tests, whose results are text.
final class TestSession {
    let session: SQLSession
    let sink = TextSink()
    /// PostgreSQL 15, if it judges the answers.
    private let judge: Judge?

    /// - Parameter isJudged: whatever is run is run by PostgreSQL 15 too, if it is there, which must
    ///   answer the same. It must not wait for another session then.
    init(
        _ node: TestNode, parameters: [(String, String)] = [], turnBudget: Int? = nil,
        offload: @escaping SQLEnvironment.Offload = TestWorker.run, isJudged: Bool = false
    ) throws {
        judge = isJudged ? try Judge(settings: parameters) : nil
        var environment = SQLEnvironment(
            clock: node.clock, nextRowID: node.nextRowID, random: { .random(in: 0 ... .max) },
            schedule: Self.schedule, offload: offload, processID: 7, zones: TestZones.database)
        if let turnBudget { environment.turnBudget = turnBudget }
        session = try SQLSession(
            database: node.backend, catalog: node.catalog, environment: environment,
            startupParameters: parameters)
        sink.zone = { [session] in session.zone }
    }

    private static let schedule: SQLEnvironment.Schedule = { milliseconds, action in
        let task = Task {
            try await Task.sleep(for: .milliseconds(milliseconds))
            action()
        }
        return { task.cancel() }
    }

    /// Runs a text and returns its results: rows with fields between bars, then the tag.
    @discardableResult
    func run(_ text: String, copy data: [String] = []) async throws -> [String] {
        sink.lines = []
        sink.copyData = data.map { Array($0.utf8)[...] }[...]
        let expected = try judge?.answer(to: text, copyData: data.map { Array($0.utf8) })
        do {
            try await session.simpleQuery(text, into: sink)
        } catch {
            compare(expected, error, text)
            throw error
        }
        compare(expected, nil, text)
        return sink.lines
    }

    /// What differs between any two servers, and what they are documented to answer differently:
    /// how deep a statement may nest.
    private static func isItsOwn(_ text: String) -> Bool {
        [
            "now()", "current_date", "current_timestamp", "localtimestamp", "current_database",
            "pg_backend_pid", "version()", "random", "show all", "freeze",
        ].contains(where: text.contains) || text.utf8.count > 10_000
    }

    /// The same lines, or an error of the same SQLSTATE; what messages say is each server's own.
    private func compare(_ expected: Answer?, _ error: SQLError?, _ text: String) {
        guard let expected, !Self.isItsOwn(text), error?.state != "0A000" else { return }
        let found = sink.lines.filter { !$0.hasPrefix("notice ") }
        let isSame =
            expected.error == nil && error == nil
            ? expected.lines == found : expected.error == error?.state
        guard !isSame else { return }
        let theirs = expected.error.map { "\($0) \(expected.message ?? "")" } ?? "\(expected.lines)"
        let ours = error.map { "\($0.state) \($0.message)" } ?? "\(found)"
        Issue.record("\(text)\n  PostgreSQL: \(theirs)\n  Stele:      \(ours)")
    }

    /// The SQLSTATE and message of the error that a text ends with.
    func failure(_ text: String, copy data: [String] = []) async -> String {
        do {
            return "no error: \(try await run(text, copy: data))"
        } catch let error as SQLError {
            return "\(error.state) \(error.message)"
        } catch { return "\(error)" }
    }

    func error(_ text: String) async -> SQLError? {
        do {
            try await run(text)
            return nil
        } catch { return error as? SQLError }
    }

    /// Fetches the first row of a statement, through a portal that can be gone on with.
    func begin(_ text: String, as name: String) async throws {
        try await session.prepare(name, text, parameterTypes: [])
        try await session.bind(
            portal: name, statement: name, parameterFormats: [], parameters: [], resultFormats: [])
        try await session.execute(portal: name, maxRows: 1, into: sink)
    }

    /// Runs a statement in the extended protocol and returns its results.
    func extended(
        _ text: String, _ values: [String?] = [], types: [UInt32] = [], maxRows: Int = 0
    ) async throws -> [String] {
        sink.lines = []
        let expected = try judge?.answer(to: text, values, types: types, maxRows: maxRows)
        do {
            try await session.prepare("", text, parameterTypes: types)
            try await session.bind(
                portal: "", statement: "", parameterFormats: [],
                parameters: values.map { $0.map { Array($0.utf8)[...] } }, resultFormats: [])
            try await session.execute(portal: "", maxRows: maxRows, into: sink)
            try await session.sync()
        } catch {
            await session.fail()
            try await session.sync()
            compare(expected, error, text)
            throw error
        }
        compare(expected, nil, text)
        return sink.lines
    }
}

/// What the sessions of one node share.
final class TestNode: Sendable {
    let backend: MemoryBackend
    let catalog = SQLCatalogCache()
    private let rowIDs: Atomic<UInt64>
    private let time = Atomic<Int64>(800_000_000_000_000)

    init(_ backend: MemoryBackend = MemoryBackend(), firstRowID: UInt64 = 1) {
        self.backend = backend
        rowIDs = Atomic(firstRowID)
    }

    var nextRowID: @Sendable () -> UInt64 {
        { self.rowIDs.add(1, ordering: .relaxed).oldValue }
    }

    var clock: @Sendable () -> Int64 {
        { self.time.add(1_000_000, ordering: .relaxed).oldValue }
    }
}

/// Collects results as text.
final class TextSink: ResultSink {
    var lines: [String] = []
    var described: [ResultColumn] = []
    var copyData: ArraySlice<ArraySlice<UInt8>> = []
    var types: [SQLType] = []
    var zone: () -> TimeZone = { .utc }
    /// Called when a result begins.
    var onColumns: () -> Void = {}

    func columns(_ columns: [ResultColumn]) {
        onColumns()
        described = columns
        types = columns.map(\.type)
    }

    func row(_ values: [Datum]) {
        lines.append(
            zip(values, types).map { $0.isNull ? "∅" : $0.text(as: $1, zone: zone()) }.joined(separator: "|"))
    }

    func complete(tag: String) { lines.append(tag) }
    func suspended() { lines.append("suspended") }
    func emptyQuery() { lines.append("empty") }
    func notice(_ notice: SQLError) { lines.append("notice \(notice.message)") }
    func copyIn(columns: Int, binary: Bool) { lines.append("copy \(columns)") }
    func nextCopyData() async throws(SQLError) -> ArraySlice<UInt8>? { copyData.popFirst() }
    func flushIfNeeded() async throws(SQLError) {}
}
