import SteleAPI
import SteleEngine
import Testing

/// An engine whose background work is behind holds writes up, and nothing else.
@Suite struct BusyEngineTests {
    @Test func `a write waits until the engine takes writes again, while reads are answered`()
        async throws
    {
        let engine = MemoryEngine()
        let kernel = try LocalKernel(engine: engine)
        let database = kernel.database
        try await database.put("before", 1)
        engine.pressure = .stopped
        async let write: Void = database.put("during", 2)
        while kernel.unanswered == 0 { await Task.yield() }
        #expect(try await database.get("before", as: Int.self) == 1)
        #expect(kernel.unanswered == 1)
        engine.pressure = .normal
        #expect(try await database.get("before", as: Int.self) == 1)
        try await write
        #expect(try await database.get("during", as: Int.self) == 2)
    }
}
