import Foundation
import SteleBase
import SteleClock
import SteleEngine
import SteleRocksDB
import Testing

/// The engines that the conformance suite runs on.
enum EngineKind: String, CaseIterable, Sendable {
    case memory
    case rocksDB
}

/// Runs `body` on a fresh engine, which lets any history be written, and removes afterwards what that
/// left on disk.
func withEngine(_ kind: EngineKind, _ body: (any StorageEngine) throws -> Void) throws {
    switch kind {
    case .memory:
        try body(MemoryEngine(checksHistory: false))
    case .rocksDB:
        try withTemporaryDirectory { directory in
            let engine = try RocksDBEngine(directory: directory + "/store", options: .small)
            defer { engine.close() }
            try body(engine)
        }
    }
}

/// The same with an engine that refuses what is against the invariant of watermarks.
func withCheckingEngine(_ kind: EngineKind, _ body: (any StorageEngine) throws -> Void) throws {
    switch kind {
    case .memory:
        try body(MemoryEngine())
    case .rocksDB:
        try withTemporaryDirectory { directory in
            var options = RocksDBEngine.Options.small
            options.checksHistory = true
            let engine = try RocksDBEngine(directory: directory + "/store", options: options)
            defer { engine.close() }
            try body(engine)
        }
    }
}

/// Runs `body` with the path of a new directory, and removes it afterwards.
func withTemporaryDirectory(_ body: (String) throws -> Void) throws {
    let directory = FileManager.default.temporaryDirectory
        .appendingPathComponent("stele-engine-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: directory) }
    try body(directory.path)
}

extension RocksDBEngine.Options {
    /// Memtables so small that RocksDB flushes by itself in the middle of a test.
    static let small = Self(cacheBytes: 4 << 20, writeBufferBytes: 1 << 20)
}

/// The bytes of a list that `build` fills.
func mutations(_ build: (inout MutationList) -> Void) -> ArraySlice<UInt8> {
    var list = MutationList()
    build(&list)
    return list.bytes[...]
}

func key(_ text: String) -> KeyBytes { Array(text.utf8) }

func time(_ value: UInt64) -> Timestamp { Timestamp(rawValue: value) }

let writerID = TransactionID(7)

func intent(
    _ value: [UInt8]?, by transaction: TransactionID = writerID, at timestamp: Timestamp = time(1),
    anchor: KeyBytes = key("anchor")
) -> Intent {
    Intent(
        owner: IntentOwner(
            transaction: transaction, timestamp: timestamp, sequence: 3, anchor: anchor),
        value: value)
}

extension StorageEngine {
    /// Applies one list, with no applied index.
    func apply(_ build: (inout MutationList) -> Void) throws {
        try apply([mutations(build)], applied: nil)
    }

    func apply(_ lists: [ArraySlice<UInt8>]) throws { try apply(lists, applied: nil) }
}

extension EngineReader {
    func page(
        _ range: KeyRange = .all, at timestamp: Timestamp = .max,
        limits: ScanLimits = ScanLimits(), reverse: Bool = false
    ) throws -> ScanPage {
        try page(range, at: ReadPoint(timestamp), limits: limits, reverse: reverse)
    }

    func page(
        _ range: KeyRange = .all, at point: ReadPoint, limits: ScanLimits = ScanLimits(),
        reverse: Bool = false
    ) throws -> ScanPage {
        var page = ScanPage()
        try scan(range, at: point, limits: limits, reverse: reverse, into: &page)
        return page
    }

    /// The first change of a range, looked for a few keys at a time.
    func firstChange(
        in range: KeyRange, above timestamp: Timestamp, step: Int = 2
    ) throws -> KeyBytes? {
        var rest = range
        while true {
            let found = try firstChange(in: rest, above: timestamp, keys: step)
            #expect(found.visited <= max(step, 1))
            if let key = found.changedKey { return key }
            guard let resumeKey = found.resumeKey else { return nil }
            #expect(found.visited == max(step, 1))
            rest.start = resumeKey
        }
    }

    /// One key, with the value that went into the buffer.
    func read(_ key: KeyBytes, at point: ReadPoint) throws -> (ReadOutcome, [UInt8]) {
        var buffer: [UInt8] = []
        let outcome = try read(key, at: point, into: &buffer)
        return (outcome, buffer)
    }

    /// Every row of a range, page by page.
    func rows(
        _ range: KeyRange, at timestamp: Timestamp, limits: ScanLimits, reverse: Bool
    ) throws -> [PlainRow] {
        var rows: [PlainRow] = []
        var rest = range
        while true {
            let page = try page(rest, at: timestamp, limits: limits, reverse: reverse)
            rows += page.plainRows
            guard let resumeKey = page.resumeKey else { return rows }
            if reverse { rest.end = resumeKey + [0] } else { rest.start = resumeKey }
        }
    }

    func appliedState(tablet: TabletID, replica: ReplicaID) throws -> AppliedState? {
        let key = LocalKey(tablet: tablet, replica: replica, item: .applied).bytes
        guard let value = try value(of: key, in: .local) else { return nil }
        return try AppliedState(tablet: tablet, replica: replica, localValue: value)
    }
}

/// A row that owns its bytes, to compare.
struct PlainRow: Hashable {
    var key: KeyBytes
    var value: [UInt8]
    var timestamp: Timestamp
}

extension ScanPage {
    var plainRows: [PlainRow] {
        rows.map {
            PlainRow(key: Array($0.key), value: Array($0.value), timestamp: $0.timestamp)
        }
    }

    /// The keys as text.
    var keys: [String] { rows.map { String(decoding: $0.key, as: UTF8.self) } }
}

struct PlainPair: Hashable {
    var key: [UInt8]
    var value: [UInt8]
}

extension EngineReader {
    /// All pairs of a range, page by page.
    func plainPairs(
        of range: KeyRange, in family: PlainFamily, limits: PairLimits = PairLimits(pairs: 50)
    ) throws -> [PlainPair] {
        var found: [PlainPair] = []
        var rest = range
        while true {
            let page = try pairs(of: rest, in: family, limits: limits)
            found += page.plainPairs
            guard let resumeKey = page.resumeKey else { return found }
            rest.start = resumeKey
        }
    }

    /// All intents, page by page.
    func allIntents() throws -> [(key: KeyBytes, intent: Intent)] {
        var found: [(key: KeyBytes, intent: Intent)] = []
        var rest = KeyRange.all
        while true {
            let page = try intents(in: rest, limits: PairLimits(pairs: 50))
            found += page.intents
            guard let resumeKey = page.resumeKey else { return found }
            rest.start = resumeKey
        }
    }
}

extension Thread {
    /// Runs `body` on a thread of its own; the semaphore is signalled at its end.
    static func start(_ body: @escaping @Sendable () -> Void) -> DispatchSemaphore {
        let ended = DispatchSemaphore(value: 0)
        detachNewThread {
            body()
            ended.signal()
        }
        return ended
    }
}

extension PairPage {
    var plainPairs: [PlainPair] { pairs.map { PlainPair(key: $0.key, value: $0.value) } }
}
