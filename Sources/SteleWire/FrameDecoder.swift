import SteleBase

/// Bytes that are no frames, and why. The connection that they came from has to end, because there
/// is no way to tell where the next frame begins.
package enum FrameError: Error, Hashable, Sendable, CustomStringConvertible {
    case frameTooLong(length: Int, limit: Int)
    case messageTooLong(length: Int, limit: Int)
    case checksum
    case unknownKind(UInt8)
    case unknownFlags(UInt8)
    /// A frame of another kind came between the frames of one message.
    case interleaved
    /// A frame that announces more carried nothing.
    case emptyPart

    package var description: String {
        switch self {
        case .frameTooLong(let length, let limit):
            "a frame of \(length) bytes exceeds the limit of \(limit)"
        case .messageTooLong(let length, let limit):
            "a message of \(length) bytes exceeds the limit of \(limit)"
        case .checksum: "the checksum of a frame is wrong"
        case .unknownKind(let kind): "\(kind) is no kind of frame"
        case .unknownFlags(let flags): "a frame has the unknown flags \(flags)"
        case .interleaved: "a message was interrupted by another one"
        case .emptyPart: "a part of a message is empty"
        }
    }
}

/// Finds the messages in bytes that arrive in any pieces.
///
/// The limits begin small and are raised once the other side has introduced itself, so a stranger
/// can make the decoder hold no more than ``handshakeBytes``. Nothing is reserved on the strength of
/// a length that was merely announced.
///
/// Invariant: after an error the decoder is not used any more.
package struct FrameDecoder {
    /// The longest frame before the handshake is done.
    package static let handshakeBytes = 4 << 10

    private var frameLimit: Int
    private var messageLimit: Int
    private var buffer: [UInt8] = []
    /// Where in `buffer` the next frame begins.
    private var position = 0
    /// The message whose later frames are still to come.
    private var partial: (kind: FrameKind, payload: [UInt8])?

    package init(
        frameLimit: Int = FrameDecoder.handshakeBytes,
        messageLimit: Int = FrameDecoder.handshakeBytes
    ) {
        self.frameLimit = frameLimit
        self.messageLimit = messageLimit
    }

    /// Lets frames of full size pass, and messages of up to `messageLimit` bytes.
    package mutating func raiseLimits(messages messageLimit: Int) {
        self.frameLimit = Limits.frameBytes
        self.messageLimit = messageLimit
    }

    /// What has arrived and is no complete message yet.
    package var bufferedBytes: Int { buffer.count - position + (partial?.payload.count ?? 0) }

    /// Adds bytes as they came from the network.
    package mutating func feed(_ bytes: some Collection<UInt8>) {
        if position == buffer.count {
            buffer.removeAll(keepingCapacity: buffer.capacity <= Self.retainedBytes)
        } else if position > 0 {
            buffer.removeSubrange(..<position)
        }
        position = 0
        buffer.append(contentsOf: bytes)
    }

    /// The next complete message, or nil while there is none.
    package mutating func next() throws(FrameError) -> WireMessage? {
        while true {
            guard let (header, payload) = try nextFrame() else { return nil }
            if let message = try add(header, payload) { return message }
        }
    }

    private struct Header {
        var length: Int
        var check: UInt32
        var kind: FrameKind
        var hasMore: Bool
    }

    private mutating func nextFrame() throws(FrameError) -> (Header, ArraySlice<UInt8>)? {
        let available = buffer.count - position
        // The length is judged as soon as it is there: other protocols rarely survive that.
        guard available >= 4 else { return nil }
        let length = Int(readUInt32(at: position))
        guard length <= frameLimit else {
            throw .frameTooLong(length: length, limit: frameLimit)
        }
        guard available >= Frame.headerBytes else { return nil }
        guard let kind = FrameKind(rawValue: buffer[position + 8]) else {
            throw .unknownKind(buffer[position + 8])
        }
        let flags = buffer[position + 9]
        guard flags & ~Frame.moreFlag == 0 else { throw .unknownFlags(flags) }
        guard available >= Frame.headerBytes + length else { return nil }
        let header = Header(
            length: length, check: readUInt32(at: position + 4), kind: kind,
            hasMore: flags & Frame.moreFlag != 0)
        let start = position + Frame.headerBytes
        let check = buffer.withUnsafeBytes {
            Frame.checksum(UnsafeRawBufferPointer(rebasing: $0[position...]), length)
        }
        guard check == header.check else { throw .checksum }
        position = start + length
        return (header, buffer[start..<start + length])
    }

    /// Adds a frame to the message it belongs to; returns the message if that completes it.
    private mutating func add(
        _ header: Header, _ payload: ArraySlice<UInt8>
    ) throws(FrameError) -> WireMessage? {
        let before = partial?.payload.count ?? 0
        guard before + payload.count <= messageLimit else {
            throw .messageTooLong(length: before + payload.count, limit: messageLimit)
        }
        if let kind = partial?.kind, kind != header.kind { throw .interleaved }
        if header.hasMore {
            guard !payload.isEmpty else { throw .emptyPart }
            if partial == nil { partial = (header.kind, []) }
            partial?.payload.append(contentsOf: payload)
            return nil
        }
        guard let (kind, first) = partial.take() else {
            return WireMessage(kind: header.kind, payload: payload)
        }
        return WireMessage(kind: kind, payload: (first + payload)[...])
    }

    private func readUInt32(at offset: Int) -> UInt32 {
        buffer.withUnsafeBytes {
            UInt32(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
        }
    }

    /// An empty buffer keeps at most this much memory, whatever it once held.
    private static let retainedBytes = 256 << 10
}
