import SteleAPI
import SteleBase
import SteleClock
import SteleEngine
import SteleTablet
import Testing

@Suite struct TabletCodecTests {
    private static let requests: [TabletRequest] = [
        .init(transaction: .none, body: .read(keys: [[1], [], [2, 3]], at: nil)),
        .init(transaction: TransactionID(7), body: .read(keys: [[1]], at: Timestamp(rawValue: 99))),
        .init(
            transaction: TransactionID(8),
            body: .scan(
                .init(
                    range: KeyRange(start: [1], end: []), timestamp: nil,
                    limits: ScanLimits(rows: 10, bytes: 100, keys: 1_000), reverse: true))),
        .init(
            transaction: TransactionID(9),
            body: .lock(
                .init(
                    keys: [[4]], others: [[5], []], mode: .shared, wait: .skip, timeoutMicroseconds: 5,
                    snapshot: Timestamp(rawValue: 3), grant: LockGrant(term: 3, arrival: 300)))),
        .init(
            transaction: TransactionID(10),
            body: .commit(
                .init(
                    readTimestamp: Timestamp(rawValue: 5), readKeys: [[1]],
                    readRanges: [KeyRange(start: [2], end: [3])], locks: [[9]],
                    grant: LockGrant(term: 1, arrival: 2), firstCommitterWins: true,
                    writes: [.init(key: [1], value: nil), .init(key: [2], value: [7, 8])]))),
        .init(transaction: TransactionID(11), body: .release(near: [1, 2, 3])),
        .init(transaction: TransactionID(12), body: .unlock(keys: [[1], [], [2, 3]], rollback: 300)),
    ]

    private static let replies: [TabletReply] = [
        .values([nil, [], [1, 2]], at: Timestamp(rawValue: 4)),
        .locked(
            [.init(isLocked: true, value: [1]), .init(isLocked: false, value: nil)],
            grant: LockGrant(term: 7, arrival: 1), clock: Timestamp(rawValue: 5)),
        .committed(Timestamp(rawValue: 6)), .released,
        .failed(.init(.conflict, "somebody was faster", leader: NodeID(3))),
    ]

    @Test(arguments: requests.indices)
    func `requests read back as they were written, and a cut one is an error`(index: Int) throws {
        var writer = ByteWriter()
        Self.requests[index].encode(into: &writer)
        var reader = ByteReader(writer.bytes)
        let request = try TabletRequest(from: &reader)
        try reader.expectEnd()
        var again = ByteWriter()
        request.encode(into: &again)
        #expect(again.bytes == writer.bytes)
        for count in 0..<writer.bytes.count {
            var cut = ByteReader(writer.bytes[..<count])
            #expect(throws: DecodingError.self) { try TabletRequest(from: &cut) }
        }
    }

    @Test func `writes beyond the limits are refused before they reach a log`() throws {
        let long = KeyBytes(repeating: 1, count: Limits.storedKeyBytes)
        let big = [UInt8](repeating: 1, count: Limits.valueBytes)
        func decode(_ key: KeyBytes, _ value: [UInt8]) throws {
            var writer = ByteWriter()
            TabletRequest(
                transaction: TransactionID(1),
                body: .commit(.init(readTimestamp: .zero, writes: [.init(key: key, value: value)]))
            ).encode(into: &writer)
            var reader = ByteReader(writer.bytes)
            _ = try TabletRequest(from: &reader)
        }
        try decode(long, big)
        #expect(throws: DecodingError.self) { try decode(long + [1], []) }
        #expect(throws: DecodingError.self) { try decode([], big + [1]) }
    }

    @Test func `times that no clock shows, and waits that have no end, are refused`() {
        func decode(_ body: TabletRequest.Body) throws {
            var writer = ByteWriter()
            TabletRequest(transaction: TransactionID(1), body: body).encode(into: &writer)
            var reader = ByteReader(writer.bytes)
            _ = try TabletRequest(from: &reader)
        }
        func lock(_ timeout: UInt64, _ snapshot: Timestamp) -> TabletRequest.Body {
            .lock(
                .init(
                    keys: [[4]], mode: .shared, wait: .wait, timeoutMicroseconds: timeout,
                    snapshot: snapshot, grant: nil))
        }
        var commit = TabletRequest.CommitRequest(writes: [])
        commit.begun = .max
        #expect(throws: DecodingError.self) { try decode(.commit(commit)) }
        commit = .init(readTimestamp: .max, writes: [])
        #expect(throws: DecodingError.self) { try decode(.commit(commit)) }
        #expect(throws: DecodingError.self) { try decode(.read(keys: [[1]], at: .max)) }
        #expect(throws: DecodingError.self) { try decode(lock(5, .max)) }
        #expect(throws: DecodingError.self) { try decode(lock(.max - 1, .zero)) }
        #expect(throws: Never.self) { try decode(lock(.max / 2, .latest)) }
    }

    @Test(arguments: replies.indices)
    func `replies read back as they were written, and a cut one is an error`(index: Int) throws {
        var writer = ByteWriter()
        Self.replies[index].encode(into: &writer)
        var reader = ByteReader(writer.bytes)
        let reply = try TabletReply(from: &reader)
        try reader.expectEnd()
        var again = ByteWriter()
        reply.encode(into: &again)
        #expect(again.bytes == writer.bytes)
        for count in 0..<writer.bytes.count {
            var cut = ByteReader(writer.bytes[..<count])
            #expect(throws: DecodingError.self) { try TabletReply(from: &cut) }
        }
    }

    @Test func `flipped bits never crash the decoders`() {
        var random = SeededRandom(seed: 3)
        for request in Self.requests {
            var writer = ByteWriter()
            request.encode(into: &writer)
            for _ in 0..<2_000 {
                var bytes = writer.bytes
                for _ in 0...random.below(3) {
                    bytes[Int(random.below(UInt64(bytes.count)))] ^= 1 << UInt8(random.below(8))
                }
                var reader = ByteReader(bytes)
                _ = try? TabletRequest(from: &reader)
                var other = ByteReader(bytes)
                _ = try? TabletReply(from: &other)
            }
        }
    }
}
