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

    /// The directories of the two within the node's.
    static let logName = "log"
    static let storeName = "store"

    /// Unflushed bytes at which the store flushes by itself, in case the node does not ask it to:
    /// several times what the node lets gather.
    private static let writeBufferBytes = 256 << 20
    /// What flushes and compactions write at most, so that they leave the log its share of a disk.
    private static let backgroundBytesPerSecond = 256 << 20

    /// Opens both; blocks while the log is read.
    ///
    /// - Parameters:
    ///   - mustExist: the node has served before. Then a log that is not there was lost, and with it
    ///     what the node has voted and acknowledged; a store is made anew from the log.
    ///   - observer: is told what happens in the store, from its own threads.
    ///   - onLogFailure: is told what ends the log, from the log's thread.
    static func open(
        _ configuration: NodeConfiguration, mustExist: Bool,
        observer: @escaping @Sendable (EngineEvent) -> Void,
        onLogFailure: @escaping @Sendable (LogError) -> Void
    ) throws -> Storage {
        var options = LogOptions()
        options.mustExist = mustExist
        let (log, recovered) = try RaftLog.open(
            directory: configuration.directory + "/" + logName, options: options,
            onFailure: onLogFailure)
        do {
            let resources = try RocksDBResources(
                cacheBytes: configuration.cacheBytes, writeBufferBytes: writeBufferBytes,
                backgroundBytesPerSecond: backgroundBytesPerSecond)
            // RocksDB's own would be open to all.
            let directory = configuration.directory + "/" + storeName
            _ = try SystemFileSystem().createDirectory(directory)
            let engine = try RocksDBEngine(
                directory: directory,
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
