import Glibc
import SteleBase
import Synchronization

/// The content of a simulated file, and for each sector not yet durable what the disk has instead.
struct SimulatedInode: Sendable {
    private(set) var bytes: [UInt8]
    private var durableSize: Int
    /// The durable content of sectors that the next sync writes.
    private var dirty: [Int: [UInt8]] = [:]
    /// The same for sectors that a failed sync left behind: no sync writes them any more.
    private var lost: [Int: [UInt8]] = [:]

    private static let sectorBytes = 512

    init(bytes: [UInt8]) {
        self.bytes = bytes
        self.durableSize = bytes.count
    }

    mutating func write(_ source: UnsafeRawBufferPointer, at offset: Int) {
        if source.isEmpty { return }
        let end = offset + source.count
        for sector in offset / Self.sectorBytes...(end - 1) / Self.sectorBytes {
            if dirty[sector] != nil { continue }
            dirty[sector] = lost.removeValue(forKey: sector) ?? content(of: sector)
        }
        if bytes.count < end {
            bytes += [UInt8](repeating: 0, count: end - bytes.count)
        }
        bytes.withUnsafeMutableBytes { all in
            UnsafeMutableRawBufferPointer(rebasing: all[offset..<end]).copyMemory(from: source)
        }
    }

    mutating func sync() {
        // The length as well, but only as far as something that was written needs it.
        let end = dirty.keys.max().map { ($0 + 1) * Self.sectorBytes } ?? 0
        durableSize = max(durableSize, lost.isEmpty ? bytes.count : min(end, bytes.count))
        dirty = [:]
    }

    /// What a failed sync does: the pages count as clean but are not on the disk.
    mutating func failSync() {
        lost.merge(dirty) { earlier, _ in earlier }
        dirty = [:]
    }

    mutating func crash(_ random: inout SeededRandom) {
        let mode = random.below(4)
        var size = durableSize
        let cut = random.below(UInt64(dirty.count + 1))
        for (number, sector) in dirty.keys.sorted().enumerated() {
            let keeps =
                switch mode {
                case 0: false
                case 1: true
                case 2: UInt64(number) < cut
                default: random.oneIn(2)
                }
            if keeps {
                size = max(size, min((sector + 1) * Self.sectorBytes, bytes.count))
            } else if let content = dirty[sector] {
                restore(sector, to: content)
            }
        }
        for (sector, content) in lost { restore(sector, to: content) }
        bytes.removeLast(bytes.count - min(size, bytes.count))
        dirty = [:]
        lost = [:]
        durableSize = bytes.count
    }

    mutating func rot(at offset: Int, mask: UInt8) {
        if bytes.indices.contains(offset) { bytes[offset] ^= mask }
    }

    /// A sector as it is, zeros behind the end.
    private func content(of sector: Int) -> [UInt8] {
        let start = sector * Self.sectorBytes
        if start >= bytes.count { return [] }
        return Array(bytes[start..<min(start + Self.sectorBytes, bytes.count)])
    }

    private mutating func restore(_ sector: Int, to content: [UInt8]) {
        let start = sector * Self.sectorBytes
        for offset in start..<min(start + Self.sectorBytes, bytes.count) {
            bytes[offset] = offset - start < content.count ? content[offset - start] : 0
        }
    }
}

/// A handle to a simulated file.
final class SimulatedFile: File {
    private let disk: SimulatedFileSystem
    private let number: Int
    private let life: Int
    private let path: String
    private let isReadOnly = Atomic<Bool>(false)

    init(disk: SimulatedFileSystem, number: Int, life: Int, path: String) {
        self.disk = disk
        self.number = number
        self.life = life
        self.path = path
    }

    deinit {
        disk.state.withLock { state in
            if state.life == life { state.close(number) }
        }
    }

    func size() throws(FileError) -> Int {
        try inode(.inspect) { inode, _ in inode.bytes.count }
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(FileError) -> Int {
        let bytes = try inode(.read) { inode, _ in inode.bytes }
        if offset >= bytes.count { return 0 }
        let part = bytes[offset..<min(offset + buffer.count, bytes.count)]
        buffer.copyBytes(from: part)
        return part.count
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FileError) {
        invariant(!isReadOnly.load(ordering: .relaxed), "\(path) is written after its last write")
        let content = [UInt8](bytes)
        do throws(FileError) {
            try write(content, at: offset)
        } catch {
            if error.code != EBADF { try? writePart(of: content, at: offset) }
            throw error
        }
    }

    /// A write that fails may have written some of its bytes.
    private func writePart(of content: [UInt8], at offset: Int) throws(FileError) {
        let count = disk.state.withLock { Int($0.random.below(UInt64(content.count + 1))) }
        try inode(nil) { inode, room in
            let fits = min(count, max(inode.bytes.count - offset, 0) + room)
            content.withUnsafeBytes { all in
                inode.write(UnsafeRawBufferPointer(rebasing: all[..<fits]), at: offset)
            }
        }
    }

    private func write(_ content: [UInt8], at offset: Int) throws(FileError) {
        let isWhole = try inode(.write) { inode, room in
            let fits = min(content.count, max(inode.bytes.count - offset, 0) + room)
            content.withUnsafeBytes { all in
                inode.write(UnsafeRawBufferPointer(rebasing: all[..<fits]), at: offset)
            }
            return fits == content.count
        }
        if !isWhole { throw FileError(.write, path, code: ENOSPC) }
    }

    func sync() throws(FileError) {
        do throws(FileError) {
            try inode(.sync) { inode, _ in inode.sync() }
        } catch {
            try inode(nil) { inode, _ in inode.failSync() }
            throw error
        }
    }

    func endWriting() { isReadOnly.store(true, ordering: .relaxed) }

    /// Works on the file's content, given how many bytes the disk has left.
    private func inode<Success: Sendable>(
        _ operation: FileError.Operation?, _ body: (inout SimulatedInode, Int) -> Success
    ) throws(FileError) -> Success {
        try disk.perform(operation, path) { state throws(FileError) in
            guard state.life == life else {
                throw FileError(operation ?? .sync, path, code: EBADF)
            }
            let used = state.capacity == SimulatedFileSystem.unlimited
                ? 0 : state.inodes.values.reduce(0) { $0 + $1.bytes.count }
            guard var inode = state.inodes.removeValue(forKey: number) else {
                throw FileError(operation ?? .sync, path, code: EIO)
            }
            defer { state.inodes[number] = inode }
            return body(&inode, max(state.capacity - used, 0))
        }
    }
}

/// A held lock of a simulated file. Safety: `isReleased` is touched under the disk's lock only.
final class SimulatedLock: FileLock, @unchecked Sendable {
    private let disk: SimulatedFileSystem
    private let path: String
    private let life: Int
    /// Then it may be somebody else's.
    private var isReleased = false

    init(disk: SimulatedFileSystem, path: String, life: Int) {
        self.disk = disk
        self.path = path
        self.life = life
    }

    deinit { release() }

    func release() {
        disk.state.withLock { state in
            guard !isReleased else { return }
            isReleased = true
            if state.life == life { state.locks.remove(path) }
        }
    }
}
