import Glibc
import SteleSQL

// Reads the fields of one message. Nothing is read past its end, and what is left over is an
// error too, so a message that is longer or shorter than its fields is never half understood.

/// A cursor over the body of one frontend message.
struct MessageReader {
    private var rest: ArraySlice<UInt8>

    init(_ body: ArraySlice<UInt8>) { rest = body }

    var isAtEnd: Bool { rest.isEmpty }

    /// Whether a text and its NUL are left.
    var hasString: Bool { nextNUL != nil }

    /// The text of a statement may have megabytes, which are not looked through one by one.
    private var nextNUL: Int? {
        rest.withUnsafeBytes { bytes in
            guard let start = bytes.baseAddress, let found = memchr(start, 0, bytes.count) else {
                return nil
            }
            return rest.startIndex + (UnsafeRawPointer(found) - start)
        }
    }

    mutating func byte() throws(SQLError) -> UInt8 {
        guard let byte = rest.popFirst() else { throw .insufficientData }
        return byte
    }

    mutating func int16() throws(SQLError) -> Int16 {
        Int16(bitPattern: try unsigned16())
    }

    /// A count of items: 16 bits without a sign, as PostgreSQL reads it.
    mutating func count() throws(SQLError) -> Int {
        Int(try unsigned16())
    }

    mutating func int32() throws(SQLError) -> Int32 {
        Int32(bitPattern: try unsigned32())
    }

    mutating func unsigned32() throws(SQLError) -> UInt32 {
        guard rest.count >= 4 else { throw .insufficientData }
        var value: UInt32 = 0
        for byte in rest.prefix(4) { value = value << 8 | UInt32(byte) }
        rest = rest.dropFirst(4)
        return value
    }

    mutating func bytes(_ count: Int) throws(SQLError) -> ArraySlice<UInt8> {
        guard count >= 0, count <= rest.count else { throw .insufficientData }
        defer { rest = rest.dropFirst(count) }
        return rest.prefix(count)
    }

    /// The bytes up to the next NUL, as text.
    mutating func string() throws(SQLError) -> String {
        guard let end = nextNUL else {
            throw .protocolViolation("invalid string in message")
        }
        let bytes = rest[rest.startIndex..<end]
        rest = rest[(end + 1)...]
        return try String(wireText: bytes)
    }

    mutating func remainder() -> ArraySlice<UInt8> {
        defer { rest = rest.suffix(0) }
        return rest
    }

    func finish() throws(SQLError) {
        guard rest.isEmpty else { throw .protocolViolation("invalid message format") }
    }

    private mutating func unsigned16() throws(SQLError) -> UInt16 {
        guard rest.count >= 2 else { throw .insufficientData }
        let value = UInt16(rest[rest.startIndex]) << 8 | UInt16(rest[rest.startIndex + 1])
        rest = rest.dropFirst(2)
        return value
    }
}

extension String {
    /// Text as sent by a client, refused unless it is UTF-8.
    init(wireText bytes: ArraySlice<UInt8>) throws(SQLError) {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw SQLError("22021", "invalid byte sequence for encoding \"UTF8\"")
        }
        self = text
    }
}

extension SQLError {
    /// A client broke the protocol: SQLSTATE 08P01.
    package static func protocolViolation(_ message: String) -> SQLError {
        SQLError("08P01", message)
    }

    static let insufficientData = protocolViolation("insufficient data left in message")
}
