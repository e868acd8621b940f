import SteleBase
import SteleRaft

/// A replica of a tablet; what the log keeps apart.
struct ReplicaKey: Hashable, Comparable, Sendable {
    var tablet: TabletID
    var replica: ReplicaID

    static func < (left: ReplicaKey, right: ReplicaKey) -> Bool {
        left.tablet == right.tablet ? left.replica < right.replica : left.tablet < right.tablet
    }
}

/// Where one entry lies, as its record says.
struct EntrySlot: Equatable, Sendable {
    /// The entry's type in the upper 8 bits, the position of its payload in the lower 56.
    private var place: UInt64
    var term: Term
    var length: UInt32
    var checksum: UInt32

    init(position: UInt64, type: EntryType, term: Term, length: UInt32, checksum: UInt32) {
        self.place = UInt64(type.rawValue) << 56 | position
        self.term = term
        self.length = length
        self.checksum = checksum
    }

    var position: UInt64 { place & (1 << 56 - 1) }

    var end: UInt64 { position + UInt64(length) }

    /// Always a type that was put in, so the fallback is never taken.
    var type: EntryType { EntryType(rawValue: UInt8(place >> 56)) ?? .normal }

    /// What the entry is counted as when segments are weighed: its payload and its metadata.
    var weight: Int { Int(length) + Self.metadataWeight }

    static let metadataWeight = 32
}

/// What one record changes, as both the encoder and the decoder report it to the catalogue.
///
/// Everything that depended on the state at the time of writing is explicit (`discards`), so
/// replaying a record never needs entries that were reclaimed since.
struct LogRecord: Sendable {
    struct Part: Sendable {
        var key: ReplicaKey
        var hardState: HardState?
        var compacted: LogPosition?
        /// The compaction replaces the log: entries above it are void too.
        var discards = false
        /// The index of the last entry, those that a checkpoint does not repeat included.
        var last: LogIndex?
        /// The entries were copied forward; they neither cut off nor extend anything.
        var moved = false
        /// The replica is gone.
        var isRemoval = false
        var first: LogIndex = 0
        var slots: [EntrySlot] = []
        /// The position of the record.
        var record: UInt64 = 0
    }

    var nodeRecord: [UInt8]?
    var parts: [Part] = []
}

/// One replica's share of a record to be encoded.
struct OutgoingPart {
    var part: LogBatch.Part
    var discards = false
    var last: LogIndex?
    var moved = false
}

/// The metadata of a record: flags and node record, then the parts with one line per entry.
enum RecordMetadata {
    private static let hasHardState: UInt8 = 1
    private static let hasCompacted: UInt8 = 2
    private static let discards: UInt8 = 4
    private static let moved: UInt8 = 8
    private static let hasLast: UInt8 = 16
    private static let removed: UInt8 = 32
    private static let allFlags: UInt8 = 63

    static func writeNodeRecord(_ record: [UInt8]?, to writer: inout ByteWriter) {
        writer.write(record != nil)
        if let record { writer.writeBytes(record) }
    }

    static func writePart(_ outgoing: OutgoingPart, to writer: inout ByteWriter) {
        let part = outgoing.part
        var flags: UInt8 = 0
        if part.hardState != nil { flags |= hasHardState }
        if part.compacted != nil { flags |= hasCompacted }
        if outgoing.discards { flags |= discards }
        if outgoing.moved { flags |= moved }
        if outgoing.last != nil { flags |= hasLast }
        if part.isRemoval { flags |= removed }
        writer.writeVarint(part.tablet.rawValue)
        writer.writeVarint(part.replica.rawValue)
        writer.write(flags)
        if let hardState = part.hardState {
            writer.writeVarint(hardState.term)
            writer.writeVarint(hardState.vote.rawValue)
            writer.writeVarint(hardState.commit)
        }
        if let compacted = part.compacted {
            writer.writeVarint(compacted.index)
            writer.writeVarint(compacted.term)
        }
        if let last = outgoing.last { writer.writeVarint(last) }
        writer.writeVarint(UInt64(part.entries.count))
        if let first = part.entries.first { writer.writeVarint(first.index) }
    }

    static func writeSlot(_ slot: EntrySlot, to writer: inout ByteWriter) {
        writer.writeVarint(slot.term)
        writer.write(slot.type.rawValue)
        writer.writeVarint(UInt64(slot.length))
        writer.write(slot.checksum)
    }

    /// Decodes what the functions above wrote; payloads lie from `payloads` on, one by one.
    static func decode(
        _ bytes: ArraySlice<UInt8>, payloads: UInt64, payloadBytes: Int
    ) throws(DecodingError) -> LogRecord {
        var reader = ByteReader(bytes)
        var record = LogRecord()
        if try reader.readBool() { record.nodeRecord = Array(try reader.readBytes()) }
        var position = payloads
        let end = payloads + UInt64(payloadBytes)
        for _ in 0..<(try reader.readCount(ofAtLeast: 4)) {
            record.parts.append(
                try decodePart(&reader, position: &position, from: payloads, end: end))
        }
        try reader.expectEnd()
        guard position == end else { throw DecodingError("payloads are left over") }
        return record
    }

    private static func decodePart(
        _ reader: inout ByteReader, position: inout UInt64, from payloads: UInt64, end: UInt64
    ) throws(DecodingError) -> LogRecord.Part {
        let tablet = TabletID(try reader.readVarint())
        let replica = ReplicaID(try reader.readVarint())
        var part = LogRecord.Part(key: ReplicaKey(tablet: tablet, replica: replica))
        let flags = try reader.read(UInt8.self)
        guard flags & ~allFlags == 0 else { throw DecodingError("unknown flags \(flags)") }
        part.discards = flags & discards != 0
        part.moved = flags & moved != 0
        part.isRemoval = flags & removed != 0
        if part.isRemoval, flags != removed {
            throw DecodingError("a removal with the flags \(flags)")
        }
        if flags & hasHardState != 0 {
            part.hardState = HardState(
                term: try reader.readVarint(), vote: ReplicaID(try reader.readVarint()),
                commit: try reader.readVarint())
        }
        if flags & hasCompacted != 0 {
            part.compacted = LogPosition(
                index: try reader.readVarint(), term: try reader.readVarint())
            guard part.compacted?.index != .max else {
                throw DecodingError("no index is left after a compaction")
            }
        }
        if flags & hasLast != 0 {
            let last = try reader.readVarint()
            guard last < .max else { throw DecodingError("no index is left after the last one") }
            part.last = last
        }
        let count = try reader.readCount(ofAtLeast: 7)
        if count == 0 { return part }
        if part.isRemoval { throw DecodingError("a removal with entries") }
        part.first = try reader.readVarint()
        guard part.first > 0, part.first <= UInt64.max - UInt64(count) else {
            throw DecodingError("entries from index \(part.first) on")
        }
        part.record = payloads - UInt64(LogFormat.recordHeaderBytes)
        part.slots.reserveCapacity(count)
        for _ in 0..<count {
            let term = try reader.readVarint()
            let rawType = try reader.read(UInt8.self)
            guard let type = EntryType(rawValue: rawType) else {
                throw DecodingError("unknown entry type \(rawType)")
            }
            let length = try reader.readVarint()
            guard length <= end - position else { throw DecodingError("a payload is cut off") }
            part.slots.append(
                EntrySlot(
                    position: position, type: type, term: term, length: UInt32(length),
                    checksum: try reader.read(UInt32.self)))
            position += length
        }
        return part
    }
}

/// Encodes records one behind the other into a buffer that is used again and again.
struct RecordEncoder {
    private(set) var output = ByteWriter()
    private var metadata = ByteWriter()
    /// Where the record begun last starts, in the buffer and in the log.
    private var start = 0
    private var position: UInt64 = 0
    /// The buffer is given back when a rare large record has blown it up beyond this.
    private static let keptBytes = 4 << 20

    /// At least as many bytes as the record will take.
    static func bound(_ batch: LogBatch) -> Int {
        var bytes = LogFormat.recordHeaderBytes + 32 + (batch.nodeRecord?.count ?? 0)
        for part in batch.parts {
            bytes += 96
            for entry in part.entries { bytes += entry.payload.count + 20 }
        }
        return LogFormat.aligned(bytes)
    }

    /// Appends the header of a segment.
    mutating func append(_ header: SegmentHeader) { header.encode(into: &output) }

    /// Begins a record of so many parts at a log position.
    mutating func begin(position: UInt64, parts: Int, nodeRecord: [UInt8]?) {
        start = output.bytes.count
        self.position = position
        output.bytes.append(contentsOf: LogFormat.zeros[..<LogFormat.recordHeaderBytes])
        metadata.bytes.removeAll(keepingCapacity: true)
        RecordMetadata.writeNodeRecord(nodeRecord, to: &metadata)
        metadata.writeVarint(UInt64(parts))
    }

    /// Adds a part to the record begun last and says where its entries lie.
    mutating func append(_ outgoing: OutgoingPart) -> LogRecord.Part {
        let part = outgoing.part
        RecordMetadata.writePart(outgoing, to: &metadata)
        var slots: [EntrySlot] = []
        slots.reserveCapacity(part.entries.count)
        for entry in part.entries {
            let slot = EntrySlot(
                position: position + UInt64(output.bytes.count - start), type: entry.type,
                term: entry.term, length: UInt32(entry.payload.count),
                checksum: CRC32C.of(entry.payload))
            RecordMetadata.writeSlot(slot, to: &metadata)
            output.bytes.append(contentsOf: entry.payload)
            slots.append(slot)
        }
        return LogRecord.Part(
            key: ReplicaKey(tablet: part.tablet, replica: part.replica),
            hardState: part.hardState, compacted: part.compacted,
            discards: outgoing.discards, last: outgoing.last, moved: outgoing.moved,
            isRemoval: part.isRemoval, first: part.entries.first?.index ?? 0, slots: slots,
            record: position)
    }

    /// Completes the record begun last and returns its checksum.
    mutating func finish(salt: UInt64, synced: UInt64, previous: UInt32) -> UInt32 {
        let payloadBytes = output.bytes.count - start - LogFormat.recordHeaderBytes
        invariant(payloadBytes <= UInt32.max, "a log record exceeds 4 GiB")
        let header = RecordHeader(
            checksum: 0, previous: previous, salt: salt, position: position, synced: synced,
            payloadBytes: payloadBytes, metadataBytes: metadata.bytes.count)
        output.bytes.append(contentsOf: metadata.bytes)
        let checksum = header.patch(into: &output.bytes, at: start)
        let padding = header.length - (output.bytes.count - start)
        output.bytes.append(contentsOf: LogFormat.zeros[..<padding])
        return checksum
    }

    /// Empties the buffer.
    mutating func clear() {
        output.bytes.removeAll(keepingCapacity: output.bytes.capacity <= Self.keptBytes)
    }
}
