import SteleBase

/// What the bytes of a message are.
package enum FrameKind: UInt8, Hashable, Sendable {
    /// The dialling side introduces itself: the first frame of every connection.
    case hello = 1
    /// The accepting side lets it in.
    case welcome = 2
    /// The accepting side does not, and closes.
    case refusal = 3
    /// Messages of one node to another, back to back.
    case peerMessages = 4
    case request = 5
    case reply = 6
    /// Asks whether anybody is there; answered at once with ``pong``.
    case ping = 7
    case pong = 8
}

/// A whole message, reassembled from its frames.
package struct WireMessage: Hashable, Sendable {
    package var kind: FrameKind
    /// A slice of the decoder's buffer: copy what is to be kept.
    package var payload: ArraySlice<UInt8>

    package init(kind: FrameKind, payload: ArraySlice<UInt8>) {
        self.kind = kind
        self.payload = payload
    }
}

/// Cuts messages into frames.
///
/// A frame is a header of ten bytes and a payload. All integers are little-endian.
///
///     length  UInt32   bytes of payload
///     check   UInt32   CRC32C of length, kind, flags and payload
///     kind    UInt8    ``FrameKind``
///     flags   UInt8    bit 0: more frames of this message follow
///
/// The frames of a message follow each other without any other in between.
package enum Frame {
    package static let headerBytes = 10
    static let moreFlag: UInt8 = 1

    /// The bytes of a message whose payload `body` writes: one frame, or several above the limit.
    ///
    /// `frameBytes` is the limit; only tests use another one.
    package static func encode(
        _ kind: FrameKind, reserving capacity: Int = 64, frameBytes: Int = Limits.frameBytes,
        _ body: (inout ByteWriter) -> Void
    ) -> [UInt8] {
        var writer = ByteWriter(reserving: headerBytes + capacity)
        writer.writeRaw([UInt8](repeating: 0, count: headerBytes))
        body(&writer)
        let payload = writer.bytes.count - headerBytes
        if payload <= frameBytes {
            finish(&writer.bytes, at: 0, kind, flags: 0, payload: payload)
            return writer.bytes
        }
        return split(writer.bytes[headerBytes...], kind, frameBytes)
    }

    private static func split(
        _ payload: ArraySlice<UInt8>, _ kind: FrameKind, _ frameBytes: Int
    ) -> [UInt8] {
        let frames = (payload.count + frameBytes - 1) / frameBytes
        var bytes: [UInt8] = []
        bytes.reserveCapacity(payload.count + frames * headerBytes)
        var rest = payload
        while !rest.isEmpty {
            let part = rest.prefix(frameBytes)
            rest = rest.dropFirst(frameBytes)
            let start = bytes.count
            bytes.append(contentsOf: repeatElement(0, count: headerBytes))
            bytes.append(contentsOf: part)
            finish(
                &bytes, at: start, kind, flags: rest.isEmpty ? 0 : moreFlag, payload: part.count)
        }
        return bytes
    }

    /// Fills in the header that stands at `start`, in front of its payload.
    private static func finish(
        _ bytes: inout [UInt8], at start: Int, _ kind: FrameKind, flags: UInt8, payload: Int
    ) {
        bytes.withUnsafeMutableBytes { buffer in
            buffer.storeBytes(
                of: UInt32(payload).littleEndian, toByteOffset: start, as: UInt32.self)
            buffer[start + 8] = kind.rawValue
            buffer[start + 9] = flags
            let check = checksum(UnsafeRawBufferPointer(rebasing: buffer[start...]), payload)
            buffer.storeBytes(of: check.littleEndian, toByteOffset: start + 4, as: UInt32.self)
        }
    }

    /// The checksum of the frame at the front of `frame`: everything but the checksum itself.
    static func checksum(_ frame: UnsafeRawBufferPointer, _ payload: Int) -> UInt32 {
        let length = CRC32C.of(UnsafeRawBufferPointer(rebasing: frame[0..<4]))
        return CRC32C.of(
            UnsafeRawBufferPointer(rebasing: frame[8..<headerBytes + payload]), after: length)
    }
}
