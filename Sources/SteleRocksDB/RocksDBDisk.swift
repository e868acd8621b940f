internal import CRocksDB
import SteleEngine

/// A disk in memory for tests: it knows what was synced, data of files and entries of directories
/// alike, so that a crash can take the rest, and it fails at the operation it is told to.
package final class RocksDBDisk: @unchecked Sendable {
    // Safety: `handle` never changes, and what it points to has a lock.

    /// Kinds of operations.
    package struct Operations: OptionSet, Sendable {
        package let rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }

        /// Creating, appending, linking.
        package static let space = Self(rawValue: UInt8(STELE_DISK_SPACE))
        /// Syncing files and directories, renaming, deleting, truncating.
        package static let change = Self(rawValue: UInt8(STELE_DISK_CHANGE))
        /// Opening, reading, listing.
        package static let read = Self(rawValue: UInt8(STELE_DISK_READ))
    }

    package enum Fault: UInt8, CaseIterable, Sendable {
        case ioError = 1
        case noSpace = 2
        case readOnly = 3
    }

    let handle: OpaquePointer

    private init(handle: OpaquePointer) { self.handle = handle }

    /// An empty disk, but for the directory `/`.
    package convenience init() throws(EngineError) {
        try self.init { stele_disk_create(&$0, &$1) }
    }

    private convenience init(
        _ make: (inout OpaquePointer?, inout UnsafeMutablePointer<CChar>?) -> stele_code
    ) throws(EngineError) {
        var handle: OpaquePointer?
        try Self.check { make(&handle, &$0) }
        guard let handle else { throw EngineError(.io, "the disk was not made") }
        self.init(handle: handle)
    }

    deinit { stele_disk_free(handle) }

    /// Lets one of these operations fail after `count` of them went well, or all from there on.
    package func fail(
        _ operations: Operations, with fault: Fault, after count: Int = 0, permanently: Bool = false
    ) {
        stele_disk_inject(
            handle,
            stele_disk_fault(
                error: fault.rawValue, operations: operations.rawValue,
                is_permanent: permanently ? 1 : 0, after: UInt64(max(count, 0))))
    }

    /// Ends the fault in force.
    package func heal() { stele_disk_inject(handle, stele_disk_fault()) }

    /// Lets each sync take so long from now on; other operations go on meanwhile.
    package func slowSyncs(milliseconds: Int) {
        stele_disk_slow_syncs(handle, UInt32(clamping: milliseconds))
    }

    /// How many operations the fault in force has failed.
    package var failures: Int { Int(stele_disk_failures(handle)) }

    /// How many operations of these kinds there were, ever.
    package func count(of operations: Operations) -> Int {
        Int(stele_disk_operations(handle, operations.rawValue))
    }

    /// From now on, remembers what the disk held before each operation that changes it.
    package func record() throws(EngineError) {
        try Self.check { stele_disk_record(handle, &$0) }
    }

    /// How many moments are remembered; the last one is the present.
    package var moments: Int { stele_disk_moments(handle) }

    /// The disk that a crash at a moment leaves, at present by default.
    ///
    /// With seed 0 all that was not synced is gone; else a prefix of each file's unsynced bytes is
    /// kept, and of the unsynced changes of directories.
    package func afterCrash(at moment: Int? = nil, seed: UInt64 = 0) throws(EngineError)
        -> RocksDBDisk
    {
        try RocksDBDisk { stele_disk_crash(handle, moment ?? moments - 1, seed, &$0, &$1) }
    }

    /// The content of all files, by path.
    package func files() throws(EngineError) -> [String: [UInt8]] {
        var found: [String: [UInt8]] = [:]
        try Self.check { message in
            withUnsafeMutablePointer(to: &found) { found in
                stele_disk_files(
                    handle, found,
                    { context, path, content in
                        context?.assumingMemoryBound(to: [String: [UInt8]].self)
                            .pointee[String(decoding: Array(path), as: UTF8.self)] = Array(content)
                    }, &message)
            }
        }
        return found
    }

    /// Removes a file, durably.
    package func remove(_ path: String) throws(EngineError) {
        try Self.check { message in
            Array(path.utf8).withBytes { stele_disk_remove(handle, $0, &message) }
        }
    }

    /// Creates or replaces a file, synced, in a directory that exists.
    package func write(_ content: [UInt8], to path: String) throws(EngineError) {
        try Self.check { message in
            Array(path.utf8).withBytes { path in
                content.withBytes { stele_disk_write(handle, path, $0, &message) }
            }
        }
    }

    /// Makes a database that is none of ours: with one pair, and one more family if it has a name.
    package func makeForeignDatabase(
        at path: String, family: String = "", key: String, value: String
    ) throws(EngineError) {
        try Self.check { message in
            Array(path.utf8).withBytes { path in
                Array(family.utf8).withBytes { family in
                    Array(key.utf8).withBytes { key in
                        Array(value.utf8).withBytes { value in
                            stele_disk_make_foreign(handle, path, family, key, value, &message)
                        }
                    }
                }
            }
        }
    }

    private static func check(
        _ call: (inout UnsafeMutablePointer<CChar>?) -> stele_code
    ) throws(EngineError) {
        var message: UnsafeMutablePointer<CChar>?
        let code = call(&message)
        if code != STELE_OK { throw EngineError(code: code, message: message, directory: "disk") }
    }
}
