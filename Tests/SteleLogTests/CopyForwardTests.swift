import SteleBase
import SteleRaft
import Synchronization
import Testing

@testable import SteleLog

/// What lives in the oldest segment is copied with few reads, in small pieces, and only if whole.
@Suite struct CopyForwardTests {
    private let cold = ReplicaKey(tablet: TabletID(9), replica: ReplicaID(1))

    private func options() -> LogOptions {
        var options = smallOptions(segmentBytes: 64 << 10)
        options.movedBytes = 2 << 10
        return options
    }

    /// Gives up the cold replica's entries up to `index`.
    private func coldCompaction(_ index: LogIndex) -> LogBatch {
        LogBatch(parts: [
            LogBatch.Part(
                tablet: cold.tablet, replica: cold.replica,
                compacted: LogPosition(index: index, term: 3))
        ])
    }

    private func coldBatch(_ indices: ClosedRange<LogIndex>, bytes: Int = 20) -> LogBatch {
        let entries = indices.map { index in
            Entry(
                term: 3, index: index,
                payload: [UInt8](repeating: UInt8(truncatingIfNeeded: index), count: bytes)[...])
        }
        return LogBatch(parts: [
            LogBatch.Part(tablet: cold.tablet, replica: cold.replica, entries: entries)
        ])
    }

    private func compaction(_ index: LogIndex) -> LogBatch {
        LogBatch(parts: [
            LogBatch.Part(
                tablet: TabletID(1), replica: ReplicaID(1),
                compacted: LogPosition(index: index, term: 1))
        ])
    }

    /// Fills segments with what is compacted at once, without any upkeep, until copying is due.
    private func fill(_ writer: LogWriter, from first: LogIndex = 1) throws -> LogIndex {
        var index = first
        while writer.catalog.state.withLock({ $0.segments.closed.count }) < 3 {
            try write(writer, single(index, [UInt8](repeating: 1, count: 1000)))
            index += 1
        }
        try write(writer, compaction(index - 1))
        return index
    }

    private func write(_ writer: LogWriter, _ batch: LogBatch) throws {
        try writer.encode(batch)
        try writer.write()
        try writer.sync()
    }

    private func coldEntries(_ writer: LogWriter) throws -> [Entry] {
        try writer.entries(
            of: cold.tablet, replica: cold.replica, from: 1, upTo: .max, maxBytes: .max)
    }

    @Test func readsAreFewAndSlicesAreSmall() throws {
        let files = CountingFileSystem(SimulatedFileSystem(seed: 1))
        let (writer, _) = try LogWriter.open(
            directory: "log", fileSystem: files, options: options())
        for first in stride(from: 1 as LogIndex, to: 1000, by: 100) {
            try write(writer, coldBatch(first...first + 99))
        }
        _ = try fill(writer)
        let reads = files.reads
        var slices = 0
        var most = 0
        repeat {
            let before = writer.statistics.movedEntries
            let isDue = try writer.upkeep()
            most = max(most, writer.statistics.movedEntries - before)
            slices += 1
            if !isDue { break }
        } while true
        #expect(writer.statistics.movedEntries == 1000)
        #expect(slices > 20 && most <= 40)
        // 64 KiB in pieces of 16, and a few of a record again that a piece cut in two.
        #expect(files.reads - reads <= 10)
        #expect(try coldEntries(writer).map(\.index) == Array(1...1000))
    }

    /// Nobody who writes waits for more copying than is needed to keep ahead of the writes.
    @Test func copyingKeepsAheadOfWritesAndNoMore() throws {
        let disk = SimulatedFileSystem(seed: 1)
        let (writer, _) = try openWriter(disk, options())
        for first in stride(from: 1 as LogIndex, to: 1000, by: 100) {
            try write(writer, coldBatch(first...first + 99))
        }
        var index = try fill(writer)
        for _ in 0..<50 { #expect(try writer.upkeep(isIdle: false)) }
        #expect(writer.statistics.movedEntries == 0)
        var slices = 0
        for _ in 0..<2000 {
            let before = writer.statistics.movedEntries
            try write(writer, single(index, [1]))
            try write(writer, compaction(index))
            index += 1
            _ = try writer.upkeep(isIdle: false)
            if writer.statistics.movedEntries > before { slices += 1 }
            #expect(writer.bytesOnDisk <= 7 * (64 << 10))
        }
        // Each commit of two sectors allows for four to be passed, a slice passes about four.
        #expect(slices > 100 && slices < 1200)
        #expect(writer.statistics.reclaimedSegments >= 30)
        disk.crash()
        let (again, _) = try openWriter(disk, options())
        #expect(try coldEntries(again).map(\.index) == Array(1...1000))
    }

    /// Records larger than what is read at a time, whose entries live in part.
    @Test func largeRecordsAreCopiedEntryByEntry() throws {
        let disk = SimulatedFileSystem(seed: 1)
        let (writer, _) = try openWriter(disk, options())
        try write(writer, coldBatch(1...5, bytes: 9_000))
        try write(writer, coldBatch(4...8, bytes: 1_000))
        try write(writer, coldCompaction(1))
        _ = try fill(writer)
        while try writer.upkeep() {}
        #expect(writer.statistics.movedEntries == 7)
        #expect(writer.statistics.reclaimedSegments == 3)
        let entries = try writer.entries(
            of: cold.tablet, replica: cold.replica, from: 2, upTo: .max, maxBytes: .max)
        let lengths = [9_000, 9_000] + [Int](repeating: 1_000, count: 5)
        #expect(entries.map(\.payload.count) == lengths)
        #expect(entries.allSatisfy { $0.payload.allSatisfy { [index = $0.index] in $0 == index } })
    }

    /// A segment that a compaction frees meanwhile ends the copying.
    @Test func aCompactionMayBeFaster() throws {
        let disk = SimulatedFileSystem(seed: 1)
        let (writer, _) = try openWriter(disk, options())
        try write(writer, coldBatch(1...500))
        let next = try fill(writer)
        while writer.statistics.movedEntries == 0 { _ = try writer.upkeep() }
        #expect(writer.walk != nil)
        try write(writer, coldCompaction(499))
        while try writer.upkeep() {}
        try write(writer, single(next, [1]))
        while try writer.upkeep() {}
        disk.crash()
        let (again, _) = try openWriter(disk, options())
        let left = try again.entries(
            of: cold.tablet, replica: cold.replica, from: 500, upTo: .max, maxBytes: .max)
        #expect(left.map(\.index) == [500])
    }

    /// Rot costs nothing where nothing lives; of what lives, rot is told, whatever part it hit.
    @Test(arguments: [(false, 0), (false, 1), (false, 2), (true, 0), (true, 1), (true, 2)])
    func rotOfTheLivingIsTold(hitsLiving: Bool, part: Int) throws {
        let disk = SimulatedFileSystem(seed: 1)
        let (writer, _) = try openWriter(disk, options())
        let path = try #require(disk.paths.first { $0.hasSuffix(".log") })
        // Dead and living take turns, a sector each.
        for index in 1...9 as ClosedRange<LogIndex> {
            try write(writer, single(index, [0xDD, 0xDD, 0xDD]))
            try write(writer, coldBatch(index...index))
        }
        _ = try fill(writer, from: 10)
        let header = RecordHeader.unverified
        let content = try #require(disk.content(of: path))
        let living = content.indices.filter { offset in
            offset % LogFormat.alignment == LogFormat.recordHeaderBytes
                && content[offset..<offset + 3].elementsEqual([5, 5, 5])
        }
        let payload = try #require(living.first) - (hitsLiving ? 0 : LogFormat.alignment)
        let record = payload - LogFormat.recordHeaderBytes
        let length = content[record...].withUnsafeBytes { header($0).payloadBytes }
        let offset = [record + 9, payload + 1, payload + length + 3][part]
        disk.rot(path, at: offset, mask: 16)
        do {
            while try writer.upkeep() {}
            #expect(!hitsLiving)
            #expect(writer.statistics.movedEntries == 9)
            #expect(!disk.paths.contains(path))
            #expect(try coldEntries(writer).map(\.index) == Array(1...9))
        } catch LogError.corrupt(let file, let place, _) {
            #expect(hitsLiving && file == path)
            #expect(place == (part == 1 ? payload : record))
            #expect(throws: LogError.self) { try writer.encode(single(99, [1])) }
            #expect(disk.paths.contains(path))
        }
    }
}

/// A file system that counts the reads of its files.
final class CountingFileSystem: FileSystem {
    private let base: SimulatedFileSystem
    private let count = Atomic<Int>(0)

    init(_ base: SimulatedFileSystem) { self.base = base }

    var reads: Int { count.load(ordering: .relaxed) }

    fileprivate func countRead() { count.add(1, ordering: .relaxed) }

    func createDirectory(_ path: String) throws(FileError) -> Bool {
        try base.createDirectory(path)
    }

    func list(_ directory: String) throws(FileError) -> [String] { try base.list(directory) }

    func open(_ path: String, create: Bool) throws(FileError) -> any File {
        CountingFile(try base.open(path, create: create), self)
    }

    func rename(_ path: String, to newPath: String) throws(FileError) {
        try base.rename(path, to: newPath)
    }

    func remove(_ path: String) throws(FileError) { try base.remove(path) }

    func syncDirectory(_ path: String) throws(FileError) { try base.syncDirectory(path) }

    func lock(_ path: String) throws(FileError) -> (any FileLock)? { try base.lock(path) }
}

private final class CountingFile: File {
    private let base: any File
    private let files: CountingFileSystem

    init(_ base: any File, _ files: CountingFileSystem) {
        self.base = base
        self.files = files
    }

    func size() throws(FileError) -> Int { try base.size() }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(FileError) -> Int {
        files.countRead()
        return try base.read(into: buffer, at: offset)
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FileError) {
        try base.write(bytes, at: offset)
    }

    func sync() throws(FileError) { try base.sync() }

    func endWriting() { base.endWriting() }
}
