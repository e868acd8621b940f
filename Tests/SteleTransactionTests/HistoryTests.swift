import SteleAPI
import SteleBase
import SteleClock
import SteleEngine
import SteleTransaction
import Testing

/// What a tablet keeps of its past, on a real node core.
@Suite struct HistoryTests {
    private let engine = MemoryEngine()
    private let kernel: LocalKernel
    private var database: Database { kernel.database }
    /// In microseconds.
    private static let retention: UInt64 = 1_000_000

    init() throws { kernel = try LocalKernel(engine: engine, retention: Self.retention) }

    private var versions: Int {
        get throws { try engine.statistics().estimatedVersions }
    }

    /// Lets the retention pass, and the ticks in which what it allows is done.
    private func outlive(_ times: UInt64 = 2) async {
        for _ in 0..<times * 20 { await kernel.pass(Self.retention / 10) }
    }

    private func code(_ body: () async throws -> Void) async -> SteleError.Code? {
        do {
            try await body()
            return nil
        } catch { return (error as? SteleError)?.code }
    }

    @Test func `old versions go after the retention, and deletions with them`() async throws {
        for round in 0..<5 {
            for key in 0..<20 { try await database.put(Key(key), round) }
        }
        #expect(try versions == 100)
        await outlive()
        #expect(try versions == 20)
        for key in 0..<15 { try await database.delete(Key(key)) }
        #expect(try versions == 35)
        await outlive()
        #expect(try versions == 5)
        #expect(try await database.get(Key(17), as: Int.self) == 4)
        #expect(try await database.get(Key(3), as: Int.self) == nil)
    }

    @Test func `nothing is proposed once the past is gone`() async throws {
        try await database.put("a", 1)
        await outlive()
        let index = kernel.lastIndex
        await outlive(5)
        #expect(kernel.lastIndex == index)
    }

    @Test func `an open snapshot keeps what it reads, within bounds`() async throws {
        try await database.put(Key("a"), 1)
        try await database.put(Key("b"), 1)
        let reader = try database.backend.begin(TransactionOptions(isolation: .snapshot))
        let key = Key("a").keyBytes
        _ = try await reader.get([key])
        try await database.put(Key("b"), 2)
        try await database.delete(Key("b"))
        await outlive(4)
        #expect(try await reader.get([Key("b").keyBytes])[0] != nil)
        await outlive(30)
        #expect(await code { _ = try await reader.get([Key("b").keyBytes]) } == .snapshotTooOld)
        #expect(
            await code { _ = try await reader.lock([key], .exclusive, .wait) } == .snapshotTooOld)
    }

    @Test func `a commit is not validated where changes may have gone`() async throws {
        try await database.put(Key("a"), 1)
        let transaction = try database.backend.begin(TransactionOptions())
        _ = try await transaction.get([Key("a").keyBytes])
        try transaction.write(Key("c").keyBytes, [1])
        try await database.delete(Key("a"))
        await outlive(30)
        #expect(await code { try await transaction.commit() } == .snapshotTooOld)
        #expect(try await database.get(Key("c"), as: Int.self) == nil)
    }

    @Test func `a discarded range goes once no snapshot can show it`() async throws {
        for key in 0..<10 { try await database.put(Key("rows", key), key) }
        try await database.put("other", 1)
        let reader = try database.backend.begin(TransactionOptions(isolation: .snapshot))
        #expect(try await reader.get([Key("rows", 3).keyBytes])[0] != nil)
        let dropping = try database.backend.begin(TransactionOptions())
        try dropping.discard(KeyRange(prefix: Key("rows").keyBytes))
        try await dropping.commit()
        await outlive(4)
        #expect(try await reader.get([Key("rows", 4).keyBytes])[0] != nil)
        reader.rollback()
        await outlive()
        #expect(try versions == 1)
        #expect(try await database.get("other", as: Int.self) == 1)
    }
}
