import SteleBase
import Synchronization

@testable import SteleSQL

/// A session for tests, whose results are text.
final class TestSession {
    let session: SQLSession
    let sink = TextSink()

    init(
        _ node: TestNode, parameters: [(String, String)] = [], turnBudget: Int? = nil,
        offload: @escaping SQLEnvironment.Offload = TestWorker.run
    ) throws {
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
        try await session.simpleQuery(text, into: sink)
        return sink.lines
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
        do {
            try await session.prepare("", text, parameterTypes: types)
            try await session.bind(
                portal: "", statement: "", parameterFormats: [],
                parameters: values.map { $0.map { Array($0.utf8)[...] } }, resultFormats: [])
            try await session.execute(portal: "", maxRows: maxRows, into: sink)
            try await session.sync()
        } catch {
            session.fail()
            try await session.sync()
            throw error
        }
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

    func columns(_ columns: [ResultColumn]) {
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
