import SteleSQL

// Cuts the incoming bytes into messages. Two kinds of failure are kept apart, as in PostgreSQL: a
// broken frame leaves no way to find the next message, so the connection must end; a broken body
// costs one error reply, because the next message is still where the length says.

/// Decodes the frontend's side of the Postgres protocol, version 3, from bytes that arrive in any
/// pieces.
package struct PostgresDecoder {
    /// What a start-up packet may measure, its length field included.
    package static let maximumStartupBytes = 10_000
    /// What one message may measure, its length field included.
    package static let maximumMessageBytes = 64 << 20

    private var buffer: [UInt8] = []
    private var position = 0

    package init() {}

    /// Whether bytes are waiting that no call has consumed.
    package var hasUnreadBytes: Bool { position < buffer.count }

    /// How many of them there are.
    var unreadBytes: Int { buffer.count - position }

    /// Adds bytes as they came from the network.
    package mutating func feed(_ bytes: some Collection<UInt8>) {
        withBuffer { $0.append(contentsOf: bytes) }
    }

    /// Lets `fill` append to the buffer, so that a whole array can change hands uncopied.
    mutating func withBuffer<Filled>(_ fill: (inout [UInt8]) -> Filled) -> Filled {
        if position == buffer.count {
            buffer.removeAll(keepingCapacity: buffer.capacity <= Self.retainedBytes)
        } else {
            buffer.removeSubrange(..<position)
        }
        position = 0
        return fill(&buffer)
    }

    /// The next untyped packet of a connection's opening, or nil while it is incomplete.
    ///
    /// - Throws: the error that the connection is to end with.
    package mutating func nextOpening() throws(SQLError) -> OpeningMessage? {
        guard let length = integer(at: position) else { return nil }
        guard length >= 8, length <= Self.maximumStartupBytes else {
            throw .protocolViolation("invalid length of startup packet")
        }
        guard buffer.count - position >= length else { return nil }
        let body = buffer[(position + 4)..<(position + length)]
        position += length
        return try OpeningMessage(decoding: body)
    }

    /// The next message of a session, or nil while it is incomplete.
    ///
    /// - Throws: the error that the connection is to end with: the frame is broken.
    package mutating func next() throws(SQLError) -> FrontendMessage? {
        guard position < buffer.count else { return nil }
        guard let kind = FrontendMessage.Kind(rawValue: buffer[position]) else {
            let type = buffer[position]
            throw .protocolViolation("invalid frontend message type \(type)")
        }
        guard let length = integer(at: position + 1) else { return nil }
        guard length >= 4, length <= kind.maximumBytes else {
            throw .protocolViolation("invalid message length")
        }
        guard buffer.count - position > length else { return nil }
        let body = buffer[(position + 5)..<(position + 1 + length)]
        position += 1 + length
        do {
            return try FrontendMessage(kind, decoding: body)
        } catch {
            return .malformed(error, isExtended: kind.isExtended)
        }
    }

    /// A length field, or nil if it has not arrived whole.
    private func integer(at start: Int) -> Int? {
        guard buffer.count - start >= 4 else { return nil }
        let high = UInt32(buffer[start]) << 24 | UInt32(buffer[start + 1]) << 16
        let low = UInt32(buffer[start + 2]) << 8 | UInt32(buffer[start + 3])
        return Int(Int32(bitPattern: high | low))
    }

    /// An empty buffer larger than this is given back.
    private static let retainedBytes = 1 << 16
}

extension FrontendMessage {
    /// The byte in front of each message.
    enum Kind: UInt8 {
        case query = 0x51  // Q
        case parse = 0x50  // P
        case bind = 0x42  // B
        case describe = 0x44  // D
        case execute = 0x45  // E
        case close = 0x43  // C
        case flush = 0x48  // H
        case sync = 0x53  // S
        case terminate = 0x58  // X
        case copyData = 0x64  // d
        case copyDone = 0x63  // c
        case copyFail = 0x66  // f
        case password = 0x70  // p
        case functionCall = 0x46  // F

        /// Only messages that carry statements or data may be long.
        var maximumBytes: Int {
            switch self {
            case .query, .parse, .bind, .copyData, .functionCall:
                PostgresDecoder.maximumMessageBytes
            case .password:
                65_535
            default:
                10_000
            }
        }

        /// Whether an error skips what follows, up to Sync.
        var isExtended: Bool {
            switch self {
            case .parse, .bind, .describe, .execute, .close, .flush: true
            default: false
            }
        }
    }
}
