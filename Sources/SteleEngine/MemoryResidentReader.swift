import SteleBase
import SteleClock

/// Reads a memory engine as one that has a disk below it is read from memory: some reads fail.
final class MemoryResidentReader: EngineReader {
    private let engine: MemoryEngine

    init(of engine: MemoryEngine) { self.engine = engine }

    private func present() throws(EngineError) -> MemoryEngine {
        let isMissing = engine.state.withLock { $0.misses }
        guard isMissing?() ?? false else { return engine }
        throw EngineError(.notInMemory, "the read needs the disk")
    }

    func read(
        _ key: KeyBytes, at point: ReadPoint, into buffer: inout [UInt8]
    ) throws(EngineError) -> ReadOutcome {
        try present().read(key, at: point, into: &buffer)
    }

    func read(
        _ keys: [KeyBytes], at point: ReadPoint, into buffer: inout [UInt8]
    ) throws(EngineError) -> [ReadOutcome] {
        try present().read(keys, at: point, into: &buffer)
    }

    func newestVersion(
        of key: KeyBytes, at timestamp: Timestamp
    ) throws(EngineError) -> Version? {
        try present().newestVersion(of: key, at: timestamp)
    }

    func versions(
        of key: KeyBytes, above timestamp: Timestamp, limit: Int
    ) throws(EngineError) -> [Version] {
        try present().versions(of: key, above: timestamp, limit: limit)
    }

    func scan(
        _ range: KeyRange, at point: ReadPoint, limits: ScanLimits, reverse: Bool,
        into page: inout ScanPage
    ) throws(EngineError) {
        try present().scan(range, at: point, limits: limits, reverse: reverse, into: &page)
    }

    func firstChange(
        in range: KeyRange, above timestamp: Timestamp, keys: Int
    ) throws(EngineError) -> ChangeSearch {
        try present().firstChange(in: range, above: timestamp, keys: keys)
    }

    func obsoleteDeletions(
        in range: KeyRange, upTo timestamp: Timestamp, keys: Int
    ) throws(EngineError) -> ObsoleteDeletions {
        try present().obsoleteDeletions(in: range, upTo: timestamp, keys: keys)
    }

    func value(of key: [UInt8], in family: PlainFamily) throws(EngineError) -> [UInt8]? {
        try present().value(of: key, in: family)
    }

    func pairs(
        of range: KeyRange, in family: PlainFamily, limits: PairLimits
    ) throws(EngineError) -> PairPage {
        try present().pairs(of: range, in: family, limits: limits)
    }
}

extension MemoryEngine {
    package var inMemory: any EngineReader { MemoryResidentReader(of: self) }

    /// From now on each read through ``inMemory`` fails for which `isMissing` says so. For tests.
    package func setMissing(_ isMissing: @escaping @Sendable () -> Bool) {
        state.withLock { $0.misses = isMissing }
    }
}
