import SteleAPI
import SteleBase
import SteleClock
import SteleTablet
import Synchronization
import Testing

@testable import SteleTransaction

/// What transactions may hold while they are open, each of them and all together.
@Suite struct HoldingTests {
    private let small = BufferedBytes(limit: 10_000)

    private func expectExcess(
        _ limit: LimitExceeded.Limit, _ code: SteleError.Code,
        sourceLocation: SourceLocation = #_sourceLocation,
        _ body: () async throws -> Void
    ) async {
        let error = await #expect(throws: SteleError.self, sourceLocation: sourceLocation) {
            try await body()
        }
        #expect(error?.code == code, sourceLocation: sourceLocation)
        #expect(
            error?.message.contains("Limits.\(limit.rawValue)") == true,
            sourceLocation: sourceLocation)
    }

    @Test func `all transactions together hold no more than their node lets them`() async throws {
        let kernel = try LocalKernel(memory: small)
        let first = try kernel.backend.begin(TransactionOptions())
        try first.write([1], [UInt8](repeating: 1, count: 6_000))
        let second = try kernel.backend.begin(TransactionOptions())
        let large = [UInt8](repeating: 2, count: 3_000)
        await expectExcess(.bufferedBytes, .overloaded) { try second.write([2], large) }
        await expectExcess(.bufferedBytes, .overloaded) { try second.expect([2], large) }
        await expectExcess(.bufferedBytes, .overloaded) {
            _ = try await second.lock([KeyBytes(repeating: 2, count: 3_000)], .shared, .wait)
        }
        // It is none the worse for that, and has room as soon as the first one ends.
        try await first.commit()
        try second.write([2], large)
        try await second.commit()
        #expect(try await kernel.backend.get([2]) == large)
        #expect(small.held == 0)
    }

    @Test func `transactions that hold nothing take up room too`() async throws {
        let kernel = try LocalKernel(memory: small)
        var open: [any TransactionBackend] = []
        await expectExcess(.bufferedBytes, .overloaded) {
            for _ in 0..<100 { open.append(try kernel.backend.begin(TransactionOptions())) }
        }
        #expect(open.count == 9)
        open = []
        #expect(small.held == 0)
    }

    @Test func `what is taken back is held no more, however a transaction ends`() async throws {
        let kernel = try LocalKernel(memory: small)
        let transaction = try kernel.backend.begin(TransactionOptions())
        let savepoint = try transaction.savepoint()
        let before = small.held
        for key in 0..<20 as Range<UInt8> { try transaction.write([key % 5], [key]) }
        #expect(small.held > before)
        await transaction.rollback(to: savepoint)
        #expect(small.held == before)
        _ = try await transaction.get([[1], [2]])
        _ = try await transaction.scan(.all, limit: 10, reverse: false)
        _ = try await transaction.lock([[1]], .exclusive, .wait)
        try transaction.expect([3], nil)
        try transaction.expect([3], nil)
        transaction.rollback()
        #expect(small.held == 0)
        transaction.rollback()
        await transaction.rollback(to: savepoint)
        #expect(small.held == 0)
    }

    /// The way to a tablet that has no leader.
    private final class DeadEnd: RequestPort {
        let releases = Mutex<[@Sendable () -> Void]>([])

        var now: UInt64 { 0 }

        func nextToken() -> UInt64 { 0 }

        func cancel(_ token: UInt64) {}

        func send(
            _ request: TabletRequest, timeout: Duration, token: UInt64
        ) async -> TabletReply {
            .failed(.init(.notLeader, "there is none"))
        }

        func post(_ request: TabletRequest, whenDone: @escaping @Sendable () -> Void) {
            releases.withLock { $0.append(whenDone) }
        }

        func note(_ transaction: TransactionID, readsAt timestamp: Timestamp?) {}

        func nextTransaction() throws(SteleError) -> TransactionID { TransactionID(1) }

        func standBack(upTo most: Duration) async {}

        func inBackground(_ work: @escaping @Sendable () async -> Void) {}
    }

    @Test func `locks that cannot be given up yet take up room`() async throws {
        let port = DeadEnd()
        let backend = KernelBackend(port: port, keyspace: .user, memory: small)
        await expectExcess(.bufferedBytes, .overloaded) {
            for _ in 0..<100 {
                let transaction = try backend.begin(TransactionOptions())
                await #expect(throws: SteleError.self) {
                    try await transaction.lock([[1]], .exclusive, .fail)
                }
                transaction.rollback()
            }
        }
        let releases = port.releases.withLock { $0 }
        #expect(releases.count == 9)
        for release in releases { release() }
        #expect(small.held == 0)
    }

    @Test func `a transaction names no more than its commit can carry`() async throws {
        let backend = try LocalKernel().backend
        let keys = (0..<4_200 as Range<UInt16>).map { number in
            KeyBytes(repeating: 7, count: Limits.keyBytes - 2)
                + withUnsafeBytes(of: number.bigEndian, Array.init)
        }
        let reader = try backend.begin(TransactionOptions())
        await expectExcess(.transactionReadBytes, .limitExceeded) { _ = try await reader.get(keys) }
        let owner = try backend.begin(TransactionOptions(isolation: .readCommitted))
        _ = try await owner.get(keys)
        await expectExcess(.transactionReadBytes, .limitExceeded) {
            _ = try await owner.lock(keys, .exclusive, .wait)
        }
        let value = [UInt8](repeating: 1, count: Limits.valueBytes)
        await expectExcess(.transactionReadBytes, .limitExceeded) {
            for key in 0..<20 as Range<UInt8> { try owner.expect([key], value) }
        }
        let other = try backend.begin(TransactionOptions())
        await expectExcess(.expectedKeys, .limitExceeded) {
            for key in 0...UInt16(Limits.expectedKeys) {
                try other.expect(withUnsafeBytes(of: key.bigEndian, Array.init), nil)
            }
        }
    }

    @Test func `a request names so many keys and is answered with so much`() async throws {
        let backend = try LocalKernel().backend
        try await backend.put([1], [UInt8](repeating: 1, count: Limits.valueBytes))
        let transaction = try backend.begin(TransactionOptions(isolation: .readCommitted))
        let many = [KeyBytes](repeating: [1], count: Limits.requestKeys + 1)
        await expectExcess(.requestKeys, .limitExceeded) { _ = try await transaction.get(many) }
        await expectExcess(.requestKeys, .limitExceeded) {
            _ = try await transaction.lock([[1]], .shared, .wait, reading: many)
        }
        let tooMuch = Array(many.prefix(32))
        await expectExcess(.answerBytes, .limitExceeded) {
            _ = try await transaction.get(tooMuch)
        }
        await expectExcess(.answerBytes, .limitExceeded) {
            _ = try await transaction.lock([[1]], .shared, .wait, reading: tooMuch)
        }
        #expect(try await transaction.get(Array(many.prefix(31))).count == 31)
    }

    @Test func `a transaction of too many small writes is refused before its commit is`() throws {
        let transaction = try LocalKernel().backend.begin(TransactionOptions())
        let error = #expect(throws: SteleError.self) {
            for number in 0...UInt32(Limits.transactionWrites) {
                try transaction.write(withUnsafeBytes(of: number.bigEndian, Array.init), nil)
            }
        }
        #expect(error?.code == .limitExceeded)
        #expect(error?.message.contains("Limits.transactionWrites") == true)
    }

    @Test(.timeLimit(.minutes(1)))
    func `taking back costs as much as what is taken back`() async throws {
        let transaction = try LocalKernel().backend.begin(TransactionOptions())
        for number in 0..<50_000 as Range<UInt32> {
            try transaction.write(withUnsafeBytes(of: number.bigEndian, Array.init), nil)
        }
        let savepoint = try transaction.savepoint()
        for _ in 0..<50_000 {
            try transaction.write([1, 2, 3], [1])
            await transaction.rollback(to: savepoint)
        }
    }

    @Test func `the buffer is what it was at the savepoint`() {
        var random = SeededRandom(seed: 4)
        var buffer = WriteBuffer()
        var log: [(key: KeyBytes, value: [UInt8]?)] = []
        for _ in 0..<5_000 {
            if random.oneIn(8), !log.isEmpty {
                let position = Int(random.below(UInt64(log.count)))
                log.removeLast(log.count - position)
                buffer.rollback(to: position)
            } else {
                let key = [UInt8(random.below(30))]
                let value: [UInt8]? = random.oneIn(4) ? nil : [UInt8(random.below(256))]
                log.append((key, value))
                buffer.write(key, value)
            }
            var expected: [KeyBytes: [UInt8]?] = [:]
            for entry in log { expected[entry.key] = .some(entry.value) }
            #expect(buffer.position == log.count)
            #expect(buffer.bytes == log.reduce(0) { $0 + $1.key.count + ($1.value?.count ?? 0) })
            let keys = expected.keys.sorted { $0.precedes($1) }
            if random.oneIn(4) { #expect(Array(buffer.writes(in: .all)) == keys) }
            #expect(buffer.allWrites().map(\.key) == keys)
            for key in keys { #expect(buffer.value(of: key) == expected[key]) }
        }
    }
}
