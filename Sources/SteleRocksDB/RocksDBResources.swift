internal import CRocksDB
import SteleEngine

/// What the engines of one process may share: caches of blocks and of rows, a budget of unflushed
/// writes, and a limit of what flushes and compactions write.
package final class RocksDBResources: @unchecked Sendable {
    // Safety: `handle` never changes, and what it points to is made for use from many threads.

    let handle: OpaquePointer

    /// - Parameters:
    ///   - cacheBytes: of both caches together; a quarter is that of rows.
    ///   - writeBufferBytes: unflushed bytes of all engines together at which one of them flushes
    ///     by itself; nil is no budget.
    ///   - backgroundBytesPerSecond: nil is no limit.
    package init(
        cacheBytes: Int, writeBufferBytes: Int? = nil, backgroundBytesPerSecond: Int? = nil
    ) throws(EngineError) {
        var handle: OpaquePointer?
        var message: UnsafeMutablePointer<CChar>?
        let code = stele_resources_create(
            stele_resource_limits(
                cache_bytes: UInt64(max(cacheBytes, 0)),
                write_buffer_bytes: UInt64(max(writeBufferBytes ?? 0, 0)),
                background_bytes_per_second: UInt64(max(backgroundBytesPerSecond ?? 0, 0))),
            &handle, &message)
        guard code == STELE_OK, let handle else {
            throw EngineError(code: code, message: message, directory: "resources")
        }
        self.handle = handle
    }

    deinit { stele_resources_free(handle) }
}
