import SteleBase
import SteleRaft

/// Goes through the records of a closed segment in the order of the file, in small reads.
///
/// Where no whole record is, the next one is looked for sector by sector: rot that took nothing but
/// dead entries does no harm, and whoever misses a living one at the end knows that it did.
///
/// Not to be used any more once the segment was given back.
struct SegmentWalk {
    /// An entry as its record says it was written; it may be dead since.
    struct Place {
        var key: ReplicaKey
        var index: LogIndex
        var slot: EntrySlot
    }

    /// The segment as it was when the walk began.
    let segment: Segment
    /// Where the next record is looked for.
    private(set) var offset = LogFormat.segmentHeaderBytes
    /// Where a record should have been and was not.
    private(set) var firstGap: Int?
    /// How many bytes were read, of which no step reads more than a few chunks or one record.
    private(set) var bytesRead = 0
    /// Whether anything was copied out of the segment.
    var hasCopies = false

    /// The entries of the last record that was read.
    private var places: [Place] = []
    private var taken = 0
    /// What the file holds from `chunkStart` on.
    private var chunk: [UInt8] = []
    private var chunkStart = 0

    /// Records up to this length are read whole; of larger ones, only header and metadata, as long
    /// as none of their payloads is asked for.
    private static let chunkBytes = 16 << 10

    init(_ segment: Segment) { self.segment = segment }

    /// Begins at the record at a position.
    init(_ segment: Segment, at position: UInt64) {
        self.segment = segment
        offset = Int(position - segment.base)
    }

    /// The position where the next record is looked for.
    var position: UInt64 { segment.base + UInt64(offset) }

    var isFinished: Bool { !hasPlaces && offset >= end }

    /// Whether there are places to be taken.
    var hasPlaces: Bool { taken < places.count }

    /// The offset behind the last record.
    private var end: Int { Int(segment.end - segment.base) }

    /// The next entries of the last record, at least one and no more than weigh so much.
    mutating func takePlaces(weight most: Int) -> ArraySlice<Place> {
        let first = taken
        var weight = 0
        while taken < places.count, taken == first || weight + places[taken].slot.weight <= most {
            weight += places[taken].slot.weight
            taken += 1
        }
        return places[first..<taken]
    }

    /// Reads the next record, whose places can be taken then, or passes a sector without one.
    mutating func advance() throws(FileError) {
        places.removeAll(keepingCapacity: true)
        taken = 0
        guard let header = try header(), let metadata = try metadata(of: header) else {
            firstGap = firstGap ?? offset
            offset += LogFormat.alignment
            return
        }
        let payloads = segment.base + UInt64(offset + LogFormat.recordHeaderBytes)
        // Metadata that has its checksum and makes no sense was never written.
        let record = try? RecordMetadata.decode(
            metadata, payloads: payloads, payloadBytes: header.payloadBytes)
        for part in record?.parts ?? [] {
            for (number, slot) in part.slots.enumerated() {
                places.append(
                    Place(key: part.key, index: part.first + UInt64(number), slot: slot))
            }
        }
        offset += header.length
    }

    /// The payload of an entry, which may be damaged, or nil where the file does not reach so far.
    mutating func payload(of slot: EntrySlot) throws(FileError) -> ArraySlice<UInt8>? {
        try bytes(at: Int(slot.position - segment.base), count: Int(slot.length))
    }

    /// The header at the present offset if it can be one of a record of this segment.
    private mutating func header() throws(FileError) -> RecordHeader? {
        guard let bytes = try bytes(at: offset, count: LogFormat.recordHeaderBytes) else {
            return nil
        }
        let header = bytes.withUnsafeBytes { RecordHeader.unverified($0) }
        let isOurs =
            header.salt == segment.salt && header.position == segment.base + UInt64(offset)
            && header.synced <= header.position
        guard isOurs, header.metadataBytes > 0, header.length <= end - offset else { return nil }
        return header
    }

    /// The metadata of the record at the present offset if header and metadata are whole.
    private mutating func metadata(
        of header: RecordHeader
    ) throws(FileError) -> ArraySlice<UInt8>? {
        if header.length <= Self.chunkBytes {
            // With the payloads, so that they need no read of their own.
            _ = try bytes(at: offset, count: header.length)
        }
        guard let head = try bytes(at: offset, count: LogFormat.recordHeaderBytes) else {
            return nil
        }
        let start = offset + LogFormat.recordHeaderBytes + header.payloadBytes
        guard let metadata = try bytes(at: start, count: header.metadataBytes) else { return nil }
        let isWhole = head.withUnsafeBytes { head in
            metadata.withUnsafeBytes { header.isWhole(head, $0) }
        }
        return isWhole ? metadata : nil
    }

    /// Bytes of the chunk, which is read anew if they are not all in it.
    private mutating func bytes(
        at start: Int, count: Int
    ) throws(FileError) -> ArraySlice<UInt8>? {
        if start < chunkStart || start + count > chunkStart + chunk.count {
            let most = max(count, min(Self.chunkBytes, end - start))
            chunk = try segment.file.bytes(at: start, count: most)
            chunkStart = start
            bytesRead += chunk.count
            if chunk.count < count { return nil }
        }
        return chunk[start - chunkStart..<start - chunkStart + count]
    }
}
