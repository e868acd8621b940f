import SteleBase
import SteleClock

/// Reads of a memory store, checked against the watermarks of the latest one.
protocol MemoryReader: EngineReader {
    /// The store that is read, and the engine's latest.
    var stores: (read: MemoryStore, latest: MemoryStore) { get }
}

/// One state of a memory engine. It is a copy, which shares what has not changed since.
final class MemorySnapshot: MemoryReader {
    private let store: MemoryStore
    private let engine: MemoryEngine

    init(of store: MemoryStore, in engine: MemoryEngine) {
        self.store = store
        self.engine = engine
    }

    var stores: (read: MemoryStore, latest: MemoryStore) { (store, engine.stores.latest) }
}

extension MemoryReader {
    package func read(
        _ key: KeyBytes, at point: ReadPoint, into buffer: inout [UInt8]
    ) throws(EngineError) -> ReadOutcome {
        let store = try store(for: key, at: point.timestamp)
        return store.read(key, at: point, into: &buffer)
    }

    package func read(
        _ keys: [KeyBytes], at point: ReadPoint, into buffer: inout [UInt8]
    ) throws(EngineError) -> [ReadOutcome] {
        let stores = stores
        for key in keys { try stores.latest.check(KeyRange(key: key), at: point.timestamp) }
        return keys.map { stores.read.read($0, at: point, into: &buffer) }
    }

    package func newestVersion(
        of key: KeyBytes, at timestamp: Timestamp
    ) throws(EngineError) -> Version? {
        try store(for: key, at: timestamp).newestVersion(of: key, at: timestamp)
    }

    package func versions(
        of key: KeyBytes, above timestamp: Timestamp, limit: Int
    ) throws(EngineError) -> [Version] {
        try store(for: key, at: timestamp).versions(of: key, above: timestamp, limit: limit)
    }

    package func scan(
        _ range: KeyRange, at point: ReadPoint, limits: ScanLimits, reverse: Bool,
        into page: inout ScanPage
    ) throws(EngineError) {
        let stores = stores
        try stores.latest.check(range, at: point.timestamp)
        stores.read.scan(range, at: point, limits: limits, reverse: reverse, into: &page)
    }

    package func firstChange(
        in range: KeyRange, above timestamp: Timestamp, keys: Int
    ) throws(EngineError) -> ChangeSearch {
        let stores = stores
        try stores.latest.check(range, at: timestamp)
        return stores.read.firstChange(in: range, above: timestamp, keys: keys)
    }

    package func obsoleteDeletions(
        in range: KeyRange, upTo timestamp: Timestamp, keys: Int
    ) throws(EngineError) -> ObsoleteDeletions {
        stores.read.obsoleteDeletions(in: range, upTo: timestamp, keys: keys)
    }

    package func value(of key: [UInt8], in family: PlainFamily) throws(EngineError) -> [UInt8]? {
        stores.read.value(of: key, in: family)
    }

    package func pairs(
        of range: KeyRange, in family: PlainFamily, limits: PairLimits
    ) throws(EngineError) -> PairPage {
        stores.read.pairs(of: range, in: family, limits: limits)
    }

    private func store(
        for key: KeyBytes, at timestamp: Timestamp
    ) throws(EngineError) -> MemoryStore {
        let stores = stores
        try stores.latest.check(KeyRange(key: key), at: timestamp)
        return stores.read
    }
}

extension MemoryStore {
    /// Refuses reads below a watermark of the range.
    fileprivate func check(
        _ range: @autoclosure () -> KeyRange, at timestamp: Timestamp
    ) throws(EngineError) {
        if watermarks.count == 0 { return }
        let range = range()
        let watermark = range.isEmpty ? .zero : self.watermark(in: range)
        if timestamp < watermark { throw EngineError(timestamp, below: watermark) }
    }
}
