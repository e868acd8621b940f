import SteleAPI
import SteleBase
import SteleClient
import SteleWire
import Testing

/// Every call ends when its time is over or its task is cancelled, and says what became of it.
@Suite(.timeLimit(.minutes(1))) struct DeadlineTests {
    private let short = Duration.milliseconds(100)

    private func expect(
        _ code: SteleError.Code, _ body: () async throws -> Void
    ) async {
        let error = await #expect(throws: SteleError.self) { try await body() }
        #expect(error?.code == code)
    }

    @Test func `what is not answered in time ends, with the outcome as far as it is known`()
        async throws
    {
        let node = try await FakeNode.start { _ in .ignore }
        let client = try await SteleClient.connect(to: [node.address])
        let database = client.database
        await expect(.timedOut) { _ = try await database.get("a", as: Int.self, timeout: short) }
        await expect(.timedOut) { _ = try await client.status(timeout: short) }
        await expect(.timedOut) {
            try await database.read(timeout: short) { _ = try await $0.get("a", as: Int.self) }
        }
        await expect(.timedOut) {
            try await database.write(TransactionOptions(timeout: short)) {
                _ = try await $0.get("a", as: Int.self)
            }
        }
        await expect(.commitOutcomeUnknown) { try await database.put("a", 1, timeout: short) }
        await expect(.commitOutcomeUnknown) { try await database.delete("a", timeout: short) }
        await expect(.commitOutcomeUnknown) {
            _ = try await client.increment("a", timeout: short)
        }
        await expect(.commitOutcomeUnknown) {
            _ = try await client.compareAndSet("a", expected: nil, new: 1, timeout: short)
        }
        await expect(.commitOutcomeUnknown) {
            try await database.write(TransactionOptions(timeout: short)) {
                try await $0.put("a", 1)
            }
        }
        // Nothing leaves when there is no time left.
        await expect(.timedOut) { try await database.put("late", 1, timeout: .zero) }
        let isLate = node.requests.contains { body in
            if case .database(_, .put(Array("late".utf8), _)) = body { true } else { false }
        }
        #expect(!isLate)
        try await node.stop()
    }

    @Test func `a node is looked for no longer than the call may take`() async throws {
        let node = try await FakeNode.start()
        let client = try await SteleClient.connect(to: [node.address])
        try await node.stop()
        let clock = ContinuousClock()
        let took = await clock.measure {
            // Notices the loss of the connection, if nobody has yet.
            await expect(.unavailable) {
                _ = try await client.database.get("a", as: Int.self, timeout: short)
            }
            await expect(.unavailable) { try await client.database.put("a", 1, timeout: short) }
            await expect(.unavailable) {
                try await client.database.write(TransactionOptions(timeout: short)) {
                    _ = try await $0.get("a", as: Int.self)
                }
            }
            let cancelled = Task { try await client.database.get("a", as: Int.self) }
            cancelled.cancel()
            await expect(.cancelled) { _ = try await cancelled.value }
        }
        // The search as such goes on for five seconds.
        #expect(took < .seconds(4))
    }

    @Test func `one caller that waits no longer leaves the search to the others`() async throws {
        let first = try await FakeNode.start()
        let client = try await SteleClient.connect(to: [first.address])
        let address = first.address
        try await first.stop()
        async let patient = client.database.get("a", as: Int.self)
        await expect(.unavailable) {
            _ = try await client.database.get("a", as: Int.self, timeout: short)
        }
        let second = try await FakeNode.start(2, listen: address)
        #expect(try await patient == nil)
        #expect(try await client.database.get("a", as: Int.self) == nil)
        try await second.stop()
    }
}
