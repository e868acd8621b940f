import SteleAPI
import SteleEngine
import SteleLog
import SteleRaft
import SteleRocksDB

/// A node's log and store, opened together.
struct Storage: Sendable {
    var log: RaftLog
    var recovered: RecoveredLog
    var engine: RocksDBEngine

    /// Unflushed bytes at which the store flushes by itself, in case the node does not ask it to:
    /// several times what the node lets gather.
    private static let writeBufferBytes = 256 << 20
    /// What flushes and compactions write at most, so that they leave the log its share of a disk.
    private static let backgroundBytesPerSecond = 256 << 20

    /// Opens both; blocks while the log is read.
    ///
    /// - Parameters:
    ///   - observer: is told what happens in the store, from its own threads.
    ///   - onLogFailure: is told what ends the log, from the log's thread.
    static func open(
        _ configuration: NodeConfiguration, observer: @escaping @Sendable (EngineEvent) -> Void,
        onLogFailure: @escaping @Sendable (LogError) -> Void
    ) throws -> Storage {
        let (log, recovered) = try RaftLog.open(
            directory: configuration.directory + "/log", fileSystem: SystemFileSystem(),
            options: LogOptions(), onFailure: onLogFailure)
        do {
            let resources = try RocksDBResources(
                blockCacheBytes: configuration.cacheBytes, writeBufferBytes: writeBufferBytes,
                backgroundBytesPerSecond: backgroundBytesPerSecond)
            let engine = try RocksDBEngine(
                directory: configuration.directory + "/store",
                options: RocksDBEngine.Options(resources: resources, observer: observer))
            return Storage(log: log, recovered: recovered, engine: engine)
        } catch {
            log.close()
            throw error
        }
    }
}

extension SteleError {
    init(_ error: LogError) {
        if case .locked = error {
            self.init(.configuration, "\(error)")
        } else {
            self.init(.storage, "\(error)")
        }
    }

    init(_ error: EngineError) {
        let isConfiguration = error.code == .locked || error.code == .incompatible
        self.init(isConfiguration ? .configuration : .storage, error.message)
    }
}
