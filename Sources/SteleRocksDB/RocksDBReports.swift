internal import CRocksDB
import SteleBase
import SteleEngine

extension RocksDBEngine {
    package var pressure: WritePressure {
        (try? open()).map { WritePressure(shim: stele_engine_writes($0)) } ?? .stopped
    }

    package func statistics() throws(EngineError) -> EngineStatistics {
        let handle = try open()
        var found = stele_statistics()
        try check { stele_engine_statistics(handle, &found, &$0) }
        var statistics = EngineStatistics()
        withUnsafeBytes(of: found.level_files) { files in
            withUnsafeBytes(of: found.level_bytes) { bytes in
                for (files, bytes) in zip(
                    files.bindMemory(to: UInt64.self), bytes.bindMemory(to: UInt64.self))
                {
                    statistics.levels.append(.init(files: Int(files), bytes: Int(bytes)))
                }
            }
        }
        statistics.memtableBytes = Int(found.memtable_bytes)
        statistics.pendingCompactionBytes = Int(found.pending_compaction_bytes)
        statistics.runningFlushes = Int(found.running_flushes)
        statistics.runningCompactions = Int(found.running_compactions)
        statistics.tableBytesOnDisk = Int(found.table_bytes_on_disk)
        statistics.estimatedVersions = Int(found.estimated_versions)
        statistics.cacheBytes = Int(found.cache_bytes)
        statistics.cacheCapacity = Int(found.cache_capacity)
        statistics.cacheHits = Int(found.cache_hits)
        statistics.cacheMisses = Int(found.cache_misses)
        statistics.rowHits = Int(found.row_hits)
        statistics.pressure = WritePressure(shim: found.writes)
        return statistics
    }

    package func persistedFrontier() throws(EngineError) -> [AppliedState] {
        let handle = try open()
        var found: [(key: [UInt8], value: [UInt8])] = []
        try check { message in
            withUnsafeMutablePointer(to: &found) { found in
                stele_engine_frontier(
                    handle, found,
                    { context, key, value in
                        context?.assumingMemoryBound(
                            to: [(key: [UInt8], value: [UInt8])].self
                        ).pointee.append((Array(key), Array(value)))
                    }, &message)
            }
        }
        return try AppliedState.all(in: found)
    }
}
