import SteleBase
import Testing

@testable import SteleWire

@Suite struct FrameTests {
    private func decoder() -> FrameDecoder {
        var decoder = FrameDecoder()
        decoder.raiseLimits(messages: 1 << 20)
        return decoder
    }

    private func all(_ bytes: [UInt8]) throws -> [WireMessage] {
        var decoder = decoder()
        decoder.feed(bytes)
        var messages: [WireMessage] = []
        while let message = try decoder.next() {
            messages.append(WireMessage(kind: message.kind, payload: Array(message.payload)[...]))
        }
        return messages
    }

    private func frame(_ kind: FrameKind, _ payload: [UInt8], limit: Int = 1 << 20) -> [UInt8] {
        Frame.encode(kind, frameBytes: limit) { $0.writeRaw(payload) }
    }

    @Test func `the bytes of a frame are as documented`() {
        let bytes = frame(.request, [1, 2, 3])
        #expect(bytes.count == 13)
        #expect(bytes[0..<4] == [3, 0, 0, 0])
        #expect(bytes[8..<13] == [5, 0, 1, 2, 3])
        let check = CRC32C.of([3, 0, 0, 0, 5, 0, 1, 2, 3])
        #expect(Array(bytes[4..<8]) == withUnsafeBytes(of: check.littleEndian) { Array($0) })
    }

    @Test func `messages come out whole, however the bytes arrive`() throws {
        let payloads: [[UInt8]] = [[], [7], [UInt8](repeating: 9, count: 1_000), []]
        var bytes: [UInt8] = []
        for payload in payloads { bytes += frame(.reply, payload) }
        #expect(try all(bytes).map { Array($0.payload) } == payloads)
        for step in [1, 3, 10, 11, 999] {
            var decoder = decoder()
            var found: [[UInt8]] = []
            var position = 0
            while position < bytes.count {
                let end = min(position + step, bytes.count)
                decoder.feed(bytes[position..<end])
                position = end
                while let message = try decoder.next() { found.append(Array(message.payload)) }
            }
            #expect(found == payloads)
        }
    }

    @Test func `a long message travels in several frames`() throws {
        let payload = (0..<1_000).map { UInt8(truncatingIfNeeded: $0) }
        for limit in [1, 7, 100, 499, 500, 999, 1_000, 1_001] {
            let bytes = frame(.peerMessages, payload, limit: limit) + frame(.ping, [])
            let frames = (payload.count + limit - 1) / limit
            #expect(bytes.count == payload.count + (frames + 1) * Frame.headerBytes)
            let messages = try all(bytes)
            #expect(messages.map(\.kind) == [.peerMessages, .ping])
            #expect(Array(messages[0].payload) == payload)
        }
    }

    @Test func `any flipped bit is found or leaves the message incomplete`() throws {
        let whole = frame(.request, Array("some payload".utf8))
        for position in whole.indices {
            for bit in 0..<8 {
                var bytes = whole
                bytes[position] ^= 1 << bit
                var decoder = decoder()
                decoder.feed(bytes)
                let message = try? decoder.next()
                #expect(message == nil, "byte \(position), bit \(bit)")
            }
        }
    }

    @Test func `any truncation is an incomplete message`() throws {
        let whole = frame(.request, [1, 2, 3, 4, 5], limit: 2)
        for count in whole.indices { #expect(try all(Array(whole[..<count])).isEmpty) }
        #expect(try all(whole).count == 1)
    }

    @Test func `lengths beyond the limit are refused before anything is held`() {
        for length: UInt32 in [1 << 31, .max, UInt32(Limits.frameBytes) + 1] {
            var decoder = decoder()
            decoder.feed(withUnsafeBytes(of: length.littleEndian) { Array($0) })
            #expect(
                throws: FrameError.frameTooLong(
                    length: Int(length), limit: Limits.frameBytes)
            ) { try decoder.next() }
        }
    }

    @Test func `before the handshake only a small frame passes`() throws {
        var decoder = FrameDecoder()
        decoder.feed(frame(.hello, [UInt8](repeating: 1, count: FrameDecoder.handshakeBytes)))
        #expect(try decoder.next()?.payload.count == FrameDecoder.handshakeBytes)
        decoder.feed(frame(.hello, [UInt8](repeating: 1, count: FrameDecoder.handshakeBytes + 1)))
        #expect(throws: FrameError.self) { try decoder.next() }
        var other = FrameDecoder()
        other.feed(frame(.hello, [UInt8](repeating: 1, count: 5_000), limit: 1_000))
        #expect(throws: FrameError.messageTooLong(length: 5_000, limit: 4_096)) {
            try other.next()
        }
    }

    @Test func `other protocols are no frames`() {
        let openings: [[UInt8]] = [
            Array("GET / HTTP/1.1\r\nHost: a\r\n\r\n".utf8),
            Array("PRI * HTTP/2.0\r\n\r\n".utf8),
            Array("SSH-2.0-OpenSSH_9.6\r\n".utf8),
            [0, 0, 0, 8, 4, 210, 22, 47],  // Postgres, asking for TLS
            [0, 0, 0, 41, 0, 3, 0, 0] + Array("user\0postgres\0".utf8),
            [0x16, 3, 1, 2, 0, 1, 0, 1, 0xFC, 3, 3],  // TLS
            [UInt8](repeating: 0, count: 32),
            [UInt8](repeating: 0xFF, count: 32),
        ]
        for opening in openings {
            var decoder = FrameDecoder()
            decoder.feed(opening)
            #expect(throws: FrameError.self) { try decoder.next() }
        }
    }

    @Test func `frames of one message are neither interleaved nor endless`() {
        let long = frame(.request, [1, 2, 3], limit: 2)
        let first = Array(long[..<(Frame.headerBytes + 2)])
        #expect(throws: FrameError.interleaved) { try all(first + frame(.ping, [])) }
        var empty = frame(.request, [])
        empty[9] = Frame.moreFlag
        let check = empty.withUnsafeBytes { Frame.checksum($0, 0) }
        empty.replaceSubrange(4..<8, with: withUnsafeBytes(of: check.littleEndian) { Array($0) })
        #expect(throws: FrameError.emptyPart) { try all(empty) }
    }

    @Test func `random bytes never do more than fail`() {
        var random = SeededRandom(seed: 1)
        for _ in 0..<2_000 {
            var decoder = FrameDecoder()
            let bytes = (0..<random.below(64)).map { _ in
                UInt8(random.below(random.oneIn(2) ? 4 : 256))
            }
            decoder.feed(bytes)
            _ = try? decoder.next()
        }
    }
}
