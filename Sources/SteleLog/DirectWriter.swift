import Glibc

/// Writes whole sectors of a file past the page cache.
///
/// A sync after that has nothing to write back and only flushes the disk's own cache, which takes a
/// tenth less time. The kernel keeps such writes coherent with reads and writes of other
/// descriptors. A file system that refuses them, or a disk with larger sectors, is not asked again.
final class DirectWriter: @unchecked Sendable {
    // Safety: its owner, an open file, writes under a lock.
    private let descriptor: Int32
    private let path: String
    private var isRefused = false
    /// Aligned memory for one write after the other.
    private var buffer = UnsafeMutableRawBufferPointer(start: nil, count: 0)

    private static let sector = 512
    /// What the memory must be aligned to; more than any disk asks for.
    private static let alignment = 4096
    /// Larger writes gain nothing, for their time is that of the data.
    private static let largest = 256 << 10

    // The header has a macro that Swift does not see.
    #if arch(arm64) || arch(arm)
        private static let directFlag: Int32 = 0x1_0000
    #else
        private static let directFlag: Int32 = 0x4000
    #endif

    /// Nil where the file system has no such writes.
    init?(path: String) {
        descriptor = open(path, O_WRONLY | Self.directFlag | O_CLOEXEC)
        self.path = path
        if descriptor < 0 { return nil }
    }

    deinit {
        close(descriptor)
        buffer.deallocate()
    }

    /// Writes `bytes` within the first `length` bytes of the file; false if that was not possible,
    /// so that the caller has to write all of it in another way.
    func write(
        _ bytes: UnsafeRawBufferPointer, at offset: Int, length: Int
    ) throws(FileError) -> Bool {
        guard !isRefused, bytes.count > 0, bytes.count <= Self.largest,
            bytes.count % Self.sector == 0, offset % Self.sector == 0,
            offset + bytes.count <= length
        else { return false }
        grow(to: bytes.count)
        buffer.copyMemory(from: bytes)
        let count = pwrite(descriptor, buffer.baseAddress, bytes.count, off_t(offset))
        if count < 0, errno == EINVAL {
            isRefused = true
        } else if count < 0, errno != EINTR {
            throw FileError(.write, path, code: errno)
        }
        return count == bytes.count
    }

    /// Sees to it that the buffer holds so many bytes; twice as many as before at least, so that it
    /// soon is large enough for good.
    private func grow(to count: Int) {
        guard buffer.count < count else { return }
        let size = max(count, min(2 * buffer.count, Self.largest), Self.alignment)
        buffer.deallocate()
        buffer = .allocate(byteCount: size, alignment: Self.alignment)
    }
}
