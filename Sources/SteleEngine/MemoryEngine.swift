import SteleBase
import SteleClock

/// The storage engine in memory, deterministic, for the simulator and for tests.
///
/// It models durability, with the engine object standing for the disk: ``crash()`` takes it back to
/// the last completed flush, after which it is used again as a store that was just opened. A flush
/// can also be taken in two steps, ``beginFlush()`` and ``completeFlush(_:)``, so that a simulator
/// can let it take time, crash within it, or both.
package final class MemoryEngine: StorageEngine, MemoryReader {
    /// Names a flush that has begun.
    package struct FlushToken: Hashable, Sendable {
        fileprivate let number: UInt64
    }

    struct Image {
        var store = MemoryStore()
        /// All bytes ever applied up to this image.
        var appliedBytes = 0
    }

    struct State {
        var current = Image()
        /// What a crash leaves.
        var durable = Image()
        /// Begun flushes, oldest first.
        var pending: [(token: FlushToken, image: Image)] = []
        var flushCount: UInt64 = 0
        var pressure = WritePressure.normal
        /// Whether the next read through ``inMemory`` fails, as if the disk had to be asked.
        var misses: (@Sendable () -> Bool)?
    }

    let state = Locked(State())
    private let checksHistory: Bool

    /// - Parameter checksHistory: whether writes are refused that the invariant of ``Watermark`` is
    ///   against.
    package init(checksHistory: Bool = true) { self.checksHistory = checksHistory }

    package func apply(
        _ lists: [ArraySlice<UInt8>], applied: AppliedState?
    ) throws(EngineError) {
        var mutations: [Mutation] = []
        var bytes = 0
        for list in lists {
            var reader = try MutationReader(list)
            while let mutation = try reader.next() { mutations.append(mutation) }
            bytes += list.count
        }
        try commit(mutations, bytes: bytes, applied: applied)
    }

    package func applyPart(
        of list: ArraySlice<UInt8>, from offset: Int, maxBytes: Int
    ) throws(EngineError) -> Int {
        var reader = try MutationReader(list, from: offset)
        let start = reader.offset
        var mutations: [Mutation] = []
        while reader.offset - start <= max(maxBytes, 0), let mutation = try reader.next() {
            mutations.append(mutation)
        }
        try commit(mutations, bytes: reader.offset - start, applied: nil)
        return reader.offset
    }

    package func snapshot() throws(EngineError) -> any EngineReader {
        MemorySnapshot(of: state.withLock { $0.current.store }, in: self)
    }

    package var unflushedBytes: Int {
        state.withLock { $0.current.appliedBytes - $0.durable.appliedBytes }
    }

    /// What is set here is what the engine does: when stopped, it is too busy for any write.
    package var pressure: WritePressure {
        get { state.withLock { $0.pressure } }
        set { state.withLock { $0.pressure = newValue } }
    }

    package func statistics() throws(EngineError) -> EngineStatistics {
        state.withLock { state in
            var statistics = EngineStatistics()
            statistics.estimatedVersions = state.current.store.versionCount
            statistics.memtableBytes = state.current.appliedBytes - state.durable.appliedBytes
            return statistics
        }
    }

    package func persistedFrontier() throws(EngineError) -> [AppliedState] {
        let store = state.withLock { $0.durable.store }
        return try AppliedState.all(in: store.pairs(of: .all, in: .local, limits: .none).pairs)
    }

    package func flush() throws(EngineError) { completeFlush(beginFlush()) }

    /// Takes the image that ``completeFlush(_:)`` will make durable.
    package func beginFlush() -> FlushToken {
        state.withLock { state in
            state.flushCount += 1
            let token = FlushToken(number: state.flushCount)
            state.pending.append((token, state.current))
            return token
        }
    }

    /// Makes durable what had been applied when the flush began, and ends older flushes with it.
    ///
    /// Does nothing if a crash or a later flush came first.
    package func completeFlush(_ token: FlushToken) {
        state.withLock { state in
            guard let index = state.pending.firstIndex(where: { $0.token == token }) else { return }
            state.durable = state.pending[index].image
            state.pending.removeSubrange(...index)
        }
    }

    /// Takes the store back to the last completed flush, and gives up those that had only begun.
    package func crash() {
        state.withLock { state in
            state.current = state.durable
            state.pending = []
        }
    }

    /// Another engine with what a crash of this one would leave: a copy of the disk.
    package func copyOfDisk() -> MemoryEngine {
        let copy = MemoryEngine(checksHistory: checksHistory)
        let image = state.withLock { $0.durable }
        copy.state.withLock {
            $0.durable = image
            $0.current = image
        }
        return copy
    }

    /// Same as ``crash()``: the engine can be used again, as a store that was just opened.
    package func close() { crash() }

    var stores: (read: MemoryStore, latest: MemoryStore) {
        let store = state.withLock { $0.current.store }
        return (store, store)
    }

    private func commit(
        _ mutations: [Mutation], bytes: Int, applied: AppliedState?
    ) throws(EngineError) {
        try state.withLock { state throws(EngineError) in
            if state.pressure == .stopped {
                throw EngineError(.busy, "the engine is told to take no writes")
            }
            // A copy, of which nothing is left if a mutation is refused.
            var store = state.current.store
            for mutation in mutations {
                if checksHistory { try store.check(mutation) }
                store.apply(mutation)
            }
            if let applied { store.setLocal(applied.localKey.bytes, applied.localValue) }
            state.current.store = store
            state.current.appliedBytes += bytes
        }
    }
}
