import SteleEngine
import SteleLog
import SteleRocksDB
import SteleWire

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

extension StatusReport.Storage {
    /// What a node has on its disk, and what is left; nil if that cannot be found out. May block.
    init?(_ directory: String, _ log: RaftLog, _ engine: RocksDBEngine) {
        var system = statvfs()
        guard statvfs(directory, &system) == 0, let store = try? engine.statistics() else {
            return nil
        }
        let block = UInt64(system.f_frsize)
        self.init(
            freeBytes: UInt64(system.f_bavail) * block, totalBytes: UInt64(system.f_blocks) * block,
            logBytes: UInt64(log.bytesOnDisk), storeBytes: UInt64(store.tableBytesOnDisk),
            writes: Writes(rawValue: store.pressure.rawValue) ?? .normal)
    }
}
