extension OrderedCoding {
    /// A decoded part of a tuple. Equal values have equal parts: an integer is the first of the
    /// integer cases that can hold it.
    package enum Part: Hashable, Sendable {
        case null
        case bytes([UInt8])
        case string(String)
        case nested([Part])
        case integer(Int64)
        /// Above `Int64.max`.
        case unsigned(UInt64)
        /// Below `Int64.min` or above `UInt64.max`.
        case wide(Int128)
        /// Above `Int128.max`.
        case wideUnsigned(UInt128)
        /// The bits of a double.
        case double(UInt64)
        case bool(Bool)
        case uniqueID(UniqueID)
        /// Sorts the other way round; never holds another descending part.
        indirect case descending(Part)

        /// Appends the coding from which the part was decoded.
        package func encode(into key: inout [UInt8]) {
            switch self {
            case .null: OrderedCoding.encodeNull(into: &key)
            case .bytes(let value): OrderedCoding.encode(bytes: value, into: &key)
            case .string(let value): OrderedCoding.encode(value, into: &key)
            case .nested(let parts):
                OrderedCoding.encodeNested(into: &key) { key in
                    for part in parts { part.encode(into: &key) }
                }
            case .integer(let value): OrderedCoding.encode(value, into: &key)
            case .unsigned(let value): OrderedCoding.encode(value, into: &key)
            case .wide(let value): OrderedCoding.encode(value, into: &key)
            case .wideUnsigned(let value): OrderedCoding.encode(value, into: &key)
            case .double(let bits): OrderedCoding.encode(Double(bitPattern: bits), into: &key)
            case .bool(let value): OrderedCoding.encode(value, into: &key)
            case .uniqueID(let value): OrderedCoding.encode(value, into: &key)
            case .descending(let part):
                let start = key.count
                part.encode(into: &key)
                OrderedCoding.makeDescending(&key, from: start)
            }
        }
    }

    /// Reads one part at the front of `source`, ascending or descending, and moves past it.
    package static func decodePart(
        _ source: inout ArraySlice<UInt8>
    ) throws(DecodingError) -> Part {
        let (part, count) = try source.withUnsafeBufferPointer {
            bytes throws(DecodingError) -> (Part, Int) in
            var decoder = OrderedDecoder(bytes: bytes)
            return (try decoder.part(flip: 0, depth: 0), decoder.position)
        }
        source = source[(source.startIndex + count)...]
        return part
    }

    /// Reads one part that must be descending and moves past it; gives what it holds.
    package static func decodeDescendingPart(
        _ source: inout ArraySlice<UInt8>
    ) throws(DecodingError) -> Part {
        guard case .descending(let part) = try decodePart(&source) else {
            throw DecodingError("a part of a key ascends where a descending one is expected")
        }
        return part
    }

    /// Reads parts up to the end of `source`.
    package static func decodeAll(_ source: ArraySlice<UInt8>) throws(DecodingError) -> [Part] {
        try source.withUnsafeBufferPointer { bytes throws(DecodingError) -> [Part] in
            var decoder = OrderedDecoder(bytes: bytes)
            var parts: [Part] = []
            while decoder.position < bytes.count {
                parts.append(try decoder.part(flip: 0, depth: 0))
            }
            return parts
        }
    }
}

/// Decodes parts from a buffer; refuses all that no encoder writes, so that equal values have one
/// coding. `flip` is all ones inside of descending parts, where every byte is complemented.
private struct OrderedDecoder {
    typealias Part = OrderedCoding.Part
    typealias Tag = OrderedCoding.Tag

    let bytes: UnsafeBufferPointer<UInt8>
    var position = 0

    mutating func part(flip: UInt8, depth: Int) throws(DecodingError) -> Part {
        guard position < bytes.count else { throw DecodingError("a part of a key is missing") }
        let tag = bytes[position] ^ flip
        if tag >= Tag.descending {
            let part = try undirectedPart(flip: ~flip, depth: depth)
            return .descending(part)
        }
        return try undirectedPart(flip: flip, depth: depth)
    }

    private mutating func undirectedPart(
        flip: UInt8, depth: Int
    ) throws(DecodingError) -> Part {
        let tag = bytes[position] ^ flip
        position += 1
        switch tag {
        case Tag.null: return .null
        case Tag.false: return .bool(false)
        case Tag.true: return .bool(true)
        case Tag.bytes: return .bytes(try takeEscaped(flip: flip))
        case Tag.string:
            guard let text = String(validating: try takeEscaped(flip: flip), as: UTF8.self) else {
                throw DecodingError("a string in a key is not valid UTF-8")
            }
            return .string(text)
        case Tag.nested: return .nested(try takeNested(flip: flip, depth: depth + 1))
        case Tag.double:
            let bits = try takeBigEndian(8, flip: flip)
            return .double(bits >> 63 == 1 ? bits & ~(1 << 63) : ~bits)
        case Tag.uniqueID:
            let high = try takeBigEndian(8, flip: flip)
            return .uniqueID(UniqueID(high: high, low: try takeBigEndian(8, flip: flip)))
        case (Tag.integer - 16)..<(Tag.integer - 8), (Tag.integer + 9)...(Tag.integer + 16):
            return try takeWideInteger(tag, flip: flip)
        case (Tag.integer - 8)...(Tag.integer + 8): return try takeInteger(tag, flip: flip)
        default: throw DecodingError("\(tag) is no tag of a part of a key")
        }
    }

    private mutating func takeNested(flip: UInt8, depth: Int) throws(DecodingError) -> [Part] {
        guard depth <= Limits.keyNesting else {
            throw DecodingError(LimitExceeded(.keyNesting, count: depth))
        }
        var parts: [Part] = []
        while true {
            guard position < bytes.count else {
                throw DecodingError("a nested tuple in a key has no end")
            }
            if bytes[position] ^ flip == Tag.end {
                position += 1
                return parts
            }
            parts.append(try part(flip: flip, depth: depth))
        }
    }

    private mutating func takeInteger(_ tag: UInt8, flip: UInt8) throws(DecodingError) -> Part {
        if tag >= Tag.integer {
            let width = Int(tag - Tag.integer)
            let value = try takeBigEndian(width, flip: flip)
            guard OrderedCoding.byteWidth(value) == width else { throw notMinimal }
            return value <= UInt64(Int64.max) ? .integer(Int64(value)) : .unsigned(value)
        }
        let width = Int(Tag.integer - tag)
        let mask = UInt64.max >> UInt64(64 - 8 * width)
        let magnitude = ~(try takeBigEndian(width, flip: flip)) & mask
        guard OrderedCoding.byteWidth(magnitude) == width else { throw notMinimal }
        guard magnitude <= Int64.min.magnitude else { return .wide(-Int128(magnitude)) }
        return .integer(Int64(truncatingIfNeeded: 0 &- magnitude))
    }

    private mutating func takeWideInteger(
        _ tag: UInt8, flip: UInt8
    ) throws(DecodingError) -> Part {
        let isNegative = tag < Tag.integer
        let width = Int(isNegative ? Tag.integer - tag : tag - Tag.integer)
        let high = UInt128(try takeBigEndian(width - 8, flip: flip))
        let value = high << 64 | UInt128(try takeBigEndian(8, flip: flip))
        guard isNegative else {
            guard OrderedCoding.byteWidth(value) == width else { throw notMinimal }
            return value <= UInt128(Int128.max) ? .wide(Int128(value)) : .wideUnsigned(value)
        }
        let magnitude = ~value & UInt128.max >> UInt128(128 - 8 * width)
        guard OrderedCoding.byteWidth(magnitude) == width else { throw notMinimal }
        guard magnitude <= Int128.min.magnitude else {
            throw DecodingError("a negative integer in a key exceeds 128 bits")
        }
        return .wide(Int128(truncatingIfNeeded: 0 &- magnitude))
    }

    private var notMinimal: DecodingError {
        DecodingError("an integer in a key is longer than it needs to be")
    }

    private mutating func takeBigEndian(
        _ width: Int, flip: UInt8
    ) throws(DecodingError) -> UInt64 {
        guard bytes.count - position >= width else {
            throw DecodingError("a part of a key is cut short")
        }
        var value: UInt64 = 0
        for index in position..<position + width {
            value = value << 8 | UInt64(bytes[index] ^ flip)
        }
        position += width
        return value
    }

    /// A byte string without its escapes: first how long it is, then the bytes in one piece.
    private mutating func takeEscaped(flip: UInt8) throws(DecodingError) -> [UInt8] {
        var end = position
        var escapes = 0
        while end < bytes.count, bytes[end] ^ flip != Tag.end {
            if bytes[end] ^ flip == Tag.escape {
                escapes += 1
                end += 1
                guard end < bytes.count, (1...2).contains(bytes[end] ^ flip) else {
                    throw DecodingError("an escape in a key is followed by neither 1 nor 2")
                }
            }
            end += 1
        }
        guard end < bytes.count else { throw DecodingError("a byte string in a key has no end") }
        defer { position = end + 1 }
        if escapes == 0, flip == 0 {
            return Array(UnsafeBufferPointer(rebasing: bytes[position..<end]))
        }
        return [UInt8](unsafeUninitializedCapacity: end - position - escapes) { content, count in
            var index = position
            while index < end {
                var byte = bytes[index] ^ flip
                if byte == Tag.escape {
                    index += 1
                    byte = (bytes[index] ^ flip) - 1
                }
                content[count] = byte
                count += 1
                index += 1
            }
        }
    }
}
