internal import CRocksDB
import SteleBase
import SteleClock
import SteleEngine
import Synchronization

/// The storage engine on RocksDB: one database in one directory, without a write-ahead log.
///
/// Reads, one writer at a time and ``flush()`` may run in parallel on any threads. ``close()``
/// waits for a write or a flush that is running, and reads must have ended.
package final class RocksDBEngine: StorageEngine, ShimReader, @unchecked Sendable {
    // Safety: `handle` changes in `close()` alone, after which by contract nothing is called; what
    // it points to is made for calls in parallel, with the writer's batch behind `writer` and
    // flushes behind `flushing`.

    /// What can be set when a store is opened.
    package struct Options: Sendable {
        /// What the caches of uncompressed blocks, with indexes and filters, and of rows that were
        /// read may take up together. Counts only without `resources`.
        package var cacheBytes: Int
        /// Unflushed bytes of versions at which RocksDB flushes without being told to.
        package var writeBufferBytes: Int
        /// Shared with other engines of the process; nil: the engine has its own.
        package var resources: RocksDBResources?
        /// Is told what happens, from threads of RocksDB too.
        package var observer: (@Sendable (EngineEvent) -> Void)?
        /// Refuses versions that the invariant of ``Watermark`` is against: for tests, since it
        /// costs a read of each key written and each range cleared. Cleared versions are known until
        /// a compaction has dropped them for good.
        package var checksHistory = false
        /// A disk in memory instead of the file system; for tests.
        package var disk: RocksDBDisk?

        package init(
            cacheBytes: Int = Limits.cacheBytes, writeBufferBytes: Int = 64 << 20,
            resources: RocksDBResources? = nil,
            observer: (@Sendable (EngineEvent) -> Void)? = nil, disk: RocksDBDisk? = nil
        ) {
            self.cacheBytes = cacheBytes
            self.writeBufferBytes = writeBufferBytes
            self.resources = resources
            self.observer = observer
            self.disk = disk
        }
    }

    /// The path that the store was opened at.
    package let directory: String

    private var handle: OpaquePointer?
    /// Owns what `handle` points to, together with exports and imports that are under way.
    private(set) var store: OpenStore?
    private let writer: Locked<Writer>
    private let flushing = Locked(())
    private let monitor: EngineMonitor
    private let appliedBytes = Atomic<Int>(0)
    private let flushedBytes = Atomic<Int>(0)

    /// Opens the store in `directory`, or creates it if there is nothing yet.
    package init(directory: String, options: Options = Options()) throws(EngineError) {
        var handle: OpaquePointer?
        var batch: OpaquePointer?
        var message: UnsafeMutablePointer<CChar>?
        let path = Array(directory.utf8)
        let resources: RocksDBResources
        if let shared = options.resources {
            resources = shared
        } else {
            resources = try RocksDBResources(cacheBytes: options.cacheBytes)
        }
        let monitor = EngineMonitor(directory: directory, observer: options.observer)
        var code = withExtendedLifetime((resources, options.disk)) {
            path.withBytes { path in
                stele_engine_open(
                    path,
                    stele_options(
                        write_buffer_bytes: UInt64(max(options.writeBufferBytes, 1 << 20)),
                        checks_history: options.checksHistory ? 1 : 0,
                        resources: resources.handle, disk: options.disk?.handle,
                        on_event: EngineMonitor.sink,
                        context: Unmanaged.passUnretained(monitor).toOpaque()),
                    &handle, &message)
            }
        }
        if code == STELE_OK { code = stele_batch_create(handle, &batch, &message) }
        guard code == STELE_OK, let handle, let batch else {
            if let handle { stele_engine_close(handle) }
            throw EngineError(code: code, message: message, directory: directory)
        }
        self.directory = directory
        self.handle = handle
        self.store = OpenStore(handle, monitor)
        self.monitor = monitor
        self.writer = Locked(Writer(batch: batch))
    }

    deinit { close() }

    package func apply(
        _ lists: [ArraySlice<UInt8>], applied: AppliedState?
    ) throws(EngineError) {
        try checkNotFailed()
        try writer.withLock { writer throws(EngineError) in
            var bytes = 0
            for list in lists {
                _ = try add(list, from: 0, maxBytes: .max, to: writer)
                bytes += list.count
            }
            if let applied { try add(applied, to: writer) }
            try commit(writer, bytes: bytes)
        }
    }

    package func applyPart(
        of list: ArraySlice<UInt8>, from offset: Int, maxBytes: Int
    ) throws(EngineError) -> Int {
        try checkNotFailed()
        return try writer.withLock { writer throws(EngineError) in
            let next = try add(list, from: offset, maxBytes: maxBytes, to: writer)
            try commit(writer, bytes: next - max(offset, 1))
            return next
        }
    }

    package var inMemory: any EngineReader { RocksDBMemoryReader(of: self) }

    package var unflushedBytes: Int {
        appliedBytes.load(ordering: .relaxed) - flushedBytes.load(ordering: .relaxed)
    }

    package func flush() throws(EngineError) {
        try checkNotFailed()
        try flushing.withLock { _ throws(EngineError) in
            let applied = appliedBytes.load(ordering: .acquiring)
            let handle = try open()
            try check { stele_engine_flush(handle, &$0) }
            flushedBytes.store(applied, ordering: .relaxed)
        }
        // Its background threads may have failed at something else meanwhile.
        try checkNotFailed()
    }

    package func close() {
        flushing.withLock { _ in
            writer.withLock { writer in
                guard handle != nil else { return }
                stele_batch_free(writer.batch)
                handle = nil
                store = nil
            }
        }
    }

    package func snapshot() throws(EngineError) -> any EngineReader {
        let handle = try open()
        var snapshot: OpaquePointer?
        try check { stele_snapshot_create(handle, &snapshot, &$0) }
        guard let snapshot else { throw EngineError(.io, "\(directory): no snapshot was made") }
        return RocksDBSnapshot(snapshot, of: self)
    }

    /// Rewrites the stored versions of a range, dropping those that no read may ask for any more.
    /// Blocks; it takes as long as the range is big.
    package func compact(_ range: KeyRange) throws(EngineError) {
        let handle = try open()
        try check { message in
            range.start.withBytes { start in
                range.end.withBytes { end in stele_engine_compact(handle, start, end, &message) }
            }
        }
    }

    /// What is stored of a key, below the watermark too: shows what garbage collection left.
    package func storedVersions(of key: KeyBytes) throws(EngineError) -> [Version] {
        try versions(of: key, above: .zero, limit: .max, isUnchecked: true)
    }

    func reader() throws(EngineError) -> OpaquePointer {
        guard let reader = stele_engine_latest(try open()) else {
            invariantFailed("an open store has no reader of its latest state")
        }
        return reader
    }

    /// The open store.
    func open() throws(EngineError) -> OpaquePointer {
        guard let handle else { throw EngineError(.io, "\(directory): the store is closed") }
        return handle
    }

    /// Makes one call of the shim and throws what it reports.
    func check(
        _ call: (inout UnsafeMutablePointer<CChar>?) -> stele_code
    ) throws(EngineError) {
        var message: UnsafeMutablePointer<CChar>?
        let code = call(&message)
        if code == STELE_OK { return }
        let error = EngineError(code: code, message: message, directory: directory)
        if error.isFatal { monitor.fail(error) }
        throw error
    }

    /// After a fatal error, of a read too, nothing more is written: the node has to restart.
    func checkNotFailed() throws(EngineError) {
        if let error = monitor.failure { throw error }
    }
}

/// The open store, which is closed for good when nothing refers to this any more.
final class OpenStore: @unchecked Sendable {
    // Safety: nothing changes.
    private let handle: OpaquePointer
    /// The store calls it until it is closed.
    private let monitor: EngineMonitor

    init(_ handle: OpaquePointer, _ monitor: EngineMonitor) {
        self.handle = handle
        self.monitor = monitor
    }

    deinit { stele_engine_close(handle) }
}

/// The one batch that mutations are collected in.
///
/// Invariant: it is empty between calls.
private struct Writer: @unchecked Sendable {
    // Safety: only used under the lock of the mutex that holds it.
    let batch: OpaquePointer
}

extension RocksDBEngine {
    private func add(
        _ list: ArraySlice<UInt8>, from offset: Int, maxBytes: Int, to writer: Writer
    ) throws(EngineError) -> Int {
        guard offset >= 0 else {
            throw EngineError(.invalidArgument, "offset \(offset) lies outside a list")
        }
        _ = try open()
        var next = 0
        do throws(EngineError) {
            try check { message in
                list.withBytes { list in
                    stele_batch_add(
                        writer.batch, list, offset, max(maxBytes, 0), &next, &message)
                }
            }
        } catch {
            stele_batch_clear(writer.batch)
            throw error
        }
        return next
    }

    private func add(_ applied: AppliedState, to writer: Writer) throws(EngineError) {
        _ = try open()
        let key = applied.localKey.bytes
        let value = applied.localValue
        do throws(EngineError) {
            try check { message in
                key.withBytes { key in
                    value.withBytes { value in
                        stele_batch_put_local(writer.batch, key, value, &message)
                    }
                }
            }
        } catch {
            stele_batch_clear(writer.batch)
            throw error
        }
    }

    /// Keeps the writer out while `body` runs.
    func pausingWrites(_ body: () throws(EngineError) -> Void) throws(EngineError) {
        try writer.withLock { _ throws(EngineError) in
            _ = try open()
            try body()
        }
    }

    package func remove(_ scope: ReplicaScope) throws(EngineError) {
        try checkNotFailed()
        try writer.withLock { writer throws(EngineError) in
            _ = try open()
            do throws(EngineError) {
                try check { message in
                    scope.withShim { stele_batch_remove_replica(writer.batch, &$0, &message) }
                }
            } catch {
                stele_batch_clear(writer.batch)
                throw error
            }
            try commit(writer, bytes: scope.localPrefix.count)
        }
    }

    private func commit(_ writer: Writer, bytes: Int) throws(EngineError) {
        _ = try open()
        try check { stele_batch_commit(writer.batch, &$0) }
        appliedBytes.add(bytes, ordering: .releasing)
    }
}
