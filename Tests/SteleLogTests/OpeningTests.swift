import Glibc
import SteleBase
import SteleRaft
import Testing

@testable import SteleLog

/// Directories in which no log can be opened: an error that names the thing, and nothing changed.
@Suite struct OpeningTests {
    private func contents(_ disk: SimulatedFileSystem) -> [String: [UInt8]?] {
        Dictionary(uniqueKeysWithValues: disk.paths.map { ($0, disk.content(of: $0)) })
    }

    @Test func aDirectoryOfAnotherKindIsRefused() {
        // Among others what RocksDB puts in a directory, whose lock has the same name as ours.
        for names in [["CURRENT", "LOCK", "MANIFEST-000001", "000005.log"], ["notes.txt"]] {
            let disk = SimulatedFileSystem(seed: 1)
            for name in names { disk.setContent(of: "log/" + name, to: [1]) }
            let before = contents(disk)
            let first = names.sorted()[0]
            #expect(throws: LogError.foreignDirectory(directory: "log", file: first)) {
                try openWriter(disk)
            }
            #expect(contents(disk) == before)
        }
    }

    @Test func otherFilesBesideALogAreLeftAlone() throws {
        let disk = SimulatedFileSystem(seed: 1)
        try openWriter(disk).writer.close()
        disk.setContent(of: "log/notes.txt", to: [1])
        try openWriter(disk).writer.close()
        #expect(disk.content(of: "log/notes.txt") == [1])
    }

    @Test func aLogThatHasToBeThereIsNotMadeAnew() throws {
        var options = smallOptions()
        options.mustExist = true
        let disk = SimulatedFileSystem(seed: 1)
        for isLocked in [false, true] {
            if isLocked { disk.setContent(of: "log/LOCK", to: []) }
            let before = disk.paths
            #expect(throws: LogError.missing(directory: "log")) { try openWriter(disk, options) }
            #expect(disk.paths == before)
        }
        try openWriter(disk).writer.commit(single(1, [1]))
        disk.crash()
        #expect(try openWriter(disk, options).recovered.replicas.first?.lastIndex == 1)
    }

    @Test(arguments: [0, 512, 4096, 1 << 20])
    func anOnlySegmentWithoutItsContentIsDamagedIfItWasBegun(length: Int) throws {
        let path = "log/0000000000000001.log"
        let disk = SimulatedFileSystem(seed: 1)
        try openWriter(disk).writer.commit(single(1, [1]))
        disk.crash()
        let header = try #require(disk.content(of: path)).prefix(LogFormat.segmentHeaderBytes)
        var options = smallOptions()
        options.mustExist = true
        for start in [[], Array(header)] {
            let zeros = [UInt8](repeating: 0, count: max(0, length - start.count))
            disk.setContent(of: path, to: start + zeros)
            let before = disk.paths
            do {
                _ = try openWriter(disk, options)
                Issue.record("an empty log was made of a lost one")
            } catch LogError.corrupt(let file, _, _) {
                #expect(file == path)
            }
            #expect(disk.paths == before)
        }
        // Nobody knows that it was begun.
        #expect(try openWriter(disk).recovered.replicas.isEmpty)
    }

    @Test func aLogWithoutSegmentsButWithSparesIsDamaged() throws {
        let disk = SimulatedFileSystem(seed: 1)
        disk.setContent(of: "log/0000000000000001.spare", to: [1])
        do {
            _ = try openWriter(disk)
            Issue.record("an empty log was made of a damaged one")
        } catch LogError.corrupt(let file, _, _) {
            #expect(file == "log")
        }
        #expect(disk.paths.contains("log/0000000000000001.spare"))
    }

    @Test func aDamagedLogWithoutItsLockFileIsNotGivenOne() throws {
        let (log, path) = try temporaryLog()
        log.append(single(1, [1])) { _ in }
        log.close()
        defer { removeDirectory(path) }
        let files = SystemFileSystem()
        try files.remove(path + "/LOCK")
        let names = try files.list(path)
        let segment = path + "/" + (try #require(names.first))
        let file = try files.open(segment, create: false)
        let offset = LogFormat.segmentHeaderBytes
        let byte = try file.bytes(at: offset, count: 1)
        try file.write([byte[0] ^ 1], at: offset)
        do {
            _ = try RaftLog.open(directory: path)
            Issue.record("a damaged log was opened")
        } catch LogError.corrupt(let file, _, _) {
            #expect(file == segment)
        }
        #expect(try files.list(path) == names)
        try file.write(byte[...], at: offset)
        try RaftLog.open(directory: path).log.close()
        #expect(try files.list(path).contains("LOCK"))
    }

    @Test func aFileInPlaceOfTheDirectory() {
        #expect(throws: LogError.file(FileError(.list, "/dev/null", code: ENOTDIR))) {
            try RaftLog.open(directory: "/dev/null")
        }
    }

    @Test func aMissingParentIsNamed() {
        let path = "/nowhere/at/all"
        #expect(throws: LogError.file(FileError(.createDirectory, path, code: ENOENT))) {
            try RaftLog.open(directory: path)
        }
    }

    @Test func aReadOnlyDirectory() throws {
        let (log, path) = try temporaryLog()
        log.append(single(1, [1])) { _ in }
        log.close()
        defer { removeDirectory(path) }
        let before = try SystemFileSystem().list(path)
        chmod(path, 0o555)
        for name in before { chmod(path + "/" + name, 0o444) }
        defer { chmod(path, 0o755) }
        try withoutRootsRights {
            let error = LogError.file(FileError(.lock, path + "/LOCK", code: EACCES))
            #expect(throws: error) { try RaftLog.open(directory: path) }
        }
        #expect(try SystemFileSystem().list(path) == before)
    }

    /// Root may write anywhere; this thread gives that up for files for as long as `body` runs.
    private func withoutRootsRights(_ body: () throws -> Void) throws {
        typealias SetUser = @convention(c) (uid_t) -> Int32
        let symbol = try #require(dlsym(nil, "setfsuid"))
        let setUser = unsafeBitCast(symbol, to: SetUser.self)
        let user = setUser(65_534)
        defer { _ = setUser(uid_t(bitPattern: user)) }
        try body()
    }

    /// Records use what a full disk has left, down to the last sector.
    @Test func noSpaceForZerosIsNoFailure() throws {
        let disk = SimulatedFileSystem(seed: 1)
        let (writer, _) = try openWriter(disk, smallOptions(segmentBytes: 64 << 10))
        let path = try #require(disk.paths.first { $0.hasSuffix(".log") })
        let sectors = 9
        // The header, the checkpoint, the records, and not quite another one.
        disk.limit(toBytes: (2 + sectors + 1) * LogFormat.alignment - 1)
        for index in 1...LogIndex(sectors) { try writer.commit(single(index, [1])) }
        let total = disk.paths.reduce(0) { $0 + (disk.content(of: $1)?.count ?? 0) }
        #expect(writer.bytesOnDisk == total)
        #expect(throws: LogError.file(FileError(.write, path, code: ENOSPC))) {
            try writer.commit(single(LogIndex(sectors + 1), [1]))
        }
        disk.crash()
        disk.limit(toBytes: SimulatedFileSystem.unlimited)
        let (_, recovered) = try openWriter(disk)
        #expect(try #require(recovered.replicas.first).lastIndex >= LogIndex(sectors))
    }

    /// Once there is space again, the next segment has zeros again.
    @Test func zerosComeBackWithSpace() throws {
        let disk = SimulatedFileSystem(seed: 1)
        let (writer, _) = try openWriter(disk, smallOptions(segmentBytes: 8 << 10))
        disk.limit(toBytes: 4 << 10)
        for index in 1...4 as ClosedRange<LogIndex> { try writer.commit(single(index, [1])) }
        disk.limit(toBytes: SimulatedFileSystem.unlimited)
        try writer.beginSegment()
        let path = try #require(disk.paths.last { $0.hasSuffix(".log") })
        let runway = (disk.content(of: path)?.count ?? 0) - 2 * LogFormat.alignment
        #expect(runway >= smallOptions().zeroedBytes)
    }

    @Test func openingsThatFailLeaveNothing() throws {
        for room in [0, 300, 700, 1_024 + 300] {
            let disk = SimulatedFileSystem(seed: UInt64(room))
            let (writer, _) = try openWriter(disk)
            for index in 1...10 as ClosedRange<LogIndex> { try writer.commit(single(index, [1])) }
            disk.killProcess()
            let before = contents(disk)
            let total = before.values.reduce(0) { $0 + ($1?.count ?? 0) }
            disk.limit(toBytes: total + room)
            if room >= 2 * LogFormat.alignment {
                // Space for the segment, but a disk that does not take it.
                disk.inject(.init(.sync, after: 1, code: EIO, isPermanent: true))
            }
            for _ in 0..<20 {
                do {
                    _ = try openWriter(disk)
                    Issue.record("opened with \(room) bytes left")
                } catch LogError.file(let error) {
                    #expect(error.isNoSpace || room >= 2 * LogFormat.alignment)
                }
                #expect(contents(disk) == before)
            }
            disk.clearFaults()
            disk.limit(toBytes: SimulatedFileSystem.unlimited)
            let (_, recovered) = try openWriter(disk)
            #expect(recovered.replicas.first?.lastIndex == 10)
        }
    }

    @Test func afterAFullDiskNothingAcknowledgedIsMissing() throws {
        for capacity in stride(from: 6 << 10, through: 30 << 10, by: 700) {
            let disk = SimulatedFileSystem(seed: UInt64(capacity))
            let (writer, _) = try openWriter(disk, smallOptions(segmentBytes: 4 << 10))
            disk.limit(toBytes: capacity)
            var acknowledged: LogIndex = 0
            do {
                while true {
                    let payload = [UInt8](repeating: 3, count: 500)
                    try writer.commit(single(acknowledged + 1, payload))
                    acknowledged += 1
                }
            } catch LogError.file(let error) {
                #expect(error.isNoSpace)
            }
            #expect(throws: LogError.self) { try writer.encode(single(acknowledged + 1, [1])) }
            disk.crash()
            // As long as the disk is full the log does not open, or it opens in full.
            do {
                let (_, recovered) = try openWriter(disk)
                #expect(recovered.replicas.first?.lastIndex ?? 0 >= acknowledged)
            } catch LogError.file(let error) {
                #expect(error.isNoSpace)
            }
            disk.crash()
            disk.limit(toBytes: SimulatedFileSystem.unlimited)
            let (again, recovered) = try openWriter(disk)
            let last = recovered.replicas.first?.lastIndex ?? 0
            #expect(last >= acknowledged)
            try again.commit(single(last + 1, [1]))
        }
    }
}

/// A log in a directory of its own on the real disk.
func temporaryLog() throws -> (RaftLog, String) {
    var template = Array("/tmp/stele-log-XXXXXX".utf8CString)
    let path = String(cString: try #require(mkdtemp(&template)))
    return (try RaftLog.open(directory: path).log, path)
}

/// Removes a directory and the files in it.
func removeDirectory(_ path: String) {
    let files = SystemFileSystem()
    for name in (try? files.list(path)) ?? [] { try? files.remove(path + "/" + name) }
    rmdir(path)
}
