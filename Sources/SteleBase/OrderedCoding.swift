/// Coding of typed values into bytes whose order is the order of the values.
///
/// Every value begins with a tag, so a tuple is decodable without a schema and values of different
/// types have a fixed order: null, bytes, string, nested tuple, integer, double, bool, unique id.
/// No coding of a value is a proper prefix of another value's, so tuples of different lengths sort
/// by their first difference, the shorter first.
///
/// After the tuple layer of FoundationDB (design/tuple.md): byte strings escape 0x00 as 0x00 0xFF
/// and end with 0x00; integers carry their width in the tag; doubles flip sign bits. A descending
/// part is the complement of the ascending coding.
package enum OrderedCoding {
    package enum Tag {
        package static let null: UInt8 = 0x02
        package static let bytes: UInt8 = 0x03
        package static let string: UInt8 = 0x04
        package static let nested: UInt8 = 0x05
        /// Negative integers of n bytes are `integer - n`, positive ones `integer + n`.
        package static let integer: UInt8 = 0x14
        package static let double: UInt8 = 0x21
        package static let `false`: UInt8 = 0x26
        package static let `true`: UInt8 = 0x27
        package static let uniqueID: UInt8 = 0x30
        package static let end: UInt8 = 0x00
        package static let escape: UInt8 = 0xFF
    }

    /// A decoded part of a tuple.
    package enum Part: Hashable, Sendable {
        case null
        case bytes([UInt8])
        case string(String)
        case nested([Part])
        case integer(Int64)
        /// An integer above `Int64.max`.
        case unsigned(UInt64)
        case double(UInt64)
        case bool(Bool)
        case uniqueID(high: UInt64, low: UInt64)
    }

    package static func encodeNull(into key: inout [UInt8]) { key.append(Tag.null) }

    package static func encode(_ value: Bool, into key: inout [UInt8]) {
        key.append(value ? Tag.true : Tag.false)
    }

    package static func encode(_ value: Int64, into key: inout [UInt8]) {
        if value >= 0 {
            encode(UInt64(value), into: &key)
        } else {
            // The complement of the magnitude, in as few bytes as hold it: more bytes sort lower.
            let magnitude = value.magnitude
            let width = byteWidth(magnitude)
            key.append(Tag.integer - UInt8(width))
            appendBigEndian(~magnitude, width: width, to: &key)
        }
    }

    package static func encode(_ value: UInt64, into key: inout [UInt8]) {
        let width = byteWidth(value)
        key.append(Tag.integer + UInt8(width))
        appendBigEndian(value, width: width, to: &key)
    }

    /// Total order: -NaN < -infinity < … < -0.0 < 0.0 < … < infinity < NaN.
    package static func encode(_ value: Double, into key: inout [UInt8]) {
        key.append(Tag.double)
        let bits = value.bitPattern
        appendBigEndian(bits >> 63 == 1 ? ~bits : bits | 1 << 63, width: 8, to: &key)
    }

    package static func encode(bytes value: some Collection<UInt8>, into key: inout [UInt8]) {
        key.append(Tag.bytes)
        appendEscaped(value, to: &key)
    }

    package static func encode(_ value: String, into key: inout [UInt8]) {
        key.append(Tag.string)
        appendEscaped(value.utf8, to: &key)
    }

    package static func encode(_ value: UniqueID, into key: inout [UInt8]) {
        key.append(Tag.uniqueID)
        appendBigEndian(value.high, width: 8, to: &key)
        appendBigEndian(value.low, width: 8, to: &key)
    }

    /// Calls `body` to append the parts of a nested tuple, and wraps what it appended.
    package static func encodeNested(into key: inout [UInt8], _ body: (inout [UInt8]) -> Void) {
        var inner: [UInt8] = []
        body(&inner)
        key.append(Tag.nested)
        appendEscaped(inner, to: &key)
    }

    /// Turns the coding in `key[start...]` into its descending form.
    package static func makeDescending(_ key: inout [UInt8], from start: Int) {
        for index in start..<key.count { key[index] = ~key[index] }
    }

    /// Reads one ascending part at the front of `source` and moves past it.
    package static func decodePart(
        _ source: inout ArraySlice<UInt8>
    ) throws(DecodingError) -> Part {
        try decodePart(&source, flip: 0, depth: 0)
    }

    /// Reads one descending part at the front of `source` and moves past it.
    package static func decodeDescendingPart(
        _ source: inout ArraySlice<UInt8>
    ) throws(DecodingError) -> Part {
        try decodePart(&source, flip: 0xFF, depth: 0)
    }

    /// Reads ascending parts up to the end of `source`.
    package static func decodeAll(
        _ source: ArraySlice<UInt8>
    ) throws(DecodingError) -> [Part] { try decodeAll(source, depth: 0) }

    private static let nestingLimit = 32

    private static func decodeAll(
        _ source: ArraySlice<UInt8>, depth: Int
    ) throws(DecodingError) -> [Part] {
        var rest = source
        var parts: [Part] = []
        while !rest.isEmpty { parts.append(try decodePart(&rest, flip: 0, depth: depth)) }
        return parts
    }

    private static func decodePart(
        _ source: inout ArraySlice<UInt8>, flip: UInt8, depth: Int
    ) throws(DecodingError) -> Part {
        guard let first = source.first else { throw DecodingError("a key part is missing") }
        guard depth < nestingLimit else { throw DecodingError("a key is nested too deeply") }
        source.removeFirst()
        let tag = first ^ flip
        switch tag {
        case Tag.null: return .null
        case Tag.false: return .bool(false)
        case Tag.true: return .bool(true)
        case Tag.bytes: return .bytes(try takeEscaped(&source, flip: flip))
        case Tag.string:
            let bytes = try takeEscaped(&source, flip: flip)
            guard let text = String(validating: bytes, as: UTF8.self) else {
                throw DecodingError("a string in a key is not valid UTF-8")
            }
            return .string(text)
        case Tag.nested:
            let inner = try takeEscaped(&source, flip: flip)
            return .nested(try decodeAll(inner[...], depth: depth + 1))
        case Tag.double:
            let bits = try takeBigEndian(&source, width: 8, flip: flip)
            return .double(bits >> 63 == 1 ? bits & ~(1 << 63) : ~bits)
        case Tag.uniqueID:
            let high = try takeBigEndian(&source, width: 8, flip: flip)
            return .uniqueID(high: high, low: try takeBigEndian(&source, width: 8, flip: flip))
        case (Tag.integer - 8)...(Tag.integer + 8):
            return try takeInteger(&source, tag: tag, flip: flip)
        default: throw DecodingError("\(tag) is no tag of a key part")
        }
    }

    private static func takeInteger(
        _ source: inout ArraySlice<UInt8>, tag: UInt8, flip: UInt8
    ) throws(DecodingError) -> Part {
        if tag >= Tag.integer {
            let width = Int(tag - Tag.integer)
            let value = try takeBigEndian(&source, width: width, flip: flip)
            guard byteWidth(value) == width else {
                throw DecodingError("an integer in a key is longer than it needs to be")
            }
            return value <= UInt64(Int64.max) ? .integer(Int64(value)) : .unsigned(value)
        }
        let width = Int(Tag.integer - tag)
        let mask: UInt64 = width == 8 ? .max : 1 << (8 * UInt64(width)) - 1
        let magnitude = ~(try takeBigEndian(&source, width: width, flip: flip)) & mask
        guard byteWidth(magnitude) == width, magnitude <= Int64.min.magnitude else {
            throw DecodingError("a negative integer in a key is out of range")
        }
        return .integer(Int64(truncatingIfNeeded: 0 &- magnitude))
    }

    /// How many bytes hold `value` without leading zeros; 0 for 0.
    private static func byteWidth(_ value: UInt64) -> Int { (64 - value.leadingZeroBitCount + 7) / 8 }

    private static func appendBigEndian(_ value: UInt64, width: Int, to key: inout [UInt8]) {
        let shifted = width == 0 ? 0 : (value << (8 * UInt64(8 - width))).bigEndian
        withUnsafeBytes(of: shifted) { key.append(contentsOf: $0[0..<width]) }
    }

    private static func appendEscaped(_ value: some Collection<UInt8>, to key: inout [UInt8]) {
        if value.contains(0) {
            for byte in value {
                key.append(byte)
                if byte == 0 { key.append(Tag.escape) }
            }
        } else {
            key.append(contentsOf: value)
        }
        key.append(Tag.end)
    }

    private static func takeBigEndian(
        _ source: inout ArraySlice<UInt8>, width: Int, flip: UInt8
    ) throws(DecodingError) -> UInt64 {
        guard source.count >= width else { throw DecodingError("a key part is cut short") }
        var value: UInt64 = 0
        for byte in source.prefix(width) { value = value << 8 | UInt64(byte ^ flip) }
        source.removeFirst(width)
        return value
    }

    private static func takeEscaped(
        _ source: inout ArraySlice<UInt8>, flip: UInt8
    ) throws(DecodingError) -> [UInt8] {
        var bytes: [UInt8] = []
        var index = source.startIndex
        while index < source.endIndex {
            let byte = source[index] ^ flip
            index += 1
            guard byte == Tag.end else {
                bytes.append(byte)
                continue
            }
            if index < source.endIndex, source[index] ^ flip == Tag.escape {
                bytes.append(0)
                index += 1
            } else {
                source = source[index...]
                return bytes
            }
        }
        throw DecodingError("a byte string in a key has no end")
    }
}
