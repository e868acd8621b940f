/// Coding of typed values into bytes whose order is the order of the values.
///
/// Every value begins with a tag, so a tuple is decodable without a schema and values of different
/// types have a fixed order: null, bytes, string, nested tuple, integer, double, bool, unique id,
/// and after all of these the descending ones.
///
/// Invariant: no coding of a value is a prefix of another value's. So tuples of different lengths
/// sort by their first difference and the shorter first, a range of all keys with a given prefix of
/// parts holds nothing else, and the complement of a coding, which is the descending form, sorts
/// exactly the other way round.
///
/// Like the tuple layer of FoundationDB (design/tuple.md), integers carry their width in the tag
/// and doubles flip sign bits. Unlike there, byte strings end with 0x00 and escape both 0x00 and
/// 0x01, as 0x01 0x01 and 0x01 0x02: with an escape that begins with the end mark, a string would
/// be a prefix of those that go on with a zero. Parts of a nested tuple delimit themselves.
@usableFromInline
package enum OrderedCoding {
    @usableFromInline
    package enum Tag {
        /// Ends byte strings and nested tuples.
        @inlinable package static var end: UInt8 { 0x00 }
        @inlinable package static var escape: UInt8 { 0x01 }
        @inlinable package static var null: UInt8 { 0x02 }
        @inlinable package static var bytes: UInt8 { 0x03 }
        @inlinable package static var string: UInt8 { 0x04 }
        @inlinable package static var nested: UInt8 { 0x05 }
        /// Negative integers of n bytes are `integer - n`, positive ones `integer + n`; n ≤ 16.
        @inlinable package static var integer: UInt8 { 0x20 }
        @inlinable package static var double: UInt8 { 0x38 }
        @inlinable package static var `false`: UInt8 { 0x3C }
        @inlinable package static var `true`: UInt8 { 0x3D }
        @inlinable package static var uniqueID: UInt8 { 0x40 }
        /// Tags are below; what is at or above is the complement of a tag.
        @inlinable package static var descending: UInt8 { 0x80 }
    }

    @inlinable
    package static func encodeNull(into key: inout [UInt8]) { key.append(Tag.null) }

    @inlinable
    package static func encode(_ value: Bool, into key: inout [UInt8]) {
        key.append(value ? Tag.true : Tag.false)
    }

    @inlinable
    package static func encode(_ value: Int64, into key: inout [UInt8]) {
        guard value < 0 else { return encode(UInt64(bitPattern: value), into: &key) }
        // The complement of the magnitude, in as few bytes as hold it: more bytes sort lower.
        let magnitude = value.magnitude
        let width = byteWidth(magnitude)
        append(Tag.integer - UInt8(truncatingIfNeeded: width), ~magnitude, width, to: &key)
    }

    @inlinable
    package static func encode(_ value: UInt64, into key: inout [UInt8]) {
        let width = byteWidth(value)
        append(Tag.integer + UInt8(truncatingIfNeeded: width), value, width, to: &key)
    }

    package static func encode(_ value: Int128, into key: inout [UInt8]) {
        if let small = Int64(exactly: value) { return encode(small, into: &key) }
        guard value < 0 else { return encode(UInt128(value), into: &key) }
        let magnitude = value.magnitude
        let width = byteWidth(magnitude)
        key.append(Tag.integer - UInt8(width))
        appendBigEndian(~magnitude, width, to: &key)
    }

    package static func encode(_ value: UInt128, into key: inout [UInt8]) {
        if let small = UInt64(exactly: value) { return encode(small, into: &key) }
        let width = byteWidth(value)
        key.append(Tag.integer + UInt8(width))
        appendBigEndian(value, width, to: &key)
    }

    /// Total order: -NaN < -infinity < … < -0.0 < 0.0 < … < infinity < NaN.
    @inlinable
    package static func encode(_ value: Double, into key: inout [UInt8]) {
        let bits = value.bitPattern
        append(Tag.double, bits >> 63 == 1 ? ~bits : bits | 1 << 63, 8, to: &key)
    }

    @inlinable
    package static func encode(bytes value: some Collection<UInt8>, into key: inout [UInt8]) {
        key.append(Tag.bytes)
        let done: Void? = value.withContiguousStorageIfAvailable { appendEscaped($0, to: &key) }
        if done == nil { Array(value).withUnsafeBufferPointer { appendEscaped($0, to: &key) } }
    }

    @inlinable
    package static func encode(_ value: String, into key: inout [UInt8]) {
        key.append(Tag.string)
        var value = value
        value.withUTF8 { appendEscaped($0, to: &key) }
    }

    @inlinable
    package static func encode(_ value: Substring, into key: inout [UInt8]) {
        key.append(Tag.string)
        var value = value
        value.withUTF8 { appendEscaped($0, to: &key) }
    }

    @inlinable
    package static func encode(_ value: UniqueID, into key: inout [UInt8]) {
        append(Tag.uniqueID, value.high, 8, to: &key)
        withUnsafeBytes(of: value.low.bigEndian) { key.append(contentsOf: $0) }
    }

    /// Calls `body` to append the parts of a nested tuple, between the marks that enclose them.
    @inlinable
    package static func encodeNested(into key: inout [UInt8], _ body: (inout [UInt8]) -> Void) {
        key.append(Tag.nested)
        body(&key)
        key.append(Tag.end)
    }

    /// Turns the coding in `key[start...]` into its descending form.
    @inlinable
    package static func makeDescending(_ key: inout [UInt8], from start: Int) {
        key.withUnsafeMutableBufferPointer { key in
            for index in start..<key.count { key[index] = ~key[index] }
        }
    }

    /// How many bytes hold `value` without leading zeros; 0 for 0.
    @inlinable
    static func byteWidth<Value: FixedWidthInteger>(_ value: Value) -> Int {
        (Value.bitWidth - value.leadingZeroBitCount + 7) / 8
    }

    /// A tag and the lowest `width` bytes of `value`, highest first.
    @inlinable
    static func append(_ tag: UInt8, _ value: UInt64, _ width: Int, to key: inout [UInt8]) {
        let shift = UInt64(truncatingIfNeeded: 64 - 8 * width)
        let digits = (width == 0 ? 0 : value << shift).bigEndian
        withUnsafeTemporaryAllocation(byteCount: 9, alignment: 1) { coding in
            coding[0] = tag
            coding.storeBytes(of: digits, toByteOffset: 1, as: UInt64.self)
            key.append(contentsOf: UnsafeRawBufferPointer(rebasing: coding[0...width]))
        }
    }

    private static func appendBigEndian(_ value: UInt128, _ width: Int, to key: inout [UInt8]) {
        withUnsafeBytes(of: value.bigEndian) { key.append(contentsOf: $0.suffix(width)) }
    }

    /// The content with its escapes, then the end mark.
    @usableFromInline
    static func appendEscaped(_ content: UnsafeBufferPointer<UInt8>, to key: inout [UInt8]) {
        var rest = content[...]
        while let special = firstSpecial(rest) {
            key.append(contentsOf: UnsafeBufferPointer(rebasing: rest[..<special]))
            key.append(Tag.escape)
            key.append(content[special] + 1)
            rest = rest[(special + 1)...]
        }
        key.append(contentsOf: UnsafeBufferPointer(rebasing: rest))
        key.append(Tag.end)
    }

    /// Where the first byte is that needs an escape; eight bytes a step where none of them does.
    private static func firstSpecial(_ content: Slice<UnsafeBufferPointer<UInt8>>) -> Int? {
        let bytes = UnsafeRawBufferPointer(content.base)
        var index = content.startIndex
        while index + 8 <= content.endIndex {
            let word = bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self)
            // The lowest bit apart, 0 and 1 are the bytes that are zero. The subtraction borrows
            // from the top bit of such a byte; its neighbours may follow it, which costs nothing.
            let rest = word & 0xFEFE_FEFE_FEFE_FEFE
            if (rest &- 0x0101_0101_0101_0101) & ~rest & 0x8080_8080_8080_8080 != 0 { break }
            index += 8
        }
        while index < content.endIndex {
            if bytes[index] <= Tag.escape { return index }
            index += 1
        }
        return nil
    }
}
