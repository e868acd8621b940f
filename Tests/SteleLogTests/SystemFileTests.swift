import Glibc
import SteleBase
import SteleRaft
import Testing

@testable import SteleLog

@Suite struct SystemFileTests {
    /// Whole sectors go past the page cache and other bytes through it; reads see all of them.
    @Test func readsSeeWhatWasWrittenInEitherWay() throws {
        var template = Array("/tmp/stele-file-XXXXXX".utf8CString)
        let directory = String(cString: try #require(mkdtemp(&template)))
        defer { removeDirectory(directory) }
        let file = try SystemFileSystem().open(directory + "/file", create: true)
        var model: [UInt8] = []
        var random = SeededRandom(seed: 1)
        for round in 0..<100 {
            let isWhole = random.below(4) > 0
            let unit = isWhole ? 512 : 1
            let count = Int(1 + random.below(isWhole ? 40 : 5000)) * unit
            // Mostly within the file, now and then beyond its end.
            let offset = Int(random.below(UInt64(model.count / unit + 2))) * unit
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &+ round) }
            if offset + count > 1 << 20 { continue }
            try file.write(bytes[...], at: offset)
            if offset + count > model.count {
                model += [UInt8](repeating: 0, count: offset + count - model.count)
            }
            model.replaceSubrange(offset..<offset + count, with: bytes)
            if round % 16 == 0 { try file.sync() }
            let from = Int(random.below(UInt64(model.count)))
            let read = try file.bytes(at: from, count: 10_000)
            #expect(read == Array(model[from..<min(from + 10_000, model.count)]))
        }
        #expect(try file.size() == model.count)
        let again = try SystemFileSystem().open(directory + "/file", create: false)
        #expect(try again.bytes(at: 0, count: model.count + 1) == model)
    }

    /// A sync really asks the kernel: it refuses to sync a pipe, and a directory of its own.
    @Test func whatCannotBeSyncedIsNotCalledSynced() throws {
        var template = Array("/tmp/stele-file-XXXXXX".utf8CString)
        let directory = String(cString: try #require(mkdtemp(&template)))
        defer { removeDirectory(directory) }
        let path = directory + "/pipe"
        #expect(mkfifo(path, 0o600) == 0)
        let pipe = try SystemFileSystem().open(path, create: false)
        #expect(throws: FileError(.sync, path, code: EINVAL)) { try pipe.sync() }
        #expect(throws: FileError(.syncDirectory, "/proc", code: EINVAL)) {
            try SystemFileSystem().syncDirectory("/proc")
        }
    }

    /// A large log has many segments, and a process is not given many more descriptors than that.
    @Test func aFinishedSegmentHasOneDescriptor() throws {
        var template = Array("/tmp/stele-file-XXXXXX".utf8CString)
        let directory = String(cString: try #require(mkdtemp(&template)))
        defer { removeDirectory(directory) }
        func descriptors() throws -> [String: Int] {
            var counts: [String: Int] = [:]
            for name in try SystemFileSystem().list("/proc/self/fd") {
                var target = [CChar](repeating: 0, count: 512)
                let count = readlink("/proc/self/fd/" + name, &target, target.count)
                // Other tests open and close files meanwhile.
                guard count > 0 else { continue }
                let path = String(
                    decoding: target[..<count].map(UInt8.init(bitPattern:)), as: UTF8.self)
                if path.hasPrefix(directory), path.hasSuffix(".log") {
                    counts[FilePath.name(of: path), default: 0] += 1
                }
            }
            return counts
        }
        var options = smallOptions(segmentBytes: 16 << 10)
        options.segmentsBeforeMoving = .max
        for life in 0..<2 {
            let (writer, _) = try LogWriter.open(
                directory: directory, fileSystem: SystemFileSystem(), options: options)
            for index in 1...60 as ClosedRange<LogIndex> {
                let payload = [UInt8](repeating: 1, count: 1000)
                try writer.commit(single(LogIndex(life) * 60 + index, payload))
            }
            let counts = try descriptors()
            let newest = try #require(counts.keys.max())
            #expect(counts.count >= 4)
            #expect(counts.filter { $0.key != newest }.allSatisfy { $0.value == 1 }, "\(counts)")
            if life == 0 { writer.close() }
        }
    }

    @Test func onlyWholeSectorsWithinTheFileAreWrittenDirectly() throws {
        var template = Array("/tmp/stele-file-XXXXXX".utf8CString)
        let directory = String(cString: try #require(mkdtemp(&template)))
        defer { removeDirectory(directory) }
        let path = directory + "/file"
        let file = try SystemFileSystem().open(path, create: true)
        try file.write([UInt8](repeating: 1, count: 4096)[...], at: 0)
        // Not every file system has such writes.
        guard let direct = DirectWriter(path: path) else { return }
        func write(_ count: Int, at offset: Int) throws -> Bool {
            try [UInt8](repeating: 2, count: count).withUnsafeBytes {
                try direct.write($0, at: offset, length: 4096)
            }
        }
        #expect(try !write(100, at: 0))
        #expect(try !write(512, at: 100))
        #expect(try !write(0, at: 0))
        #expect(try !write(512, at: 4096))
        #expect(try !write(1024, at: 3584))
        #expect(try file.bytes(at: 0, count: 5000) == [UInt8](repeating: 1, count: 4096))
        if try write(512, at: 1024) {
            #expect(try file.bytes(at: 1024, count: 512) == [UInt8](repeating: 2, count: 512))
        }
    }
}
