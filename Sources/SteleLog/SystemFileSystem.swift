import Glibc
import SteleBase
import Synchronization

/// The operating system's files; what is created is its owner's alone.
package struct SystemFileSystem: FileSystem {
    package init() {}

    package func createDirectory(_ path: String) throws(FileError) -> Bool {
        if mkdir(path, 0o700) == 0 { return true }
        if errno == EEXIST { return false }
        throw FileError(.createDirectory, path, code: errno)
    }

    package func list(_ directory: String) throws(FileError) -> [String] {
        guard let stream = opendir(directory) else {
            throw FileError(.list, directory, code: errno)
        }
        defer { closedir(stream) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else {
                if errno != 0 { throw FileError(.list, directory, code: errno) }
                return names.sorted()
            }
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: Int(NAME_MAX) + 1) {
                    String(cString: $0)
                }
            }
            if name != ".", name != ".." { names.append(name) }
        }
    }

    package func open(_ path: String, create: Bool) throws(FileError) -> any File {
        let descriptor = Glibc.open(path, O_RDWR | O_CLOEXEC | (create ? O_CREAT : 0), 0o600)
        guard descriptor >= 0 else { throw FileError(.open, path, code: errno) }
        let file = SystemFile(descriptor: descriptor, path: path)
        file.noteLength(try file.size())
        return file
    }

    package func rename(_ path: String, to newPath: String) throws(FileError) {
        if Glibc.rename(path, newPath) != 0 { throw FileError(.rename, path, code: errno) }
    }

    package func remove(_ path: String) throws(FileError) {
        if unlink(path) != 0 { throw FileError(.remove, path, code: errno) }
    }

    package func syncDirectory(_ path: String) throws(FileError) {
        let descriptor = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileError(.syncDirectory, path, code: errno) }
        defer { close(descriptor) }
        if fsync(descriptor) != 0 { throw FileError(.syncDirectory, path, code: errno) }
    }

    package func lock(_ path: String) throws(FileError) -> (any FileLock)? {
        let descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw FileError(.lock, path, code: errno) }
        if flock(descriptor, LOCK_EX | LOCK_NB) == 0 {
            return SystemFile(descriptor: descriptor, path: path)
        }
        let code = errno
        close(descriptor)
        if code == EWOULDBLOCK { return nil }
        throw FileError(.lock, path, code: code)
    }
}

/// A file descriptor and the path that it was opened by.
private final class SystemFile: File, FileLock {
    private let descriptor: Int32
    private let path: String
    /// Whatever is past the page cache.
    private let direct = Locked<Direct>(.unopened)
    /// At most the file's length.
    private let length = Atomic<Int>(0)

    /// Opened by the first write only: most files of a large log are read and never written.
    private enum Direct {
        case unopened
        case open(DirectWriter)
        /// There are no such writes, or no writes at all any more.
        case unavailable
    }

    init(descriptor: Int32, path: String) {
        self.descriptor = descriptor
        self.path = path
    }

    deinit { close(descriptor) }

    func size() throws(FileError) -> Int {
        var status = stat()
        if fstat(descriptor, &status) != 0 { throw FileError(.inspect, path, code: errno) }
        return Int(status.st_size)
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(FileError) -> Int {
        guard let start = buffer.baseAddress else { return 0 }
        var done = 0
        while done < buffer.count {
            let count = pread(descriptor, start + done, buffer.count - done, off_t(offset + done))
            if count == 0 { break }
            if count > 0 {
                done += count
            } else if errno != EINTR {
                throw FileError(.read, path, code: errno)
            }
        }
        return done
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FileError) {
        guard let start = bytes.baseAddress else { return }
        let known = length.load(ordering: .relaxed)
        if try writeDirectly(bytes, at: offset, length: known) { return }
        var done = 0
        while done < bytes.count {
            let count = pwrite(descriptor, start + done, bytes.count - done, off_t(offset + done))
            if count > 0 {
                done += count
            } else if count == 0 {
                throw FileError(.write, path, code: EIO)
            } else if errno != EINTR {
                throw FileError(.write, path, code: errno)
            }
        }
        noteLength(offset + done)
    }

    /// Whether the bytes could be written past the page cache.
    private func writeDirectly(
        _ bytes: UnsafeRawBufferPointer, at offset: Int, length: Int
    ) throws(FileError) -> Bool {
        try direct.withLock { direct throws(FileError) in
            if case .unopened = direct {
                direct = DirectWriter(path: path).map { .open($0) } ?? .unavailable
            }
            guard case .open(let writer) = direct else { return false }
            return try writer.write(bytes, at: offset, length: length)
        }
    }

    func endWriting() { direct.withLock { $0 = .unavailable } }

    /// Files of the log never shrink.
    func noteLength(_ reached: Int) {
        if reached > length.load(ordering: .relaxed) { length.store(reached, ordering: .relaxed) }
    }

    func sync() throws(FileError) {
        // Never tried again: after a failure the kernel may report success for pages it dropped.
        if fdatasync(descriptor) != 0 { throw FileError(.sync, path, code: errno) }
    }

    func release() { flock(descriptor, LOCK_UN) }
}
