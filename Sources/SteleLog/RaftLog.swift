import Glibc
import SteleBase
import SteleRaft

/// The node's one shared log, with a thread that writes and syncs it (group commit).
///
/// Whatever is queued while a sync is under way is written together and made durable by the next
/// one, so the number of syncs follows the speed of the disk and not that of the callers.
///
/// Invariants:
/// - a batch is reported durable only after it, and all before it, were synced;
/// - batches are written, and reported, in the order in which they were appended;
/// - the first failure is final: every batch behind it fails with the same error.
package final class RaftLog: Sendable {
    package typealias Options = LogOptions

    private let queue: LogQueue
    private let catalog: LogCatalog
    private let thread: LogThread

    private init(queue: LogQueue, catalog: LogCatalog, thread: LogThread) {
        self.queue = queue
        self.catalog = catalog
        self.thread = thread
    }

    deinit { close() }

    /// Opens the log in a directory, which is created if it does not exist.
    ///
    /// - Parameter onFailure: is told the failure that ends the log, once, on the log thread.
    ///   Batches that were appended fail with it too, but it may come when none is under way: a log
    ///   that cannot give space back must not look healthy until somebody writes.
    /// - Throws: `locked` if the directory is in use, `corrupt` or `unsupportedVersion` if what is
    ///   in it cannot be read; then nothing was changed.
    package static func open(
        directory: String, fileSystem: any FileSystem = SystemFileSystem(),
        options: Options = Options(),
        onFailure: @escaping @Sendable (LogError) -> Void = { _ in }
    ) throws(LogError) -> (log: RaftLog, recovered: RecoveredLog) {
        let (writer, recovered) = try LogWriter.open(
            directory: directory, fileSystem: fileSystem, options: options)
        let queue = LogQueue()
        let catalog = writer.catalog
        let work = LogWork(writer: writer, queue: queue, onFailure: onFailure)
        do throws(FileError) {
            let thread = try LogThread(work, directory: directory)
            return (RaftLog(queue: queue, catalog: catalog, thread: thread), recovered)
        } catch {
            throw .file(error)
        }
    }

    /// Queues a batch; `completion` is called once, on the log thread, when it is durable or has
    /// failed. After `close` it is called at once, with `closed`.
    package func append(
        _ batch: LogBatch, completion: @escaping @Sendable (Result<Void, LogError>) -> Void
    ) {
        if !queue.put(LogQueue.Item(batch: batch, completion: completion)) {
            completion(.failure(.closed))
        }
    }

    /// Reads entries `from ..< upTo` of a replica that are durable: contiguous from `from`, at
    /// least one if it is there, no more than `maxBytes` of payload otherwise.
    ///
    /// Empty if `from` was compacted or is not durable yet. Any thread may call, and waits for the
    /// disk.
    package func entries(
        of tablet: TabletID, replica: ReplicaID, from: LogIndex, upTo: LogIndex, maxBytes: Int
    ) throws(LogError) -> [Entry] {
        let key = ReplicaKey(tablet: tablet, replica: replica)
        return try catalog.entries(key, from: from, upTo: upTo, maxBytes: maxBytes)
    }

    /// The total length of the log's files.
    package var bytesOnDisk: Int { catalog.state.withLock(\.fileBytes) }

    /// What the log has done since it was opened.
    package var statistics: LogStatistics { catalog.state.withLock(\.statistics) }

    /// Writes and syncs what is queued, then ends the thread and unlocks the directory.
    ///
    /// Every caller blocks until that is done, unless it is the log thread itself.
    package func close() {
        queue.close()
        thread.join()
    }
}

/// A thread of the operating system that runs the log's work.
private final class LogThread: Sendable {
    private let thread: pthread_t
    private let isJoined = Locked(false)

    init(_ work: sending LogWork, directory: String) throws(FileError) {
        var thread = pthread_t()
        let context = Unmanaged.passRetained(work).toOpaque()
        let code = pthread_create(&thread, nil, { context in
            guard let context else { return nil }
            preferPromptness()
            Unmanaged<LogWork>.fromOpaque(context).takeRetainedValue().run()
            return nil
        }, context)
        if code != 0 {
            Unmanaged<LogWork>.fromOpaque(context).release()
            throw FileError(.startThread, directory, code: code)
        }
        self.thread = thread
    }

    deinit {
        // Still running: the last reference went on the thread itself, for every other owner joins.
        isJoined.withLock { if !$0 { pthread_detach(thread) } }
    }

    /// Waits for the thread to end, unless it is the caller.
    func join() {
        if pthread_equal(thread, pthread_self()) != 0 { return }
        // Whoever comes while another one joins waits for the lock instead.
        isJoined.withLock { isJoined in
            if !isJoined { pthread_join(thread, nil) }
            isJoined = true
        }
    }
}
