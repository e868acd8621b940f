import SteleBase

/// The on-disk format of the log: segment files that hold a header and then records.
///
/// All integers are little-endian. Every byte of the log has a position that counts from the
/// birth of the log and never goes back; a segment's `base` is the position of its first byte, and
/// bases join up without a gap. Headers and records start at multiples of 512 bytes, so that a
/// torn write never touches a sector of an earlier record.
///
/// Segment header: magic (8), version (4), zero (4), sequence (8), salt (8), base (8), checksum of
/// the last record before (4), CRC-32C of all that (4), zeros up to 512. Magic, version and
/// checksum keep these places in every version, so that a newer format is told from damage.
///
/// Record: CRC-32C of what follows without the payloads (4), the same of the record before (4),
/// salt (8), position (8), position known to be synced when it was encoded (8), bytes of payloads
/// (4), bytes of metadata (4), payloads, metadata, zeros. Each payload's own checksum is in the
/// metadata, so every byte is summed once, and a single entry can be verified when read.
enum LogFormat {
    static let version: UInt32 = 1
    static let alignment = 512
    static let magic: UInt64 = 0x474F_4C45_4C45_5453  // "STELELOG"
    static let segmentHeaderBytes = 512
    static let recordHeaderBytes = 40

    /// What gaps are filled with; appending a slice is one copy, a repeated element is a loop.
    static let zeros = [UInt8](repeating: 0, count: alignment)

    static let lockName = "LOCK"

    static func aligned(_ count: Int) -> Int { (count + alignment - 1) & ~(alignment - 1) }

    static func fileName(sequence: UInt64) -> String { hexadecimal(sequence) + ".log" }

    static func spareName(sequence: UInt64) -> String { hexadecimal(sequence) + ".spare" }

    /// The sequence in a file name of the given kind (`.log` or `.spare`), nil for any other name.
    static func sequence(of name: String, suffix: String) -> UInt64? {
        guard name.hasSuffix(suffix),
            let sequence = UInt64(name.dropLast(suffix.count), radix: 16),
            name == hexadecimal(sequence) + suffix
        else { return nil }
        return sequence
    }

    private static func hexadecimal(_ number: UInt64) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}

/// What the first sector of a segment says.
struct SegmentHeader: Equatable, Sendable {
    enum Reading: Equatable {
        case valid(SegmentHeader)
        case unsupported(version: UInt32)
        case invalid
    }

    var sequence: UInt64
    var salt: UInt64
    var base: UInt64
    var chain: UInt32

    private static let checkedBytes = 44
    /// Positions share a word with the type of an entry.
    static let highestPosition: UInt64 = 1 << 55

    func encode(into writer: inout ByteWriter) {
        let start = writer.bytes.count
        writer.write(LogFormat.magic)
        writer.write(LogFormat.version)
        writer.write(UInt32(0))
        writer.write(sequence)
        writer.write(salt)
        writer.write(base)
        writer.write(chain)
        writer.write(CRC32C.of(writer.bytes[start...]))
        let rest = LogFormat.segmentHeaderBytes - Self.checkedBytes - 4
        writer.writeRaw(LogFormat.zeros[..<rest])
    }

    static func decode(_ bytes: ArraySlice<UInt8>) -> Reading {
        guard bytes.count >= LogFormat.segmentHeaderBytes else { return .invalid }
        var reader = ByteReader(bytes)
        do {
            guard try reader.read(UInt64.self) == LogFormat.magic else { return .invalid }
            // First of all, for what it does not cover says nothing, least of all a version.
            var checksum = ByteReader(bytes.dropFirst(checkedBytes))
            guard try checksum.read(UInt32.self) == CRC32C.of(bytes.prefix(checkedBytes)) else {
                return .invalid
            }
            let version = try reader.read(UInt32.self)
            guard version == LogFormat.version else { return .unsupported(version: version) }
            guard try reader.read(UInt32.self) == 0 else { return .invalid }
            let header = SegmentHeader(
                sequence: try reader.read(UInt64.self), salt: try reader.read(UInt64.self),
                base: try reader.read(UInt64.self), chain: try reader.read(UInt32.self))
            guard header.base <= highestPosition else { return .invalid }
            return .valid(header)
        } catch {
            return .invalid
        }
    }
}

/// What the first bytes of a record say.
struct RecordHeader: Equatable, Sendable {
    var checksum: UInt32
    var previous: UInt32
    var salt: UInt64
    var position: UInt64
    var synced: UInt64
    var payloadBytes: Int
    var metadataBytes: Int

    /// The record's length on disk.
    var length: Int {
        LogFormat.aligned(LogFormat.recordHeaderBytes + payloadBytes + metadataBytes)
    }

    /// Fills the space that was left for it at `start`, the record's other bytes being in place.
    func patch(into bytes: inout [UInt8], at start: Int) -> UInt32 {
        bytes.withUnsafeMutableBytes { all in
            let record = UnsafeMutableRawBufferPointer(rebasing: all[start...])
            record.storeBytes(of: previous.littleEndian, toByteOffset: 4, as: UInt32.self)
            record.storeBytes(of: salt.littleEndian, toByteOffset: 8, as: UInt64.self)
            record.storeBytes(of: position.littleEndian, toByteOffset: 16, as: UInt64.self)
            record.storeBytes(of: synced.littleEndian, toByteOffset: 24, as: UInt64.self)
            let sizes = (UInt32(payloadBytes), UInt32(metadataBytes))
            record.storeBytes(of: sizes.0.littleEndian, toByteOffset: 32, as: UInt32.self)
            record.storeBytes(of: sizes.1.littleEndian, toByteOffset: 36, as: UInt32.self)
            let sum = Self.sum(UnsafeRawBufferPointer(record), payloadBytes, metadataBytes)
            record.storeBytes(of: sum.littleEndian, toByteOffset: 0, as: UInt32.self)
            return sum
        }
    }

    /// The header at `offset` if it and the record's metadata are whole; says nothing of payloads.
    static func decode(_ file: UnsafeRawBufferPointer, at offset: Int) -> RecordHeader? {
        guard offset + LogFormat.recordHeaderBytes <= file.count else { return nil }
        let bytes = UnsafeRawBufferPointer(rebasing: file[offset...])
        let header = unverified(bytes)
        guard
            header.synced <= header.position, header.metadataBytes > 0,
            LogFormat.recordHeaderBytes + header.payloadBytes + header.metadataBytes <= bytes.count,
            sum(bytes, header.payloadBytes, header.metadataBytes) == header.checksum
        else { return nil }
        return header
    }

    /// What the first bytes say, whether or not they are a header.
    static func unverified(_ bytes: UnsafeRawBufferPointer) -> RecordHeader {
        RecordHeader(
            checksum: load(bytes, 0), previous: load(bytes, 4), salt: load(bytes, 8),
            position: load(bytes, 16), synced: load(bytes, 24),
            payloadBytes: Int(load(bytes, 32) as UInt32),
            metadataBytes: Int(load(bytes, 36) as UInt32))
    }

    /// Whether the bytes of a header and of the metadata, however far apart they were read, have
    /// the checksum that the header says.
    func isWhole(_ header: UnsafeRawBufferPointer, _ metadata: UnsafeRawBufferPointer) -> Bool {
        Self.sum(header, metadata) == checksum
    }

    /// Whether a header at `offset`, valid or not, says that it lies at `position`, has a salt, and
    /// knows more than `synced` to be synced.
    ///
    /// To be asked first: payloads look like headers often enough that the checksum of whatever
    /// they claim to be the head of, over and over again, would take minutes.
    static func claims(
        in file: UnsafeRawBufferPointer, at offset: Int, position: UInt64, salt: UInt64?,
        syncedBeyond synced: UInt64
    ) -> Bool {
        let bytes = UnsafeRawBufferPointer(rebasing: file[offset...])
        return load(bytes, 16) == position && load(bytes, 24) > synced
            && (salt == nil || load(bytes, 8) == salt)
    }

    /// The sum over the header behind its checksum and over the metadata behind the payloads.
    private static func sum(
        _ record: UnsafeRawBufferPointer, _ payloadBytes: Int, _ metadataBytes: Int
    ) -> UInt32 {
        let metadata = LogFormat.recordHeaderBytes + payloadBytes
        return sum(
            record, UnsafeRawBufferPointer(rebasing: record[metadata..<metadata + metadataBytes]))
    }

    private static func sum(
        _ header: UnsafeRawBufferPointer, _ metadata: UnsafeRawBufferPointer
    ) -> UInt32 {
        let checked = UnsafeRawBufferPointer(rebasing: header[4..<LogFormat.recordHeaderBytes])
        return CRC32C.of(metadata, after: CRC32C.of(checked))
    }

    private static func load<Integer: FixedWidthInteger>(
        _ bytes: UnsafeRawBufferPointer, _ offset: Int
    ) -> Integer {
        Integer(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Integer.self))
    }
}
