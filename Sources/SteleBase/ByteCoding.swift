/// Bytes of a format that could not be decoded, and why.
public struct DecodingError: Error, Hashable, Sendable, CustomStringConvertible {
    public let description: String

    package init(_ description: String) { self.description = description }

    package init(_ excess: LimitExceeded) { self.init(excess.description) }
}

/// Appends the parts of a binary format to a byte array. Integers are little-endian.
@usableFromInline
package struct ByteWriter: Sendable {
    @usableFromInline package var bytes: [UInt8]

    @inlinable
    package init() { bytes = [] }

    @inlinable
    package init(reserving capacity: Int) {
        bytes = []
        bytes.reserveCapacity(capacity)
    }

    @inlinable
    package mutating func write<Integer: FixedWidthInteger>(_ value: Integer) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    @inlinable
    package mutating func write(_ value: Bool) { bytes.append(value ? 1 : 0) }

    /// Seven bits a byte, least significant first (LEB128).
    @inlinable
    package mutating func writeVarint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }

    @inlinable
    package mutating func writeRaw(_ content: some Collection<UInt8>) {
        bytes.append(contentsOf: content)
    }

    /// A varint length, then the bytes.
    @inlinable
    package mutating func writeBytes(_ content: some Collection<UInt8>) {
        writeVarint(UInt64(content.count))
        bytes.append(contentsOf: content)
    }

    @inlinable
    package mutating func writeString(_ text: String) {
        var text = text
        text.withUTF8 {
            writeVarint(UInt64($0.count))
            bytes.append(contentsOf: $0)
        }
    }

    // The same for what is mostly written, without leaving it to the optimiser to specialise.

    @inlinable
    package mutating func write(_ value: UInt8) { bytes.append(value) }

    @inlinable
    package mutating func writeRaw(_ content: [UInt8]) { bytes.append(contentsOf: content) }

    @inlinable
    package mutating func writeRaw(_ content: ArraySlice<UInt8>) {
        content.withUnsafeBufferPointer { bytes.append(contentsOf: $0) }
    }

    @inlinable
    package mutating func writeBytes(_ content: [UInt8]) {
        writeVarint(UInt64(content.count))
        bytes.append(contentsOf: content)
    }

    @inlinable
    package mutating func writeBytes(_ content: ArraySlice<UInt8>) {
        writeVarint(UInt64(content.count))
        writeRaw(content)
    }
}

/// Reads the parts of a binary format from a byte slice; the counterpart of ``ByteWriter``.
///
/// Every read is checked against the end; byte strings come out as slices of the input, not copied.
@usableFromInline
package struct ByteReader: Sendable {
    @usableFromInline let source: ArraySlice<UInt8>
    @usableFromInline var position: Int

    @inlinable
    package init(_ source: ArraySlice<UInt8>) {
        self.source = source
        self.position = source.startIndex
    }

    @inlinable
    package init(_ source: [UInt8]) { self.init(source[...]) }

    @inlinable
    package var remaining: Int { source.endIndex - position }

    @inlinable
    package var isAtEnd: Bool { remaining == 0 }

    /// What has not been read yet.
    @inlinable
    package var rest: ArraySlice<UInt8> { source[position...] }

    @inlinable
    package mutating func read<Integer: FixedWidthInteger>(
        _ type: Integer.Type
    ) throws(DecodingError) -> Integer {
        let size = MemoryLayout<Integer>.size
        guard remaining >= size else { throw truncated(size) }
        let offset = position - source.startIndex
        let value = source.withUnsafeBytes {
            $0.loadUnaligned(fromByteOffset: offset, as: Integer.self)
        }
        position += size
        return Integer(littleEndian: value)
    }

    @inlinable
    package mutating func readBool() throws(DecodingError) -> Bool {
        let value = try read(UInt8.self)
        guard value <= 1 else { throw noTruth(value) }
        return value == 1
    }

    @inlinable
    package mutating func readVarint() throws(DecodingError) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            guard position < source.endIndex else { throw truncated(1) }
            let byte = source[position]
            position += 1
            let bits = UInt64(byte & 0x7F)
            guard shift < 63 || (shift == 63 && bits <= 1) else {
                throw overlong()
            }
            value |= bits << shift
            if byte & 0x80 == 0 { return value }
            shift += 7
        }
    }

    /// A varint that counts things of at least `size` bytes each, so it cannot exceed what is left.
    @inlinable
    package mutating func readCount(ofAtLeast size: Int = 1) throws(DecodingError) -> Int {
        let count = try readVarint()
        guard count <= UInt64(remaining / max(size, 1)) else { throw excess(count) }
        return Int(count)
    }

    @inlinable
    package mutating func readRaw(_ count: Int) throws(DecodingError) -> ArraySlice<UInt8> {
        guard count >= 0, remaining >= count else { throw truncated(count) }
        let slice = source[position..<position + count]
        position += count
        return slice
    }

    @inlinable
    package mutating func readBytes() throws(DecodingError) -> ArraySlice<UInt8> {
        try readRaw(readCount())
    }

    package mutating func readString() throws(DecodingError) -> String {
        let bytes = try readBytes()
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw DecodingError("a string is not valid UTF-8")
        }
        return text
    }

    /// Fails unless everything has been read.
    package func expectEnd() throws(DecodingError) {
        guard isAtEnd else {
            throw DecodingError("\(remaining) bytes follow the end of the message")
        }
    }

    // What is thrown is made here, so that it is not inlined.

    @usableFromInline
    func truncated(_ wanted: Int) -> DecodingError {
        DecodingError("\(wanted) bytes expected, \(remaining) left")
    }

    @usableFromInline
    func noTruth(_ value: UInt8) -> DecodingError {
        DecodingError("\(value) is no truth value")
    }

    @usableFromInline
    func overlong() -> DecodingError {
        DecodingError("a variable-length integer exceeds 64 bits")
    }

    @usableFromInline
    func excess(_ count: UInt64) -> DecodingError {
        DecodingError("a count of \(count) exceeds the \(remaining) bytes left")
    }
}
