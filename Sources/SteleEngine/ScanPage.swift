import SteleBase
import SteleClock

/// The rows that a scan found, in one flat buffer, in the form in which they also travel.
///
/// A row is: key length (4 bytes, little-endian), value length (4 bytes), timestamp (8 bytes), key,
/// value.
package struct ScanPage: Sendable {
    package var bytes: [UInt8]
    package var count: Int
    /// Where to go on when a limit ended the scan early: the first key (the last one, in a
    /// descending scan) that was not visited. nil when the range was finished.
    package var resumeKey: KeyBytes?
    /// What is in the way of the rows from the resume key on. Does not travel.
    package var conflicts: [(key: KeyBytes, conflict: ReadConflict)] = []
    /// Keys that the last scan looked at, rows or not: what it cost. Does not travel.
    package var visited = 0

    package init(bytes: [UInt8] = [], count: Int = 0, resumeKey: KeyBytes? = nil) {
        self.bytes = bytes
        self.count = count
        self.resumeKey = resumeKey
    }

    package static let rowHeaderBytes = 16

    package mutating func append(key: some Collection<UInt8>, value: some Collection<UInt8>, timestamp: Timestamp) {
        var header = (
            UInt32(key.count).littleEndian, UInt32(value.count).littleEndian,
            timestamp.rawValue.littleEndian
        )
        withUnsafeBytes(of: &header) { bytes.append(contentsOf: $0) }
        bytes.append(contentsOf: key)
        bytes.append(contentsOf: value)
        count += 1
    }

    /// One row; key and value are slices of the page's buffer.
    package struct Row: Sendable {
        package var key: ArraySlice<UInt8>
        package var value: ArraySlice<UInt8>
        package var timestamp: Timestamp
    }

    /// Calls `body` for each row in scan order.
    package func forEachRow<Failure: Error>(
        _ body: (Row) throws(Failure) -> Void
    ) throws(Failure) {
        var offset = 0
        for _ in 0..<count {
            let (keyCount, valueCount, time) = bytes.withUnsafeBytes {
                (
                    Int(UInt32(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: UInt32.self))),
                    Int(UInt32(littleEndian: $0.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self))),
                    UInt64(littleEndian: $0.loadUnaligned(fromByteOffset: offset + 8, as: UInt64.self))
                )
            }
            let keyStart = offset + Self.rowHeaderBytes
            let valueStart = keyStart + keyCount
            try body(
                Row(
                    key: bytes[keyStart..<valueStart],
                    value: bytes[valueStart..<valueStart + valueCount],
                    timestamp: Timestamp(rawValue: time)))
            offset = valueStart + valueCount
        }
    }

    /// All rows, as slices of the page's buffer.
    package var rows: [Row] {
        var rows: [Row] = []
        rows.reserveCapacity(count)
        forEachRow { rows.append($0) }
        return rows
    }
}

extension ScanPage {
    package func encode(into writer: inout ByteWriter) {
        writer.writeVarint(UInt64(count))
        writer.writeBytes(bytes)
        writer.write(resumeKey != nil)
        if let resumeKey { writer.writeBytes(resumeKey) }
    }

    /// Checks every row's lengths, so that a page from the wire can be trusted afterwards.
    package init(from reader: inout ByteReader) throws(DecodingError) {
        let count = try reader.readVarint()
        let bytes = Array(try reader.readBytes())
        let resumeKey: KeyBytes? = try reader.readBool() ? Array(try reader.readBytes()) : nil
        var rows = ByteReader(bytes)
        for _ in 0..<count {
            let keyCount = try rows.read(UInt32.self)
            let valueCount = try rows.read(UInt32.self)
            _ = try rows.readRaw(8)
            _ = try rows.readRaw(Int(keyCount))
            _ = try rows.readRaw(Int(valueCount))
        }
        try rows.expectEnd()
        self.init(bytes: bytes, count: Int(count), resumeKey: resumeKey)
    }
}
