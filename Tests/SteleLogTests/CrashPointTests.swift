import SteleBase
import SteleRaft
import Testing

@testable import SteleLog

/// A crash at every single change of the disk, while segments are recycled and copied forward, and
/// again at every change of the recovery that follows.
@Suite struct CrashPointTests {
    /// A run that fills, recycles and cleans many small segments.
    struct Run {
        /// States that the log went through, and at which change of the disk each was acknowledged.
        var states: [ModelLog] = [ModelLog()]
        var acknowledged: [(changes: Int, state: Int)] = []
        var statistics = LogStatistics()
        /// What ended the run early, which only a defect may.
        var failure: LogError?

        init(_ disk: SimulatedFileSystem, on files: any FileSystem, spares: Int = 2) {
            do throws(LogError) {
                try write(disk, files, spares)
            } catch {
                failure = error
            }
        }

        private mutating func write(
            _ disk: SimulatedFileSystem, _ files: any FileSystem, _ spares: Int
        ) throws(LogError) {
            var options = smallOptions(segmentBytes: 3 << 10)
            options.spareSegments = spares
            options.zeroedBytes = 1 << 10
            options.movedBytes = 200
            let (writer, _) = try LogWriter.open(
                directory: "log", fileSystem: files, options: options)
            var model = ModelLog()
            for batch in Self.batches() {
                model.apply(batch)
                states.append(model)
                try writer.encode(batch)
                try writer.write()
                try writer.sync()
                acknowledged.append((disk.changes, states.count - 1))
                _ = try writer.upkeep()
            }
            statistics = writer.statistics
        }

        /// The newest state that was acknowledged before a change.
        func acknowledged(before change: Int) -> Int {
            acknowledged.last { $0.changes <= change }?.state ?? 0
        }

        /// One tablet is written once, another all the time, and compacted.
        private static func batches() -> [LogBatch] {
            let cold = (1...4).map { index in
                Entry(term: 1, index: LogIndex(index), payload: [UInt8(index), 7][...])
            }
            var batches = [
                LogBatch(
                    parts: [
                        LogBatch.Part(tablet: TabletID(9), replica: ReplicaID(1), entries: cold)
                    ], nodeRecord: [1])
            ]
            for index in 1...24 as ClosedRange<LogIndex> {
                let payload = [UInt8](repeating: UInt8(index), count: 700)
                var batch = single(index, payload)
                batch.parts[0].hardState = HardState(
                    term: 1, vote: ReplicaID(1), commit: index - 1)
                if index > 2 {
                    batch.parts[0].compacted = LogPosition(index: index - 2, term: 1)
                }
                batches.append(batch)
            }
            return batches
        }
    }

    /// Recovers a disk after a crash; nil, or what is wrong with what came back.
    static func fault(
        of disk: SimulatedFileSystem, _ run: Run, atLeast acknowledged: Int
    ) -> String? {
        disk.crash()
        do {
            let (writer, recovered) = try openWriter(disk)
            let found = try ModelLog(recovered, writer)
            guard let state = run.states.lastIndex(of: found) else {
                return "a state that never was"
            }
            return state >= acknowledged ? nil : "state \(state) after \(acknowledged)"
        } catch {
            return "\(error)"
        }
    }

    @Test func everyChangeOfTheDisk() throws {
        let disk = SimulatedFileSystem(seed: 1)
        disk.record()
        let run = Run(disk, on: disk)
        #expect(run.failure == nil)
        #expect(run.statistics.reclaimedSegments >= 6)
        #expect(run.statistics.movedEntries >= 8)
        var points = 0
        for seed in 0..<4 as Range<UInt64> {
            for (number, disk) in disk.crashPoints(seed: seed) {
                let fault = Self.fault(of: disk, run, atLeast: run.acknowledged(before: number))
                #expect(fault == nil, "seed \(seed), change \(number)")
                points += 1
            }
        }
        #expect(points >= 600)
    }

    /// The same where no file is kept to be used again: all are removed, several at once.
    @Test func everyChangeWhenFilesAreRemoved() throws {
        let disk = SimulatedFileSystem(seed: 1)
        disk.record()
        let run = Run(disk, on: disk, spares: 0)
        #expect(run.failure == nil)
        #expect(run.statistics.reclaimedSegments >= 6)
        for seed in 0..<4 as Range<UInt64> {
            for (number, disk) in disk.crashPoints(seed: seed) {
                let fault = Self.fault(of: disk, run, atLeast: run.acknowledged(before: number))
                #expect(fault == nil, "seed \(seed), change \(number)")
            }
        }
    }

    @Test func everyChangeOfARecovery() throws {
        let disk = SimulatedFileSystem(seed: 1)
        disk.record()
        let run = Run(disk, on: disk)
        #expect(run.failure == nil)
        for (number, disk) in disk.crashPoints(seed: 77) where number % 4 == 1 {
            disk.crash()
            disk.record()
            let acknowledged = run.acknowledged(before: number)
            // What one recovery found has been told, so no later one may find less.
            let (writer, recovered) = try openWriter(disk)
            let found = try ModelLog(recovered, writer)
            let told = try #require(run.states.lastIndex(of: found))
            #expect(told >= acknowledged)
            let changes = disk.changes
            for (later, disk) in disk.crashPoints(seed: UInt64(number)) {
                let least = later == changes ? told : acknowledged
                let fault = Self.fault(of: disk, run, atLeast: least)
                #expect(fault == nil, "change \(number), then \(later)")
            }
            #expect(Self.fault(of: disk, run, atLeast: told) == nil)
        }
    }

    @Test func noSaltIsUsedTwice() throws {
        let disk = SimulatedFileSystem(seed: 1)
        disk.record()
        let run = Run(disk, on: disk)
        #expect(run.failure == nil)
        #expect(run.statistics.reclaimedSegments >= 6)
        var salts: [UInt64: UInt64] = [:]
        for (_, disk) in disk.crashPoints(seed: 0) {
            for path in disk.paths where path.hasSuffix(".log") {
                let content = try #require(disk.content(of: path))
                guard case .valid(let header) = SegmentHeader.decode(content[...]) else { continue }
                #expect(salts[header.salt] ?? header.sequence == header.sequence)
                salts[header.salt] = header.sequence
            }
        }
        #expect(salts.count >= 8)
    }

    @Test(arguments: DefectiveFileSystem.Defect.allCases)
    func plantedDefectsAreFound(_ defect: DefectiveFileSystem.Defect) throws {
        let disk = SimulatedFileSystem(seed: 1)
        disk.record()
        let run = Run(disk, on: DefectiveFileSystem(disk, defect))
        var found = run.failure == nil ? 0 : 1
        for seed in 0..<2 as Range<UInt64> {
            for (number, disk) in disk.crashPoints(seed: seed) {
                let least = run.acknowledged(before: number)
                if Self.fault(of: disk, run, atLeast: least) != nil { found += 1 }
            }
        }
        #expect(found > 0)
    }
}

/// A file system on which the log's writer behaves as if it had a defect.
struct DefectiveFileSystem: FileSystem {
    enum Defect: String, CaseIterable, Sendable {
        /// Batches are acknowledged before they are synced.
        case syncsTooLate
        /// Created and renamed segments are not made durable.
        case skipsDirectorySync
        /// A file that is used again keeps its header, and so its salt.
        case keepsHeaderOfRecycledFile
        /// The name of the log's own directory is not made durable.
        case skipsSyncOfParent
        /// An old segment goes although the copies of its live entries were never written.
        case losesCopies
    }

    private let base: SimulatedFileSystem
    private let defect: Defect

    init(_ base: SimulatedFileSystem, _ defect: Defect) {
        self.base = base
        self.defect = defect
    }

    func createDirectory(_ path: String) throws(FileError) -> Bool {
        try base.createDirectory(path)
    }

    func list(_ directory: String) throws(FileError) -> [String] { try base.list(directory) }

    func open(_ path: String, create: Bool) throws(FileError) -> any File {
        let isFirst = path.hasSuffix(LogFormat.fileName(sequence: 1))
        let use: DefectiveFile.Use = isFirst ? .first : create ? .new : .recycled
        return DefectiveFile(try base.open(path, create: create), defect, use)
    }

    func rename(_ path: String, to newPath: String) throws(FileError) {
        try base.rename(path, to: newPath)
    }

    func remove(_ path: String) throws(FileError) { try base.remove(path) }

    func syncDirectory(_ path: String) throws(FileError) {
        switch defect {
        case .skipsDirectorySync where path == "log": break
        case .skipsSyncOfParent where path == ".": break
        default: try base.syncDirectory(path)
        }
    }

    func lock(_ path: String) throws(FileError) -> (any FileLock)? { try base.lock(path) }
}

/// A file of a `DefectiveFileSystem`. Safety: used by one thread.
final class DefectiveFile: File, @unchecked Sendable {
    private let base: any File
    private let defect: DefectiveFileSystem.Defect
    private let use: Use
    private var syncIsDue = false

    /// What a segment's file was before.
    enum Use { case first, new, recycled }

    init(_ base: any File, _ defect: DefectiveFileSystem.Defect, _ use: Use) {
        self.base = base
        self.defect = defect
        self.use = use
    }

    func size() throws(FileError) -> Int { try base.size() }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(FileError) -> Int {
        try base.read(into: buffer, at: offset)
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FileError) {
        if defect == .keepsHeaderOfRecycledFile, use == .recycled, offset == 0 {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[LogFormat.segmentHeaderBytes...])
            try base.write(rest, at: LogFormat.segmentHeaderBytes)
            return
        }
        // Copies are the only records whose one entry has a payload of two bytes.
        let isCopy = use != .first && bytes.count == LogFormat.alignment
            && bytes.dropFirst(LogFormat.recordHeaderBytes + 1).first == 7
        if defect == .losesCopies, isCopy { return }
        try base.write(bytes, at: offset)
    }

    func sync() throws(FileError) {
        if defect == .syncsTooLate {
            syncIsDue.toggle()
            if syncIsDue { return }
        }
        try base.sync()
    }

    func endWriting() { base.endWriting() }
}
