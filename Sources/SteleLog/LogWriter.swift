import SteleBase
import SteleRaft

/// The log engine without a thread: encode, write and sync are separate steps of its owner's.
///
/// `RaftLog` drives it on its log thread. The log's own randomised tests, which crash it between
/// any two steps, drive it directly on the simulated file system; the simulation of a cluster does
/// not, it has a model of a log instead. Not to be used from two threads at once.
///
/// Invariants:
/// - a segment's header is written only when everything before it is synced, and a segment begins
///   with a checkpoint of all hard states, compactions and the node record, so that older segments
///   hold nothing but entries that is needed;
/// - segments leave oldest first, so that whatever voided an entry outlives it in the log;
/// - after the first failure nothing is written any more.
package final class LogWriter {
    let catalog: LogCatalog
    let files: any FileSystem
    let directory: String
    let options: LogOptions
    private let lock: any FileLock

    private(set) var failure: LogError?
    private var encoder = RecordEncoder()
    private var random: SeededRandom
    /// Files of reclaimed segments, under names that recovery does not replay.
    var spares: [Spare]

    // The segment being written.
    private var file: (any File)?
    private var sequence: UInt64
    private var salt: UInt64 = 0
    private var base: UInt64 = 0
    /// Up to here, in bytes of the file, it holds zeros that were written ahead.
    private var zeroed = 0
    /// The disk has no space for zeros, which leaves what there is to records.
    private var zerosAreRefused = false
    /// The file of a segment whose header and checkpoint are not durable yet.
    private(set) var unfinishedPath: String?

    /// Written up to here; encoded bytes follow.
    private(set) var written: UInt64
    private var synced: UInt64
    private var chain: UInt32
    /// The position behind the newest segment's checkpoint.
    private var checkpointEnd: UInt64 = 0
    /// How far the oldest segment has been gone through, to copy what lives in it.
    var walk: SegmentWalk?
    /// How many bytes of it may be passed before callers have written more.
    var walkCredit = 0
    /// Up to here, what was written is part of the credit.
    var credited: UInt64 = 0

    private static let zeros = [UInt8](repeating: 0, count: 256 << 10)

    /// A file that waits to become a segment again.
    struct Spare {
        var path: String
        var bytes: Int
    }

    init(
        catalog: LogCatalog, files: any FileSystem, directory: String, options: LogOptions,
        lock: any FileLock, end: LogEnd, spares: [Spare]
    ) {
        self.catalog = catalog
        self.files = files
        self.directory = directory
        self.options = options
        self.lock = lock
        self.spares = spares
        self.sequence = end.sequence
        self.written = end.position
        self.synced = end.position
        self.chain = end.chain
        var seed = options.saltSeed
        seed ^= end.position &* 0x9E37_79B9_7F4A_7C15
        self.random = SeededRandom(seed: seed ^ end.sequence &* 0xC2B2_AE3D_27D4_EB4F)
    }

    /// The position behind everything that was encoded.
    private var end: UInt64 { written + UInt64(encoder.output.bytes.count) }

    /// Bytes that `write` would write.
    package var pendingBytes: Int { encoder.output.bytes.count }

    /// What the log has done since it was opened.
    package var statistics: LogStatistics { catalog.state.withLock(\.statistics) }

    /// Turns a batch into a record in memory; begins a new segment first when this one is full.
    ///
    /// - Parameter count: how many batches of callers it stands for.
    package func encode(_ batch: LogBatch, count: Int = 1) throws(LogError) {
        if let failure { throw failure }
        catalog.state.withLock { $0.statistics.appends += count }
        if batch.isEmpty { return }
        try makeRoom(for: RecordEncoder.bound(batch))
        begin(parts: batch.parts.count, nodeRecord: batch.nodeRecord)
        if let record = batch.nodeRecord { catalog.state.withLock { $0.nodeRecord = record } }
        for part in batch.parts {
            let placed = encoder.append(catalog.resolve(part))
            catalog.state.withLock { $0.apply(placed) }
        }
        finish()
    }

    /// Hands everything encoded to the file system in one write.
    package func write() throws(LogError) {
        if let failure { throw failure }
        let count = encoder.output.bytes.count
        guard let file, count > 0 else { return }
        try attempt { () throws(FileError) in
            try write(encoder.output.bytes[...], to: file, at: Int(written - base))
        }
        encoder.clear()
        written += UInt64(count)
        catalog.state.withLock { state in
            state.segments.setEnd(written)
            state.statistics.bytes += count
        }
        try extendZeros(ifBelow: min(options.zeroedBytes / 4, 64 << 10))
    }

    /// Writes records, and gives up spare files as long as the disk has no space for them.
    private func write(
        _ bytes: ArraySlice<UInt8>, to file: any File, at offset: Int
    ) throws(FileError) {
        while true {
            do throws(FileError) {
                return try file.write(bytes, at: offset)
            } catch {
                guard error.isNoSpace, let spare = spares.popLast() else { throw error }
                mark("log: a spare file makes space for a record")
                try files.remove(spare.path)
                try files.syncDirectory(directory)
                catalog.state.withLock { $0.fileBytes -= spare.bytes }
                zerosAreRefused = false
            }
        }
    }

    /// Makes everything written durable; after this returns it is there for good.
    package func sync() throws(LogError) {
        if let failure { throw failure }
        if synced < written { try syncFile() }
    }

    /// Syncs the newest segment, whether or not records were written to it.
    func syncFile() throws(LogError) {
        guard let file else { return }
        try attempt { () throws(FileError) in try file.sync() }
        synced = written
        catalog.state.withLock { state in
            state.synced = synced
            state.statistics.syncs += 1
        }
    }

    /// Writes that the log was synced to its end, so that damage to it is found, and unlocks it.
    package func close() {
        if failure == nil {
            do throws(LogError) {
                try write()
                try sync()
                try makeRoom(for: LogFormat.alignment)
                _ = encode([])
                try write()
                try sync()
            } catch {
                failure = error
            }
        }
        failure = failure ?? .closed
        lock.release()
    }

    // MARK: Records

    /// Encodes a record of parts that need no resolving and returns where their entries lie.
    func encode(_ parts: [OutgoingPart], nodeRecord: [UInt8]? = nil) -> [LogRecord.Part] {
        begin(parts: parts.count, nodeRecord: nodeRecord)
        let placed = parts.map { encoder.append($0) }
        finish()
        return placed
    }

    private func begin(parts: Int, nodeRecord: [UInt8]?) {
        encoder.begin(position: end, parts: parts, nodeRecord: nodeRecord)
    }

    private func finish() {
        chain = encoder.finish(salt: salt, synced: synced, previous: chain)
        catalog.state.withLock { $0.statistics.records += 1 }
    }

    /// Runs a step whose failure is final.
    func attempt<Success>(_ body: () throws(FileError) -> Success) throws(LogError) -> Success {
        do {
            return try body()
        } catch {
            let error = LogError.file(error)
            failure = failure ?? error
            throw error
        }
    }

    /// Notes a failure that is final.
    func fail(_ error: LogError) -> LogError {
        failure = failure ?? error
        return error
    }

    // MARK: Segments

    /// Begins a new segment unless so many bytes fit this one, or it holds nothing yet.
    func makeRoom(for bytes: Int) throws(LogError) {
        let fits = end + UInt64(bytes) <= base + UInt64(options.segmentBytes)
        if fits, !faultPoint("log: a segment ends early") { return }
        if end > checkpointEnd { try beginSegment() }
        if bytes > options.segmentBytes { mark("log: a segment of its own for a large record") }
    }

    /// Syncs what there is and goes on in a new segment, which is durable on return.
    func beginSegment() throws(LogError) {
        try write()
        try sync()
        sequence += 1
        salt = random.next()
        base = written
        let path = directory + "/" + LogFormat.fileName(sequence: sequence)
        unfinishedPath = path
        let (file, bytes) = try attempt { () throws(FileError) in try newFile(path) }
        self.file?.endWriting()
        self.file = file
        zeroed = bytes
        zerosAreRefused = false
        let header = SegmentHeader(sequence: sequence, salt: salt, base: base, chain: chain)
        encoder.append(header)
        catalog.state.withLock { state in
            state.segments.append(
                Segment(
                    sequence: header.sequence, salt: header.salt, base: header.base,
                    end: header.base, path: path, file: file, fileBytes: bytes))
        }
        let checkpoint = catalog.checkpoint()
        _ = encode(checkpoint.parts, nodeRecord: checkpoint.nodeRecord)
        checkpointEnd = end
        try write()
        try extendZeros(ifBelow: options.zeroedBytes)
        try sync()
        unfinishedPath = nil
    }

    /// A spare under a new name, or an empty file.
    private func newFile(_ path: String) throws(FileError) -> (any File, Int) {
        if spares.isEmpty || faultPoint("log: a new file though there is a spare") {
            let file = try files.open(path, create: true)
            try files.syncDirectory(directory)
            return (file, 0)
        }
        mark("log: a file is used again")
        let spare = spares.removeFirst()
        try files.rename(spare.path, to: path)
        try files.syncDirectory(directory)
        return (try files.open(path, create: false), spare.bytes)
    }

    /// Writes zeros ahead of the records in a new file, for a record that overwrites allocated
    /// blocks is synced a third faster than one that extends the file.
    ///
    /// A sync has to follow before a record may rely on them. They are no more than a gain of time:
    /// a disk without space for them may still have some for records, or get some.
    func extendZeros(ifBelow runway: Int) throws(LogError) {
        let used = Int(written - base)
        let before = max(zeroed, used)
        let goal = min(used + max(runway, options.zeroedBytes), options.segmentBytes)
        guard let file, !zerosAreRefused, before - used < runway, before < goal else {
            if zeroed < used { noteFileBytes(used) }
            return
        }
        let reached = try attempt { () throws(FileError) in
            try writeZeros(to: file, from: before, upTo: goal)
        }
        noteFileBytes(reached)
    }

    /// Writes zeros as far as there is space; returns how long the file is then.
    private func writeZeros(
        to file: any File, from start: Int, upTo goal: Int
    ) throws(FileError) -> Int {
        var offset = start
        while offset < goal {
            let count = min(goal - offset, Self.zeros.count)
            do throws(FileError) {
                try file.write(Self.zeros[..<count], at: offset)
            } catch {
                guard error.isNoSpace else { throw error }
                mark("log: no space for zeros")
                zerosAreRefused = true
                // Some bytes of a write that failed may have been written.
                return try file.size()
            }
            offset += count
        }
        return goal
    }

    private func noteFileBytes(_ bytes: Int) {
        let growth = bytes - zeroed
        zeroed = bytes
        catalog.state.withLock { state in
            state.fileBytes += growth
            state.segments.growFile(by: growth)
        }
    }

    /// Whether zeros should be written ahead when there is nothing better to do.
    var wantsZeros: Bool {
        let used = Int(written - base)
        if zerosAreRefused { return false }
        return zeroed < options.segmentBytes && zeroed - used < options.zeroedBytes / 2
    }
}
