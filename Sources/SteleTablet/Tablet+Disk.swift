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
/// a few times without getting on reads from disk in its turn.
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
    /// Reads that do not wait for the disk.
    let inMemory: any EngineReader
    /// How many reads may still wait for the disk, because the request has missed what it needs so
    /// often.
    var patience = 0
    /// What the last read lacked.
    var missing: DiskRead.Subject?

    init(_ engine: any StorageEngine) {
        self.engine = engine
        inMemory = engine.inMemory
    }

    /// So often a request has what it needs fetched before it is patient.
    static let mostFetches = 3

    mutating func newestVersion(
        of key: KeyBytes, at timestamp: Timestamp
    ) throws(EngineError) -> Version? {
        do {
            return try inMemory.newestVersion(of: key, at: timestamp)
        } catch {
            try wait(for: .newest([key], at: timestamp), after: error)
            return try engine.newestVersion(of: key, at: timestamp)
        }
    }

    mutating func versions(
        of key: KeyBytes, above timestamp: Timestamp
    ) throws(EngineError) -> [Version] {
        do {
            return try inMemory.versions(of: key, above: timestamp, limit: .max)
        } catch {
            try wait(for: .versions(key, above: timestamp), after: error)
            return try engine.versions(of: key, above: timestamp, limit: .max)
        }
    }

    mutating func scan(
        _ range: KeyRange, at timestamp: Timestamp, limits: ScanLimits, reverse: Bool,
        into page: inout ScanPage
    ) throws(EngineError) {
        do {
            try inMemory.scan(range, at: timestamp, limits: limits, reverse: reverse, into: &page)
        } catch {
            try wait(for: .page(range, at: timestamp, limits, reverse: reverse), after: error)
            page = ScanPage()
            try engine.scan(range, at: timestamp, limits: limits, reverse: reverse, into: &page)
        }
    }

    mutating func firstChange(
        in range: KeyRange, above timestamp: Timestamp, keys: Int
    ) throws(EngineError) -> ChangeSearch {
        do {
            return try inMemory.firstChange(in: range, above: timestamp, keys: keys)
        } catch {
            try wait(for: .change(range, above: timestamp, keys: keys), after: error)
            return try engine.firstChange(in: range, above: timestamp, keys: keys)
        }
    }

    /// Lets a read that missed something wait for the disk, if the request is patient.
    private mutating func wait(
        for subject: DiskRead.Subject, after error: EngineError
    ) throws(EngineError) {
        guard error.code == .notInMemory else { throw error }
        guard patience > 0 else {
            missing = subject
            throw error
        }
        patience -= 1
    }
}

extension Tablet {
    /// What is to be fetched for a request that missed something: all its keys at once, or, of a
    /// commit, those that it looks at next.
    func diskRead(for waiter: WaitingRequest, ticket: UInt64) -> DiskRead? {
        guard var subject = reader.missing else { return nil }
        reader.missing = nil
        if case .newest(let missed, let timestamp) = subject {
            switch waiter.request.body {
            case .read(let keys, _): subject = .newest(keys, at: timestamp)
            case .lock(let lock): subject = .newest(lock.keys + lock.others, at: timestamp)
            case .commit(let commit):
                let expected = commit.expected.map(\.key)
                let next = waiter.progress.map { Self.pointsAhead(in: commit, $0) } ?? []
                let together = [next, expected].first { $0.contains(missed[0]) }
                subject = .newest(together ?? missed, at: timestamp)
            case .scan, .release, .unlock: break
            }
        }
        return DiskRead(tablet: descriptor.id, ticket: ticket, subject: subject)
    }

    /// The next keys that the validation of a commit asks the engine about.
    private static func pointsAhead(
        in commit: TabletRequest.CommitRequest, _ progress: CommitProgress
    ) -> [KeyBytes] {
        guard let walk = progress.reads?.walk else { return [] }
        let reads = CommitReads(commit)
        let end = min(walk.point + Limits.keysAtOnce, reads.pointCount)
        return (min(walk.point, end)..<end).map(reads.point)
    }

    /// Looks anew at a request whose read was made.
    package func diskRead(done read: DiskRead) {
        if let waiter = waiting.remove(read.ticket) { evaluate(waiter, ticket: read.ticket) }
    }
}
