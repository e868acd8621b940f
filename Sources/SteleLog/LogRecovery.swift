import SteleBase
import SteleRaft

/// Where a log that was read ends, for the writer to go on.
struct LogEnd {
    var position: UInt64 = 0
    /// The checksum of the last record.
    var chain: UInt32 = 0
    /// The highest sequence in use.
    var sequence: UInt64 = 0
}

/// Reads a log from its directory without changing anything there.
///
/// Segments but the newest were synced to their end before the next one began, so any damage in
/// them is corruption. In the newest, a bad record is corruption if a valid record further on says
/// that this place had been synced; otherwise it is a write that a crash cut short, and the log
/// ends before it. A newest file with a bad header is a segment whose creation was cut short,
/// unless a record in it proves otherwise: records are written only behind a synced header.
///
/// Segments are given back only when the newest one's header and checkpoint are synced. So the last
/// one that is left has both whole, unless it is the first one that there ever was: what nothing
/// before it and nothing behind it vouches for is vouched for by that. Whoever knows that a log was
/// begun knows that the first one was whole too.
struct LogRecovery {
    private let files: any FileSystem
    private let directory: String
    private(set) var state = LogCatalog.State()
    private(set) var end = LogEnd()
    private(set) var spares: [LogWriter.Spare] = []
    /// A file that holds no part of the log, left by a crash while it was created.
    private(set) var abandoned: String?
    /// The highest position that a record or header proves to have been synced.
    private var proven: UInt64 = 0
    /// The records of the newest segment that nothing proves to have been synced.
    private(set) var unproven: (file: any File, offset: Int, bytes: ArraySlice<UInt8>)?

    /// - Parameter mustExist: a log has been begun here, so a record of it is left.
    init(files: any FileSystem, directory: String, mustExist: Bool) throws(LogError) {
        self.files = files
        self.directory = directory
        var candidates = try open()
        if candidates.isEmpty, let spare = spares.first {
            throw .corrupt(
                file: directory, offset: 0,
                reason: "there is no segment, though \(spare.path) was one")
        }
        var abandonedFile: Candidate?
        if let last = candidates.last, last.header == nil {
            abandonedFile = last
            candidates.removeLast()
            // As long as a log holds nothing, its segment is the first one.
            if candidates.isEmpty, last.sequence > 1 || !spares.isEmpty {
                throw .corrupt(
                    file: last.path, offset: 0,
                    reason: "the header of the oldest segment is bad")
            }
        }
        for (number, candidate) in candidates.enumerated() {
            let next = number + 1 < candidates.count ? candidates[number + 1].header : nil
            try replay(candidate, until: next)
        }
        if let abandonedFile {
            let bytes = try read(abandonedFile)
            if let offset = Self.evidence(
                in: bytes, from: 0, after: end.position, base: end.position, salt: nil)
            {
                throw .corrupt(
                    file: abandonedFile.path, offset: 0,
                    reason: "the header is bad, but the record at \(offset) was written later")
            }
            abandoned = abandonedFile.path
            if !candidates.isEmpty { end.sequence = max(end.sequence, abandonedFile.sequence) }
            state.fileBytes += abandonedFile.bytes
        }
        if mustExist, !holdsRecord {
            throw .corrupt(
                file: abandoned ?? state.segments.oldest?.path ?? directory, offset: 0,
                reason: "the log was begun, but no record of it is left")
        }
        try expectNoHoles()
        guard end.sequence < .max, end.position <= SegmentHeader.highestPosition else {
            throw .corrupt(
                file: directory, offset: 0, reason: "no segment can follow \(end.sequence)")
        }
        state.synced = end.position
    }

    private var holdsRecord: Bool {
        guard let oldest = state.segments.oldest else { return false }
        return end.position > oldest.base + UInt64(LogFormat.segmentHeaderBytes)
    }

    // MARK: Files

    private struct Candidate {
        var sequence: UInt64
        var path: String
        var file: any File
        var bytes: Int
        var header: SegmentHeader?
    }

    /// All segment files in order of creation, with their headers.
    private mutating func open() throws(LogError) -> [Candidate] {
        var candidates: [Candidate] = []
        let names = try reachingDisk { () throws(FileError) in try files.list(directory) }
        for name in names {
            let path = directory + "/" + name
            if let sequence = LogFormat.sequence(of: name, suffix: ".log") {
                candidates.append(try candidate(path, sequence))
            } else if LogFormat.sequence(of: name, suffix: ".spare") != nil {
                let bytes = try reachingDisk { () throws(FileError) in
                    try files.open(path, create: false).size()
                }
                spares.append(LogWriter.Spare(path: path, bytes: bytes))
                state.fileBytes += bytes
            }
        }
        return candidates
    }

    private func candidate(_ path: String, _ sequence: UInt64) throws(LogError) -> Candidate {
        let file: any File
        let bytes: Int
        let start: [UInt8]
        do throws(FileError) {
            file = try files.open(path, create: false)
            bytes = try file.size()
            start = try file.bytes(at: 0, count: LogFormat.segmentHeaderBytes)
        } catch {
            throw .file(error)
        }
        var candidate = Candidate(sequence: sequence, path: path, file: file, bytes: bytes)
        switch SegmentHeader.decode(start[...]) {
        case .valid(let header):
            // A file used again carries its earlier header until the new one is written.
            if header.sequence == sequence { candidate.header = header }
        case .unsupported(let version):
            throw .unsupportedVersion(file: path, version: version)
        case .invalid:
            break
        }
        return candidate
    }

    private func read(_ candidate: Candidate) throws(LogError) -> [UInt8] {
        try reachingDisk { () throws(FileError) in
            try candidate.file.bytes(at: 0, count: candidate.bytes)
        }
    }

    // MARK: Records

    /// Replays a segment, up to the base of the next one if there is one.
    private mutating func replay(
        _ candidate: Candidate, until next: SegmentHeader?
    ) throws(LogError) {
        guard let header = candidate.header else {
            throw .corrupt(file: candidate.path, offset: 0, reason: "the segment header is bad")
        }
        if !state.segments.segments.isEmpty {
            guard header.base == end.position, header.chain == end.chain else {
                throw .corrupt(
                    file: candidate.path, offset: 0,
                    reason: "the segment does not continue the one before")
            }
        }
        end = LogEnd(position: header.base, chain: header.chain, sequence: header.sequence)
        end.position += UInt64(LogFormat.segmentHeaderBytes)
        proven = max(proven, header.base)
        state.segments.append(
            Segment(
                sequence: header.sequence, salt: header.salt, base: header.base, end: end.position,
                path: candidate.path, file: candidate.file, fileBytes: candidate.bytes))
        state.fileBytes += candidate.bytes
        let bytes = try read(candidate)
        let limit = next?.base ?? .max
        while end.position < limit,
            let length = try replayRecord(in: bytes, of: candidate, header)
        {
            end.position += UInt64(length)
            state.segments.setEnd(end.position)
        }
        let offset = Int(end.position - header.base)
        let isOnly = state.segments.segments.count == 1 && next == nil
        if isOnly, header.base > 0, offset == LogFormat.segmentHeaderBytes {
            throw .corrupt(
                file: candidate.path, offset: offset,
                reason: "the checkpoint of the only segment is bad")
        }
        if next != nil, end.position != limit {
            throw .corrupt(
                file: candidate.path, offset: offset,
                reason: "the record is bad, but a later segment was begun behind it")
        }
        if next == nil { try checkEnd(bytes, candidate, header, offset) }
    }

    /// Takes in the record at the present end and returns its length, or nil if it is bad.
    private mutating func replayRecord(
        in bytes: [UInt8], of candidate: Candidate, _ segment: SegmentHeader
    ) throws(LogError) -> Int? {
        let offset = Int(end.position - segment.base)
        guard
            let header = bytes.withUnsafeBytes({ RecordHeader.decode($0, at: offset) }),
            header.salt == segment.salt, header.position == end.position,
            header.previous == end.chain
        else { return nil }
        let payloads = offset + LogFormat.recordHeaderBytes
        let metadata = payloads + header.payloadBytes
        let record: LogRecord
        do throws(DecodingError) {
            record = try RecordMetadata.decode(
                bytes[metadata..<metadata + header.metadataBytes],
                payloads: segment.base + UInt64(payloads), payloadBytes: header.payloadBytes)
        } catch {
            throw .corrupt(file: candidate.path, offset: offset, reason: error.description)
        }
        for part in record.parts {
            for slot in part.slots {
                let start = Int(slot.position - segment.base)
                let payload = bytes[start..<start + Int(slot.length)]
                if CRC32C.of(payload) != slot.checksum { return nil }
            }
        }
        if let reason = state.replay(record, at: end.position) {
            throw .corrupt(file: candidate.path, offset: offset, reason: reason)
        }
        proven = max(proven, header.synced)
        end.chain = header.checksum
        return header.length
    }

    /// Decides whether the newest segment ends at `offset` or is damaged there.
    private mutating func checkEnd(
        _ bytes: [UInt8], _ candidate: Candidate, _ header: SegmentHeader, _ offset: Int
    ) throws(LogError) {
        if let later = Self.evidence(
            in: bytes, from: offset, after: end.position, base: header.base, salt: header.salt)
        {
            throw .corrupt(
                file: candidate.path, offset: offset,
                reason: "the record is bad, but the one at \(later) says it had been synced")
        }
        // The file may end within the zeros behind the last record.
        let stop = min(offset, bytes.count)
        let start = min(Int(max(proven, header.base) - header.base), stop)
        unproven = (candidate.file, start, bytes[start..<stop])
    }

    /// The offset of a record that was written after everything below `position` was synced, in a
    /// file whose first byte has the position `base`.
    ///
    /// What a file held in an earlier use has lower positions, so it cannot be mistaken for one.
    /// Neither can a payload be: whoever made it did not know the salt; nor, where the header with
    /// the salt is bad, at which position the file would be used again.
    private static func evidence(
        in bytes: [UInt8], from start: Int, after position: UInt64, base: UInt64, salt: UInt64?
    ) -> Int? {
        bytes.withUnsafeBytes { bytes in
            for offset in stride(from: start, to: bytes.count, by: LogFormat.alignment) {
                guard bytes.count - offset >= LogFormat.recordHeaderBytes else { break }
                if RecordHeader.claims(
                    in: bytes, at: offset, position: base + UInt64(offset), salt: salt,
                    syncedBeyond: position),
                    RecordHeader.decode(bytes, at: offset) != nil
                {
                    return offset
                }
            }
            return nil
        }
    }

    /// Every live entry must have been found, at its first place or where it was copied to.
    private func expectNoHoles() throws(LogError) {
        for key in state.replicas.keys.sorted() {
            guard let hole = state.replicas[key]?.hole else { continue }
            throw .corrupt(
                file: directory, offset: 0,
                reason: "entry \(hole) of \(key.tablet) \(key.replica) is missing")
        }
    }
}

extension LogCatalog.State {
    /// No entry takes fewer bytes in a log.
    private static let leastBytesOfEntry: UInt64 = 7
    /// The most entries that are expected to be found later, whatever a record says.
    private static let mostMissing: UInt64 = 1 << 26

    /// Takes in the record at a position, or says what is wrong with it.
    ///
    /// Entries may be missing so far, because they were copied forward or cut off later. All have
    /// been written below this position, so there is a bound to what memory that can take.
    fileprivate mutating func replay(_ record: LogRecord, at position: UInt64) -> String? {
        if let nodeRecord = record.nodeRecord { self.nodeRecord = nodeRecord }
        let most = min(position / Self.leastBytesOfEntry, Self.mostMissing)
        for part in record.parts {
            let index = replicas[part.key] ?? ReplicaIndex()
            let compacted = max(index.compacted.index, part.compacted?.index ?? 0)
            let last = part.first + UInt64(part.slots.count)
            // What a snapshot ahead of the log leaves of it is nothing to be far from.
            let isVoid = index.isEmpty || part.discards || compacted >= index.lastIndex
            let isFar =
                !part.slots.isEmpty && !isVoid
                && (part.first > index.lastIndex &+ most
                    || last < index.firstIndex &- min(index.firstIndex, most))
            let expectsFar = part.last ?? 0 > max(compacted, index.lastIndex) &+ most
            if isFar || expectsFar { return "its entries are far from all others" }
            apply(part)
        }
        return nil
    }
}
