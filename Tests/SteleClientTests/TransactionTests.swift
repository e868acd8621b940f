import SteleAPI
import SteleBase
import SteleClient
import SteleWire
import Synchronization
import Testing

@Suite struct TransactionTests {
    private func start() async throws -> (FakeNode, SteleClient) {
        let node = try await FakeNode.start()
        return (node, try await SteleClient.connect(to: [node.address]))
    }

    @Test func `the embedding example works from afar`() async throws {
        let (node, client) = try await start()
        let database = client.database
        try await database.write { transaction in
            let balance = try await transaction.get("account/alice", as: Int.self) ?? 0
            try await transaction.put("account/alice", balance - 100)
            try await transaction.put("account/bob", 100)
            #expect(try await transaction.get("account/bob", as: Int.self) == 100)
        }
        let total = try await database.read { transaction in
            var total = 0
            for try await entry in transaction.scan(prefix: "account/") {
                total += try entry.value(as: Int.self)
            }
            return total
        }
        #expect(total == 0 && node.store["account/alice"] == "-100")
        #expect(node.openTransactions == 0)
        try await node.stop()
    }

    @Test func `a transaction that only writes is one request`() async throws {
        let (node, client) = try await start()
        try await client.database.write { transaction in
            for number in 0..<100 { try await transaction.put("key/\(number)", number) }
        }
        #expect(node.requests.count == 1 && node.actions == [.commit])
        #expect(node.store["key/99"] == "99")
        try await client.database.write { _ in }
        try await client.database.read { _ in }
        #expect(node.requests.count == 1)
        try await node.stop()
    }

    @Test func `one that exceeds a frame travels in several`() async throws {
        let (node, client) = try await start()
        let value = [UInt8](repeating: 1, count: Limits.valueBytes)
        try await client.database.write { transaction in
            for number in 0..<15 { try await transaction.put("big/\(number)", value) }
        }
        #expect(node.actions.count > 5 && node.actions.last == .commit)
        #expect(node.store["big/14"]?.utf8.count == Limits.valueBytes)
        try await client.database.write { transaction in
            for number in 0..<17_000 { try await transaction.put(Key("many", number), number) }
        }
        let count = try await client.database.read { transaction in
            var count = 0
            for try await _ in transaction.scan(prefix: Key("many")) { count += 1 }
            return count
        }
        #expect(count == 17_000)
        await #expect(throws: SteleError.self) {
            try await client.database.write { transaction in
                for number in 0..<17 { try await transaction.put("big/\(number)", value) }
            }
        }
        try await node.stop()
    }

    @Test func `a conflict runs the closure again`() async throws {
        let (node, client) = try await start()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    for _ in 0..<10 {
                        try await client.database.write { transaction in
                            let count = try await transaction.get("count", as: Int.self) ?? 0
                            try await transaction.put("count", count + 1)
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(node.store["count"] == "80")
        #expect(node.openTransactions == 0)
        try await node.stop()
    }

    @Test func `savepoints, locks and statements reach the node in order`() async throws {
        let (node, client) = try await start()
        try await client.database.put("a", "old")
        let transaction = try client.database.backend.begin(
            TransactionOptions(isolation: .readCommitted))
        transaction.beginStatement()
        try transaction.write(Array("a".utf8), Array("new".utf8))
        let first = try transaction.savepoint()
        #expect(try transaction.savepoint() == first)
        try transaction.write(Array("b".utf8), Array("gone".utf8))
        let second = try transaction.savepoint()
        #expect(second != first)
        let keys = ["a", "b"].map { Array($0.utf8) }
        #expect(try await transaction.get(keys) == [Array("new".utf8), Array("gone".utf8)])
        await transaction.rollback(to: first)
        #expect(try await transaction.get(keys) == [Array("new".utf8), nil])
        let locked = try await transaction.lock(keys, .exclusive, .wait)
        #expect(locked.map(\.value) == [Array("new".utf8), nil])
        let beside = try await transaction.lock(
            [keys[1]], .exclusive, .wait, reading: [keys[0]])
        #expect(beside.map(\.value) == [nil, Array("new".utf8)])
        #expect(beside.map(\.isLocked) == [true, false])
        let page = try await transaction.scan(.all, limit: 1, reverse: false)
        #expect(page.rows.map { Array($0.value) } == [Array("new".utf8)] && page.rest == nil)
        try await transaction.commit()
        #expect(node.store["a"] == "new" && node.store["b"] == nil)
        await #expect(throws: SteleError.transactionClosed) { try await transaction.get(keys) }
        #expect(throws: SteleError.transactionClosed) { try transaction.write([1], nil) }
        await #expect(throws: SteleError.transactionClosed) { try await transaction.commit() }
        transaction.rollback()
        try await node.stop()
    }

    @Test func `a write that the node refuses cannot be left out of the commit`() async throws {
        let (node, client) = try await start()
        let transaction = try client.database.backend.begin(TransactionOptions())
        try transaction.write(Array("poison".utf8), [])
        await #expect(throws: SteleError.self) { try await transaction.get([[1]]) }
        try transaction.write(Array("fine".utf8), [])
        await #expect(throws: SteleError(.limitExceeded, "poison")) {
            try await transaction.commit()
        }
        #expect(node.store["fine"] == nil && node.openTransactions == 0)
        try await node.stop()
    }

    @Test func `what is given up is rolled back`() async throws {
        let (node, client) = try await start()
        struct Failure: Error {}
        await #expect(throws: Failure.self) {
            try await client.database.write { transaction in
                try await transaction.put("a", 1)
                _ = try await transaction.get("b", as: Int.self)
                throw Failure()
            }
        }
        try await eventually("the failed one is rolled back") {
            node.actions.last == .rollback && node.openTransactions == 0
        }
        do {
            let forgotten = try client.database.backend.begin(TransactionOptions())
            _ = try await forgotten.get([[1]])
        }
        try await eventually("the forgotten one is rolled back") { node.openTransactions == 0 }
        #expect(node.store["a"] == nil)
        try await node.stop()
    }

    @Test func `limits and read-only transactions are checked at once`() async throws {
        let (node, client) = try await start()
        let backend = client.database.backend
        let reader = try backend.begin(TransactionOptions(isReadOnly: true))
        #expect(throws: SteleError.self) { try reader.write([1], [1]) }
        let writer = try backend.begin(TransactionOptions())
        let key = [UInt8](repeating: 1, count: Limits.keyBytes + 1)
        #expect(throws: SteleError.keyTooLong(key.count)) { try writer.write(key, nil) }
        #expect(throws: SteleError.valueTooLong(Limits.valueBytes + 1)) {
            try writer.write([1], [UInt8](repeating: 1, count: Limits.valueBytes + 1))
        }
        #expect(node.requests.isEmpty)
        try await node.stop()
    }
}
