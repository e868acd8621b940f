import SteleBase
import SteleClock
import SteleEngine

/// How a leader reads without waiting for the disk.
///
/// Requests are evaluated from what the engine has in memory. Where that does not do, the request
/// waits, the host makes the same read in a thread that may wait, which brings what was missing into
/// memory, and the request is looked at anew. So a scan of cold rows holds up nobody else.
///
/// What was brought in may be gone by then, where memory is scarce: a request that has missed it
/// a few times reads from disk in its turn.
package struct DiskRead: Sendable {
    enum Subject: Sendable {
        case newest([KeyBytes], at: Timestamp)
        case versions(KeyBytes, above: Timestamp)
        case page(KeyRange, at: Timestamp, ScanLimits, reverse: Bool)
        case change(KeyRange, above: Timestamp, keys: Int)
    }

    package var tablet: TabletID
    /// The request that waits.
    var ticket: UInt64
    var subject: Subject

    /// Makes the read. What is wrong with it shows when the request makes it itself.
    package func perform(on engine: any EngineReader) {
        switch subject {
        case .newest(let keys, let timestamp):
            for key in keys { _ = try? engine.newestVersion(of: key, at: timestamp) }
        case .versions(let key, let timestamp):
            _ = try? engine.versions(of: key, above: timestamp, limit: .max)
        case .page(let range, let timestamp, let limits, let reverse):
            var page = ScanPage()
            try? engine.scan(
                range, at: timestamp, limits: limits, reverse: reverse, into: &page)
        case .change(let range, let timestamp, let keys):
            _ = try? engine.firstChange(in: range, above: timestamp, keys: keys)
        }
    }
}

/// The engine as the evaluation of a request sees it.
struct RequestReader {
    private let engine: any StorageEngine
    private let inMemory: any EngineReader
    /// Whether the request has missed what it needs so often that it waits for the disk.
    var isPatient = false
    /// What the last read lacked.
    var missing: DiskRead.Subject?

    init(_ engine: any StorageEngine) {
        self.engine = engine
        inMemory = engine.inMemory
    }

    /// So often a request has what it needs fetched.
    static let mostFetches = 3

    private var reader: any EngineReader { isPatient ? engine : inMemory }

    mutating func newestVersion(
        of key: KeyBytes, at timestamp: Timestamp
    ) throws(EngineError) -> Version? {
        do {
            return try reader.newestVersion(of: key, at: timestamp)
        } catch {
            throw note(.newest([key], at: timestamp), error)
        }
    }

    mutating func versions(
        of key: KeyBytes, above timestamp: Timestamp
    ) throws(EngineError) -> [Version] {
        do {
            return try reader.versions(of: key, above: timestamp, limit: .max)
        } catch {
            throw note(.versions(key, above: timestamp), error)
        }
    }

    mutating func scan(
        _ range: KeyRange, at timestamp: Timestamp, limits: ScanLimits, reverse: Bool,
        into page: inout ScanPage
    ) throws(EngineError) {
        do {
            try reader.scan(range, at: timestamp, limits: limits, reverse: reverse, into: &page)
        } catch {
            throw note(.page(range, at: timestamp, limits, reverse: reverse), error)
        }
    }

    mutating func firstChange(
        in range: KeyRange, above timestamp: Timestamp, keys: Int
    ) throws(EngineError) -> ChangeSearch {
        do {
            return try reader.firstChange(in: range, above: timestamp, keys: keys)
        } catch {
            throw note(.change(range, above: timestamp, keys: keys), error)
        }
    }

    private mutating func note(_ subject: DiskRead.Subject, _ error: EngineError) -> EngineError {
        if error.code == .notInMemory { missing = subject }
        return error
    }
}

extension Tablet {
    /// What is to be fetched for a request that missed something: all its keys at once.
    func diskRead(for request: TabletRequest, ticket: UInt64) -> DiskRead? {
        guard var subject = reader.missing else { return nil }
        reader.missing = nil
        if case .newest(_, let timestamp) = subject {
            switch request.body {
            case .read(let keys, _): subject = .newest(keys, at: timestamp)
            case .lock(let lock): subject = .newest(lock.keys + lock.others, at: timestamp)
            case .commit, .scan, .release, .unlock: break
            }
        }
        return DiskRead(tablet: descriptor.id, ticket: ticket, subject: subject)
    }

    /// Looks anew at a request whose read was made.
    package func diskRead(done read: DiskRead) {
        if let waiter = waiting.remove(read.ticket) { evaluate(waiter, ticket: read.ticket) }
    }
}
