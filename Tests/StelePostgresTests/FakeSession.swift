import StelePostgres
import SteleSQL
import Synchronization

// A session that answers a few made-up statements, and misbehaves on purpose where a real one
// would need effort to: endless results, statements that wait until they are cancelled.

/// Counts what a fake session was asked for, and lets a test look at it from outside.
final class FakeLog: Sendable {
    private let entries = Mutex<[String]>([])

    var all: [String] { entries.withLock { $0 } }

    func note(_ entry: String) { entries.withLock { $0.append(entry) } }
}

/// Waits for a cancel, which may have come before.
final class FakeCancel: Sendable {
    private struct State {
        var isCancelled = false
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let state = Mutex(State())

    func cancel() {
        let waiter = state.withLock { state in
            state.isCancelled = true
            return state.waiter.take()
        }
        waiter?.resume()
    }

    func wait() async {
        await withCheckedContinuation { continuation in
            let isCancelled = state.withLock { state in
                if !state.isCancelled { state.waiter = continuation }
                return state.isCancelled
            }
            if isCancelled { continuation.resume() }
        }
        state.withLock { $0.isCancelled = false }
    }
}

final class FakeSession: PostgresSession {
    private let log: FakeLog
    private let cancel = FakeCancel()
    private var statements: [String: String] = [:]
    private var portals: [String: (text: String, formats: [Int16], values: [String], next: Int)] =
        [:]
    private var changed: [(String, String)] = []
    private var notices: [SQLError] = []
    let zone = TimeZone.utc
    var transactionStatus = TransactionStatus.idle
    let reportedParameters = [("server_version", "15.0"), ("client_encoding", "UTF8")]

    init(_ log: FakeLog) { self.log = log }

    var canceller: @Sendable () -> Void {
        { [cancel] in cancel.cancel() }
    }

    func takeChangedParameters() -> [(String, String)] {
        defer { changed = [] }
        return changed
    }

    func tells(_ notice: SQLError) -> Bool { true }

    func limitIdleTime(_ end: @escaping @Sendable (SQLError) -> Void) -> (() -> Void)? { nil }

    func takeNotices() -> [SQLError] {
        defer { notices = [] }
        return notices
    }

    func simpleQuery(_ text: String, into sink: any ResultSink) async throws(SQLError) {
        log.note("query \(text)")
        let statements = text.split(separator: ";").map {
            $0.drop { $0 == " " }
        }
        guard !statements.isEmpty else { return sink.emptyQuery() }
        for statement in statements {
            if transactionStatus == .failed, statement != "rollback" { throw .aborted }
            do {
                try await run(String(statement), [], [], from: 0, limit: 0, sink, isSimple: true)
            } catch {
                if transactionStatus == .inTransaction { transactionStatus = .failed }
                throw error
            }
        }
    }

    func prepare(_ name: String, _ text: String, parameterTypes: [UInt32]) async throws(SQLError) {
        log.note("prepare \(name) \(text) \(parameterTypes)")
        if transactionStatus == .failed { throw .aborted }
        if text == "syntax error" {
            throw SQLError("42601", "syntax error at or near \"error\"", position: 8)
        }
        if !name.isEmpty, statements[name] != nil {
            throw SQLError("42P05", "prepared statement \"\(name)\" already exists")
        }
        statements[name] = text
    }

    func describeStatement(
        _ name: String
    ) async throws(SQLError) -> (parameterTypes: [UInt32], columns: [ResultColumn]?) {
        guard let text = statements[name] else { throw .noStatement(name) }
        return ([25], text.hasPrefix("rows") ? Self.columns([]) : nil)
    }

    func bind(
        portal: String, statement: String, parameterFormats: [Int16],
        parameters: [ArraySlice<UInt8>?], resultFormats: [Int16]
    ) async throws(SQLError) {
        guard let text = statements[statement] else { throw .noStatement(statement) }
        let values = parameters.map { $0.map { String(decoding: $0, as: UTF8.self) } ?? "NULL" }
        log.note("bind \(portal) \(statement) \(parameterFormats) \(values)")
        portals[portal] = (text, resultFormats, values, 0)
    }

    func describePortal(_ name: String) async throws(SQLError) -> [ResultColumn]? {
        guard let portal = portals[name] else { throw .noPortal(name) }
        return portal.text.hasPrefix("rows") ? Self.columns(portal.formats) : nil
    }

    func execute(portal: String, maxRows: Int, into sink: any ResultSink) async throws(SQLError) {
        log.note("execute \(portal) \(maxRows)")
        guard let found = portals[portal] else { throw .noPortal(portal) }
        try await run(
            found.text, found.formats, found.values, from: found.next, limit: maxRows, sink)
        portals[portal]?.next += maxRows
    }

    func closeStatement(_ name: String) { statements[name] = nil }

    func closePortal(_ name: String) { portals[name] = nil }

    func sync() async throws(SQLError) {
        log.note("sync")
        if statements[""] == "conflict" {
            statements[""] = nil
            throw SQLError("40001", "could not serialize access")
        }
    }

    func fail() {
        log.note("fail")
        if transactionStatus == .inTransaction { transactionStatus = .failed }
    }

    func close() { log.note("close") }

    /// "rows N", "endless", "begin", "rollback", "set", "notice", "copy", "wait", or failure.
    private func run(
        _ text: String, _ formats: [Int16], _ values: [String], from first: Int, limit: Int,
        _ sink: any ResultSink, isSimple: Bool = false
    ) async throws(SQLError) {
        let words = text.split(separator: " ")
        switch words.first {
        case "rows":
            let count = Int(words.last ?? "") ?? 0
            sink.columns(Self.columns(formats))
            let end = limit == 0 ? count : min(count, first + limit)
            for index in first..<end {
                sink.row([.int(Int64(index)), .text("row \(index)"), .null])
                try await sink.flushIfNeeded()
            }
            if end < count { sink.suspended() } else { sink.complete(tag: "SELECT \(end - first)") }
        case "long":
            sink.columns(Self.columns(formats))
            let text = String(repeating: "x", count: Int(words[1]) ?? 0)
            sink.row([.int(1), .text(text), .null])
            if words.last == "cancelled" {
                throw SQLError("57014", "canceling statement due to user request")
            }
            try await sink.flushIfNeeded()
            sink.complete(tag: "SELECT 1")
        case "begin":
            transactionStatus = .inTransaction
            sink.complete(tag: "BEGIN")
        case "rollback":
            transactionStatus = .idle
            sink.complete(tag: "ROLLBACK")
        case "set":
            changed.append(("application_name", "changed"))
            sink.complete(tag: "SET")
        case "notice":
            notices.append(SQLError("01000", "mind the gap"))
            sink.complete(tag: "NOTICE")
        case "copy":
            sink.copyIn(columns: 2, binary: false)
            var rows = 0
            while let data = try await sink.nextCopyData() {
                log.note("data \(String(decoding: data, as: UTF8.self))")
                if data.elementsEqual("bad".utf8) {
                    throw SQLError("22P02", "invalid input syntax")
                }
                rows += 1
            }
            sink.complete(tag: "COPY \(rows)")
        case "wait":
            log.note("waiting")
            await cancel.wait()
            throw SQLError("57014", "canceling statement due to user request")
        default:
            throw SQLError(
                "42P01", "relation \"\(text)\" does not exist", hint: "Look.", position: 15)
        }
    }

    private static func columns(_ formats: [Int16]) -> [ResultColumn] {
        let types: [(String, SQLType)] = [("n", .int4), ("t", .text), ("z", .bool)]
        return types.enumerated().map { index, column in
            ResultColumn(
                name: column.0, type: column.1, tableOID: 0, attributeNumber: 0,
                format: formats.count > 1 ? formats[index] : formats.first ?? 0)
        }
    }
}

extension SQLError {
    static let aborted = SQLError(
        "25P02", "current transaction is aborted, commands ignored until end of transaction block")

    static func noStatement(_ name: String) -> SQLError {
        SQLError("26000", "prepared statement \"\(name)\" does not exist")
    }

    static func noPortal(_ name: String) -> SQLError {
        SQLError("34000", "portal \"\(name)\" does not exist")
    }
}
