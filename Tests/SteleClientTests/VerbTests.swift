import SteleAPI
import SteleBase
import SteleClient
import Synchronization
import Testing

@Suite struct VerbTests {
    @Test func `single operations`() async throws {
        let node = try await FakeNode.start()
        let client = try await SteleClient.connect(to: [node.address])
        try await client.database.put("greeting", "hello")
        #expect(node.store["greeting"] == "hello")
        #expect(try await client.database.get("greeting", as: String.self) == "hello")
        try await client.database.delete("greeting")
        #expect(try await client.database.get("greeting", as: String.self) == nil)
        #expect(try await client.increment("visits") == 1)
        #expect(try await client.increment("visits", by: -5) == -4)
        #expect(try await client.compareAndSet("visits", expected: -4, new: 7))
        #expect(try await !client.compareAndSet("visits", expected: -4, new: 8))
        #expect(try await client.compareAndSet("visits", expected: 7, new: nil))
        #expect(node.store["visits"] == nil)
        try await client.initialize()
        #expect(try await client.status().cluster == UniqueID(high: 0, low: 1))
        client.close()
        try await node.stop()
    }

    @Test func `errors of the node arrive as they are`() async throws {
        let node = try await FakeNode.start()
        let client = try await SteleClient.connect(to: [node.address])
        try await client.database.put("name", "stele")
        await #expect(throws: SteleError(.valueMismatch, "the value is no whole number")) {
            try await client.increment("name")
        }
        await #expect(throws: SteleError.keyTooLong(Limits.keyBytes + 1)) {
            try await client.increment([UInt8](repeating: 1, count: Limits.keyBytes + 1))
        }
        try await node.stop()
    }

    @Test func `many requests share the connection`() async throws {
        let node = try await FakeNode.start()
        let client = try await SteleClient.connect(to: [node.address])
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<200 {
                group.addTask {
                    try await client.database.put("key/\(number)", number)
                    let found = try await client.database.get("key/\(number)", as: Int.self)
                    #expect(found == number)
                }
            }
            try await group.waitForAll()
        }
        try await node.stop()
    }

    @Test func `a value as long as allowed makes the round trip`() async throws {
        let node = try await FakeNode.start()
        let client = try await SteleClient.connect(to: [node.address])
        let value = [UInt8](repeating: 9, count: Limits.valueBytes)
        try await client.database.put("big", value)
        #expect(try await client.database.get("big", as: [UInt8].self) == value)
        try await node.stop()
    }

    @Test func `no node, no client`() async throws {
        do {
            _ = try await SteleClient.connect(to: ["127.0.0.1:2", "127.0.0.1:1"])
            Issue.record("nobody has answered")
        } catch {
            #expect(
                error
                    == SteleError(
                        .unavailable,
                        "no node can be reached: 127.0.0.1:2: nothing listens there; "
                            + "127.0.0.1:1: nothing listens there"))
        }
        for addresses in [[], ["nonsense"]] {
            do {
                _ = try await SteleClient.connect(to: addresses)
                Issue.record("\(addresses) was accepted")
            } catch {
                #expect(error.code == .configuration)
            }
        }
    }

    @Test func `after the close every call fails`() async throws {
        let node = try await FakeNode.start()
        let client = try await SteleClient.connect(to: [node.address])
        client.close()
        do {
            try await client.database.put("a", 1)
            Issue.record("the client was closed")
        } catch {
            #expect(error.code == .stopped)
        }
        try await node.stop()
    }

    @Test func `the database outlives the client object`() async throws {
        let node = try await FakeNode.start()
        let database = try await SteleClient.connect(to: [node.address]).database
        try await database.put("a", 1)
        #expect(node.store["a"] == "1")
        try await node.stop()
    }
}
