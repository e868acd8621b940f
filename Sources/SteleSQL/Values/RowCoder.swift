import SteleBase

/// Packs the columns of a row into the value of a key-value pair, and unpacks the wanted ones.
///
/// Format: schema version and number of columns as varints, one bit per column that says whether it
/// is null, then the other columns in order. Integers and dates are zigzag varints; timestamps,
/// floating-point numbers and UUIDs have their fixed size; the rest has a length in front. Reading
/// goes by the types given here, so a column keeps its place and type for ever; a row from before
/// a column was added reads as null there, and columns added since the reader's schema are skipped.
package struct RowCoder: Sendable {
    package let columns: [SQLType]
    /// Written into each row, for readers whose schema is another one.
    package let schemaVersion: UInt64

    package init(columns: [SQLType], schemaVersion: UInt64 = 0) {
        self.columns = columns
        self.schemaVersion = schemaVersion
    }

    /// Appends the packed form of one value per column.
    package func encode(_ values: [Datum], into row: inout [UInt8]) {
        invariant(values.count == columns.count, "a row has a value for each column")
        appendVarint(schemaVersion, to: &row)
        appendVarint(UInt64(values.count), to: &row)
        let bitmap = row.count
        row.append(contentsOf: repeatElement(0, count: (values.count + 7) / 8))
        for (index, value) in values.enumerated() {
            if value.isNull {
                row[bitmap + index / 8] |= 1 << UInt8(index % 8)
            } else {
                Self.encode(value, columns[index], into: &row)
            }
        }
    }

    /// The schema version with which a row was written.
    package static func schemaVersion(of row: ArraySlice<UInt8>) throws(SQLError) -> UInt64 {
        let version = row.withUnsafeBytes { bytes in
            var cursor = RowCursor(bytes)
            return cursor.varint()
        }
        guard let version else { throw damaged }
        return version
    }

    /// One value per column; null for those that are not wanted. nil means all are.
    package func decode(
        _ row: ArraySlice<UInt8>, wanted: [Bool]? = nil
    ) throws(SQLError) -> [Datum] {
        var values: [Datum] = []
        try decode(row, wanted: wanted, into: &values)
        return values
    }

    /// Appends one value per column; null for those that are not wanted. nil means all are.
    package func decode(
        _ row: ArraySlice<UInt8>, wanted: [Bool]? = nil, into values: inout [Datum]
    ) throws(SQLError) {
        values.reserveCapacity(values.count + columns.count)
        let isWhole = row.withUnsafeBytes { decode($0, wanted, &values) }
        guard isWhole else { throw Self.damaged }
    }

    /// Returns whether the row is sound.
    private func decode(
        _ row: UnsafeRawBufferPointer, _ wanted: [Bool]?, _ values: inout [Datum]
    ) -> Bool {
        var cursor = RowCursor(row)
        // A column takes at least one bit, that of the bitmap.
        guard cursor.varint() != nil, let total = cursor.varint(), total <= row.count * 8,
            let bitmap = cursor.take((Int(total) + 7) / 8)
        else { return false }
        var last = min(Int(total), columns.count)
        if let wanted { last = min(last, (wanted.lastIndex(of: true) ?? -1) + 1) }
        for index in 0..<last {
            if bitmap[index / 8] >> UInt8(index % 8) & 1 == 1 {
                values.append(.null)
            } else if let wanted, !wanted[index] {
                guard cursor.skip(columns[index]) else { return false }
                values.append(.null)
            } else {
                guard let value = cursor.value(columns[index]) else { return false }
                values.append(value)
            }
        }
        for _ in last..<columns.count { values.append(.null) }
        return true
    }

    private static let damaged = SQLError("XX001", "a row is damaged")

    private static func encode(_ value: Datum, _ type: SQLType, into row: inout [UInt8]) {
        switch value {
        case .null: break
        case .bool(let value): row.append(value ? 1 : 0)
        case .int(let value): appendVarint(zigzag(value), to: &row)
        case .date(let value): appendVarint(zigzag(Int64(value)), to: &row)
        case .timestamp(let value): appendBigEndian(value, to: &row)
        case .double(let value):
            if type == .float4 {
                appendBigEndian(Float(value).bitPattern, to: &row)
            } else {
                appendBigEndian(value.bitPattern, to: &row)
            }
        case .text(let value):
            appendVarint(UInt64(value.utf8.count), to: &row)
            row.append(contentsOf: value.utf8)
        case .bytes(let value):
            appendVarint(UInt64(value.count), to: &row)
            row.append(contentsOf: value)
        case .uuid(let value):
            appendBigEndian(value.high, to: &row)
            appendBigEndian(value.low, to: &row)
        case .numeric(let value):
            appendVarint(UInt64(8 + 2 * value.digits.count), to: &row)
            value.appendBinary(to: &row)
        }
    }
}

/// Makes small numbers of either sign small: 0, -1, 1, -2, … become 0, 1, 2, 3.
@inline(__always)
private func zigzag(_ value: Int64) -> UInt64 {
    UInt64(bitPattern: value << 1 ^ value >> 63)
}

/// The opposite of ``zigzag(_:)``.
@inline(__always)
func unzigzag(_ value: UInt64) -> Int64 {
    Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1)
}

/// Appends seven bits a byte, the least significant first.
@inline(__always)
func appendVarint(_ value: UInt64, to out: inout [UInt8]) {
    var rest = value
    while rest >= 0x80 {
        out.append(UInt8(truncatingIfNeeded: rest) | 0x80)
        rest >>= 7
    }
    out.append(UInt8(truncatingIfNeeded: rest))
}
