import SteleBase

/// Reads the parts of a packed row; nil means that the row is damaged.
///
/// Works on the bytes in place: rows are unpacked more often than anything else is done with them.
struct RowCursor {
    private let bytes: UnsafeRawBufferPointer
    private var position = 0

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    @inline(__always)
    mutating func varint() -> UInt64? {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while position < bytes.count {
            let byte = bytes[position]
            position += 1
            let bits = UInt64(byte & 0x7F)
            guard shift < 63 || (shift == 63 && bits <= 1) else { return nil }
            value |= bits << shift
            if byte < 0x80 { return value }
            shift += 7
        }
        return nil
    }

    /// The next `count` bytes.
    @inline(__always)
    mutating func take(_ count: Int) -> UnsafeRawBufferPointer? {
        guard count <= bytes.count - position else { return nil }
        position += count
        return UnsafeRawBufferPointer(rebasing: bytes[(position - count)..<position])
    }

    /// Bytes with their number in front.
    @inline(__always)
    private mutating func content() -> UnsafeRawBufferPointer? {
        guard let count = varint(), count <= bytes.count - position else { return nil }
        return take(Int(count))
    }

    @inline(__always)
    private mutating func fixed<Value: FixedWidthInteger>(_ type: Value.Type) -> Value? {
        take(MemoryLayout<Value>.size).map { Value(bigEndian: $0.loadUnaligned(as: Value.self)) }
    }

    /// The next value, of type `type`.
    @inline(__always)
    mutating func value(_ type: SQLType) -> Datum? {
        switch type {
        case .int2, .int4, .int8, .oid:
            guard let value = varint().map(unzigzag), type.holds(value) else { return nil }
            return .int(value)
        case .text, .varchar, .char, .name, .unknown:
            return content().flatMap { validString($0) }.map { .text($0) }
        case .bool:
            guard let byte = fixed(UInt8.self), byte <= 1 else { return nil }
            return .bool(byte == 1)
        case .date:
            guard let date = varint().flatMap({ Int32(exactly: unzigzag($0)) }),
                SQLType.holds(date: date)
            else { return nil }
            return .date(date)
        case .timestamp, .timestamptz:
            guard let time = fixed(Int64.self), SQLType.holds(timestamp: time) else { return nil }
            return .timestamp(time)
        case .float4: return fixed(UInt32.self).map { .double(Double(Float(bitPattern: $0))) }
        case .float8: return fixed(UInt64.self).map { .double(Double(bitPattern: $0)) }
        case .bytea: return content().map { .bytes(Array($0)) }
        case .uuid:
            guard let high = fixed(UInt64.self), let low = fixed(UInt64.self) else { return nil }
            return .uuid(UniqueID(high: high, low: low))
        case .numeric:
            guard let bytes = content() else { return nil }
            return (try? Numeric(binary: bytes)).map { .numeric($0) }
        }
    }

    /// Moves past a value of type `type`; false if it is cut short.
    mutating func skip(_ type: SQLType) -> Bool {
        switch type {
        case .int2, .int4, .int8, .oid, .date: varint() != nil
        case .text, .varchar, .char, .name, .unknown, .bytea, .numeric: content() != nil
        case .bool, .float4, .float8, .timestamp, .timestamptz, .uuid:
            take(Int(type.size)) != nil
        }
    }
}
