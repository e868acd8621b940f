import Foundation
import SteleAPI
import SteleBase
import SteleClient
import SteleWire
import Synchronization
import Testing

@Suite struct FailoverTests {
    @Test func `the next address takes over`() async throws {
        let store = FakeStore()
        let first = try await FakeNode.start(1, store: store)
        let second = try await FakeNode.start(2, store: store)
        let client = try await SteleClient.connect(to: [first.address, second.address])
        try await client.database.put("a", 1)
        #expect(second.requests.isEmpty)
        try await first.stop()
        #expect(try await client.database.get("a", as: Int.self) == 1)
        try await client.database.put("a", 2)
        try await client.database.write { try await $0.put("b", 3) }
        #expect(second.requests.count == 3)
        try await second.stop()
    }

    @Test func `another cluster does not`() async throws {
        let first = try await FakeNode.start(1, cluster: 1)
        let other = try await FakeNode.start(2, cluster: 2)
        let client = try await SteleClient.connect(to: [first.address, other.address])
        try await client.database.put("a", 1)
        try await first.stop()
        do {
            _ = try await client.database.get("a", as: Int.self)
            Issue.record("another cluster was accepted")
        } catch {
            #expect(error.code == .unavailable && error.message.contains("cluster"))
        }
        #expect(other.requests.isEmpty)
        try await other.stop()
    }

    @Test func `a lost answer to a write is an unknown outcome and never repeated`() async throws {
        let node = try await FakeNode.start { body in
            if case .database(_, .get) = body { .none } else { .loseReply }
        }
        let client = try await SteleClient.connect(to: [node.address])
        func expectUnknown(_ body: () async throws -> Void) async {
            do {
                try await body()
                Issue.record("an answer came")
            } catch {
                let error = error as? SteleError
                #expect(error?.code == .commitOutcomeUnknown && error?.isRetryable == false)
            }
        }
        await expectUnknown { try await client.database.put("a", 1) }
        await expectUnknown { try await client.database.delete("b") }
        await expectUnknown { _ = try await client.increment("c") }
        await expectUnknown {
            _ = try await client.compareAndSet("d", expected: nil, new: "x")
        }
        await expectUnknown { try await client.database.write { try await $0.put("e", 1) } }
        #expect(node.requests.count == 5)
        #expect(node.store["a"] == "1" && node.store["c"] == "1" && node.store["e"] == "1")
        #expect(try await client.database.get("a", as: Int.self) == 1)
        try await node.stop()
    }

    @Test func `a lost answer to a read is asked for again`() async throws {
        let losses = Mutex(2)
        let node = try await FakeNode.start { _ in
            losses.withLock { left in
                left -= 1
                return left >= 0 ? .loseReply : .none
            }
        }
        let client = try await SteleClient.connect(to: [node.address])
        #expect(try await client.database.get("a", as: Int.self) == nil)
        #expect(node.requests.count == 3)
        try await node.stop()
    }

    @Test func `a transaction whose connection breaks runs again`() async throws {
        let losses = Mutex(1)
        let node = try await FakeNode.start { body in
            guard case .database(_, .transaction(let step)) = body, case .get = step.action else {
                return .none
            }
            return losses.withLock { left in
                left -= 1
                return left >= 0 ? .loseReply : .none
            }
        }
        let client = try await SteleClient.connect(to: [node.address])
        let runs = Mutex(0)
        try await client.database.write { transaction in
            runs.withLock { $0 += 1 }
            try await transaction.put("a", 1)
            _ = try await transaction.get("b", as: Int.self)
        }
        #expect(runs.withLock { $0 } == 2 && node.store["a"] == "1")
        #expect(node.openTransactions == 0)
        try await node.stop()
    }

    @Test func `a node that is back is found again`() async throws {
        let client: SteleClient
        let address: String
        do {
            let node = try await FakeNode.start()
            address = node.address
            client = try await SteleClient.connect(to: [address])
            try await node.stop()
        }
        async let value = client.database.get("a", as: Int.self)
        try await Task.sleep(for: .milliseconds(300))
        let again = try await FakeNode.start(listen: address)
        #expect(try await value == nil)
        try await again.stop()
    }

    @Test func `a node that hangs is left after some seconds of silence`() async throws {
        let isOver = Atomic(false)
        let hanging = try await FakeNode.start(1) { _ in
            for _ in 0..<6_000 where !isOver.load(ordering: .relaxed) {
                Thread.sleep(forTimeInterval: 0.01)
            }
            return .none
        }
        let healthy = try await FakeNode.start(2)
        let client = try await SteleClient.connect(to: [hanging.address, healthy.address])
        let start = ContinuousClock.now
        #expect(try await client.database.get("a", as: Int.self) == nil)
        #expect(ContinuousClock.now - start < .seconds(60))
        isOver.store(true, ordering: .relaxed)
        #expect(healthy.requests.count == 1)
        try await hanging.stop()
        try await healthy.stop()
    }

    @Test func `cancelled calls return at once`() async throws {
        let node = try await FakeNode.start { _ in .ignore }
        let client = try await SteleClient.connect(to: [node.address])
        func code(_ body: @escaping @Sendable () async throws -> Void) async throws -> SteleError
            .Code?
        {
            let before = node.requests.count
            let task = Task { try await body() }
            try await eventually("the request is there") { node.requests.count > before }
            task.cancel()
            do {
                try await task.value
                return nil
            } catch {
                return (error as? SteleError)?.code
            }
        }
        let database = client.database
        #expect(try await code { _ = try await database.get("a", as: Int.self) } == .cancelled)
        #expect(try await code { try await database.put("a", 1) } == .commitOutcomeUnknown)
        #expect(
            try await code {
                try await database.write { transaction in
                    try await transaction.put("a", 1)
                    _ = try await transaction.get("a", as: Int.self)
                }
            } == .cancelled)
        try await eventually("the rollback is sent") { node.actions.contains(.rollback) }
        try await node.stop()
    }

    @Test func `a cancelled task does not even ask`() async throws {
        let node = try await FakeNode.start()
        let client = try await SteleClient.connect(to: [node.address])
        let task = Task {
            while !Task.isCancelled { await Task.yield() }
            try await client.database.put("a", 1)
        }
        task.cancel()
        await #expect(throws: SteleError(.cancelled, "the call was cancelled")) {
            try await task.value
        }
        #expect(node.requests.isEmpty)
        try await node.stop()
    }
}
