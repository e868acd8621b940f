import Glibc

/// An operation on a file that the operating system refused.
package struct FileError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What was attempted.
    package enum Operation: String, Hashable, Sendable {
        case createDirectory = "create directory"
        case list, open, read, write, sync, rename, remove, lock
        case inspect = "get the size of"
        case startThread = "start the log thread for"
        case syncDirectory = "sync directory"
    }

    package var operation: Operation
    package var path: String
    /// The operating system's error number.
    package var code: Int32

    package init(_ operation: Operation, _ path: String, code: Int32) {
        self.operation = operation
        self.path = path
        self.code = code
    }

    /// Whether the disk, or the quota on it, is full.
    package var isNoSpace: Bool { code == ENOSPC || code == EDQUOT }

    /// Whether it is not allowed.
    package var isPermission: Bool { code == EACCES || code == EPERM || code == EROFS }

    package var description: String {
        "cannot \(operation.rawValue) \(path): \(String(cString: strerror(code))) (errno \(code))"
    }
}

/// Why the log could not do what it was asked to.
package enum LogError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The file system failed; after a failed write or sync every later append fails the same way.
    case file(FileError)
    /// Another process, or another log of this one, has the directory open.
    case locked(directory: String)
    /// The directory holds something else; `file` is the first name that is not the log's.
    case foreignDirectory(directory: String, file: String)
    /// There has to be a log in the directory, and there is none; nothing was changed.
    case missing(directory: String)
    /// Bytes that had been synced are damaged; recovery has changed nothing on disk.
    case corrupt(file: String, offset: Int, reason: String)
    /// The file was written in a format that this version does not know.
    case unsupportedVersion(file: String, version: UInt32)
    /// The log has been closed.
    case closed

    package var description: String {
        switch self {
        case .file(let error):
            error.description
        case .locked(let directory):
            "the log in \(directory) is open already, in this process or another"
        case .foreignDirectory(let directory, let file):
            "\(directory) is no directory of a log: it holds \(file)"
        case .missing(let directory):
            "there is no log in \(directory) any more"
        case .corrupt(let file, let offset, let reason):
            "the log is damaged: \(file), offset \(offset): \(reason)"
        case .unsupportedVersion(let file, let version):
            "\(file) has log format \(version); this version reads format \(LogFormat.version)"
        case .closed:
            "the log is closed"
        }
    }
}

/// Runs an operation on files and turns its error into the log's.
func reachingDisk<Success>(
    _ body: () throws(FileError) -> Success
) throws(LogError) -> Success {
    do { return try body() } catch { throw .file(error) }
}
