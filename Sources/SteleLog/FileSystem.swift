/// The port through which the log reaches a disk.
///
/// Two implementations exist: `SystemFileSystem` for production and `SimulatedFileSystem`, which
/// forgets whatever was not synced. The port therefore promises no more than POSIX does: written
/// bytes survive a crash only after `File.sync`, created, renamed and removed names only after
/// `syncDirectory`.
package protocol FileSystem: Sendable {
    /// Creates a directory; false if there is one already.
    func createDirectory(_ path: String) throws(FileError) -> Bool
    /// The names in a directory, in ascending order.
    func list(_ directory: String) throws(FileError) -> [String]
    /// Opens a file for reading and writing; with `create` an absent one is created empty.
    func open(_ path: String, create: Bool) throws(FileError) -> any File
    /// Renames a file within its directory.
    func rename(_ path: String, to newPath: String) throws(FileError)
    /// Removes a name; open handles keep working.
    func remove(_ path: String) throws(FileError)
    /// Makes the names in a directory durable.
    func syncDirectory(_ path: String) throws(FileError)
    /// Takes the exclusive lock that a file stands for, or nil when somebody else holds it.
    func lock(_ path: String) throws(FileError) -> (any FileLock)?
}

/// Paths as the log uses them, with a slash between names.
enum FilePath {
    /// The directory that a path's last name is in.
    static func parent(of path: String) -> String {
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// The last name of a path.
    static func name(of path: String) -> String {
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return path }
        return String(path[path.index(after: slash)...])
    }
}

/// An open file; closed when the last reference goes.
package protocol File: AnyObject, Sendable {
    /// The current length in bytes.
    func size() throws(FileError) -> Int
    /// Fills `buffer` from `offset` on and returns how many bytes there were before the end.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(FileError) -> Int
    /// Writes all of `bytes` at `offset`, extending the file as needed.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FileError)
    /// Makes all written bytes, and the length needed to read them, durable.
    func sync() throws(FileError)
    /// Gives up what only writes need. No more of them may follow; reads may.
    func endWriting()
}

/// A held lock; released by `release` or when the last reference goes.
package protocol FileLock: AnyObject, Sendable {
    /// Gives the lock back.
    func release()
}

extension File {
    /// Up to `count` bytes from `offset` on; fewer only where the file ends.
    func bytes(at offset: Int, count: Int) throws(FileError) -> [UInt8] {
        var failure: FileError?
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            do throws(FileError) {
                filled = try read(into: UnsafeMutableRawBufferPointer(buffer), at: offset)
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return bytes
    }

    /// Writes a part of an array at `offset`.
    func write(_ bytes: ArraySlice<UInt8>, at offset: Int) throws(FileError) {
        let result = bytes.withUnsafeBytes { buffer -> Result<Void, FileError> in
            Result { () throws(FileError) in try write(buffer, at: offset) }
        }
        try result.get()
    }
}
