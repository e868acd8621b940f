/// How fast an engine takes writes, as its background work allows.
package enum WritePressure: UInt8, Hashable, Comparable, Sendable {
    case normal
    /// Some calls of `apply` are answered with ``EngineError/Code/busy``.
    case delayed
    /// All of them are.
    case stopped

    package static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}

/// What an engine tells by itself, from any thread. Whoever listens must not call into the engine.
package enum EngineEvent: Hashable, Sendable {
    /// More is durable than before; see ``StorageEngine/persistedFrontier()``.
    case flushed
    /// The first fatal error. It comes once, and nothing is written after it.
    case failed(EngineError)
    /// The pressure changed to this.
    case pressure(WritePressure)
}

/// What an engine holds and does, at one moment.
package struct EngineStatistics: Hashable, Sendable {
    package struct Level: Hashable, Sendable {
        package var files = 0
        package var bytes = 0

        package init(files: Int, bytes: Int) {
            self.files = files
            self.bytes = bytes
        }
    }

    /// Table files by level, of all families.
    package var levels: [Level] = []
    /// What has not reached a table file, with the overhead of its index.
    package var memtableBytes = 0
    /// What compactions have to rewrite to bring the levels into shape, estimated.
    package var pendingCompactionBytes = 0
    package var runningFlushes = 0
    package var runningCompactions = 0
    /// Table files on disk, those included that only wait for their readers.
    package var tableBytesOnDisk = 0
    /// Versions of all keys, estimated.
    package var estimatedVersions = 0
    /// Of the block cache, which other engines may share.
    package var cacheBytes = 0
    package var cacheCapacity = 0
    /// Blocks that reads of this engine found in the cache, and had to fetch.
    package var cacheHits = 0
    package var cacheMisses = 0
    /// Reads of one key that were answered without looking into blocks.
    package var rowHits = 0
    package var pressure = WritePressure.normal

    package init() {}
}
