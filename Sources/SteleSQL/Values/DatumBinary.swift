import SteleBase

/// Values in PostgreSQL's binary wire format, without the length in front; integers big-endian.
extension Datum {
    /// Appends the binary form of the value, which must not be null and must belong to `type`.
    package func appendBinary(to out: inout [UInt8], as type: SQLType) {
        switch self {
        case .null: break
        case .int(let value):
            switch type {
            case .int2: appendBigEndian(Int16(truncatingIfNeeded: value), to: &out)
            case .int8: appendBigEndian(value, to: &out)
            default: appendBigEndian(Int32(truncatingIfNeeded: value), to: &out)
            }
        case .text(let value):
            out.append(contentsOf: value.utf8)
            if case .char(let width?) = type { Self.pad(value, to: width, in: &out) }
        case .bool(let value): out.append(value ? 1 : 0)
        case .double(let value):
            if type == .float4 {
                appendBigEndian(Float(value).bitPattern, to: &out)
            } else {
                appendBigEndian(value.bitPattern, to: &out)
            }
        case .numeric(let value): value.appendBinary(to: &out)
        case .timestamp(let value): appendBigEndian(value, to: &out)
        case .date(let value): appendBigEndian(value, to: &out)
        case .bytes(let value): out.append(contentsOf: value)
        case .uuid(let value):
            appendBigEndian(value.high, to: &out)
            appendBigEndian(value.low, to: &out)
        }
    }

    /// Reads the binary form of a value of `type`; the modifier of the type is applied.
    package static func decode(
        binary: ArraySlice<UInt8>, as type: SQLType
    ) throws(SQLError) -> Datum {
        switch type {
        case .int4: return .int(Int64(try fixed(binary, Int32.self)))
        case .int8: return .int(try fixed(binary, Int64.self))
        case .int2: return .int(Int64(try fixed(binary, Int16.self)))
        case .oid: return .int(Int64(try fixed(binary, UInt32.self)))
        case .text, .unknown, .varchar, .char, .name:
            return .text(try fit(string(binary), to: type, explicit: false))
        case .bool: return .bool(try fixed(binary, UInt8.self) != 0)
        case .float4: return .double(Double(Float(bitPattern: try fixed(binary, UInt32.self))))
        case .float8: return .double(Double(bitPattern: try fixed(binary, UInt64.self)))
        case .numeric(let modifier):
            let value = try numeric(binary)
            guard let modifier else { return .numeric(value) }
            return .numeric(try value.fitted(to: modifier))
        case .timestamp, .timestamptz:
            let value = try fixed(binary, Int64.self)
            guard CivilCalendar.timestamps.contains(value) || value == .min || value == .max else {
                throw SQLError("22008", "timestamp out of range")
            }
            return .timestamp(value)
        case .date:
            let value = try fixed(binary, Int32.self)
            guard CivilCalendar.dates.contains(value) || value == .min || value == .max else {
                throw SQLError("22008", "date out of range")
            }
            return .date(value)
        case .bytea: return .bytes(Array(binary))
        case .uuid:
            let high = try fixed(binary.prefix(8), UInt64.self)
            return .uuid(UniqueID(high: high, low: try fixed(binary.dropFirst(8), UInt64.self)))
        }
    }

    private static func numeric(_ bytes: ArraySlice<UInt8>) throws(SQLError) -> Numeric {
        let result = bytes.withUnsafeBytes { bytes in
            do throws(SQLError) {
                return Result<Numeric, SQLError>.success(try Numeric(binary: bytes))
            } catch { return .failure(error) }
        }
        return try result.get()
    }

    private static func fixed<Value: FixedWidthInteger>(
        _ bytes: ArraySlice<UInt8>, _ type: Value.Type
    ) throws(SQLError) -> Value {
        guard bytes.count == MemoryLayout<Value>.size else {
            throw bytes.count < MemoryLayout<Value>.size
                ? SQLError("08P01", "insufficient data left in message")
                : SQLError("22P03", "incorrect binary data format")
        }
        return bytes.withUnsafeBytes { Value(bigEndian: $0.loadUnaligned(as: Value.self)) }
    }
}

/// Appends an integer in network byte order.
@inline(__always)
func appendBigEndian<Value: FixedWidthInteger>(_ value: Value, to out: inout [UInt8]) {
    withUnsafeBytes(of: value.bigEndian) { out.append(contentsOf: $0) }
}
