import SteleBase
import Synchronization
import Testing

@testable import SteleSQL

/// What takes long by the size of single values is done by a worker too, and comes to the same.
@Suite(.timeLimit(.minutes(2)))
struct LongWorkTests {
    private let handedOver = HandedOver()

    private final class HandedOver: Sendable {
        let count = Atomic(0)

        /// How often since the last call.
        func take() -> Int { count.exchange(0, ordering: .relaxed) }
    }

    /// A session with so large a budget that only what is known to take long is handed over.
    private func session() throws -> TestSession {
        try TestSession(TestNode(), turnBudget: .max / 2) { [handedOver] work in
            handedOver.count.add(1, ordering: .relaxed)
            TestWorker.run(work)
        }
    }

    /// A number of few digits may be shown in very many, and a short text be padded.
    @Test(arguments: [
        ("1e131071, 1e131071, 1e131071", 3 * 131_072 + 2), ("'\\x'::bytea, 'a'::char(300000)", 300_003),
    ])
    func `a row that is long to show is encoded by a worker`(list: String, length: Int) async throws {
        let session = try session()
        try await session.run("select \(list) limit 0")
        _ = handedOver.take()
        let lines = try await session.run("values (\(list)), (\(list))")
        #expect(lines.map(\.utf8.count) == [length, length, 8])
        #expect(handedOver.take() >= 2)
    }

    @Test func `a long line of COPY is taken apart by a worker`() async throws {
        let session = try session()
        try await session.run("create table t (k int primary key, v text)")
        let long = String(repeating: "\\\\x", count: 50_000)
        _ = handedOver.take()
        let pieces = ["1\tone\n2\t", long, "\n3\tthree\n", "4\t" + long + "\n5\tfive\n6", "\tsix\n"]
        #expect(try await session.run("copy t from stdin", copy: pieces).last == "COPY 6")
        #expect(handedOver.take() > 0)
        let rows = try await session.run("select k, length(v), left(v, 3) from t order by k")
        #expect(rows == [
            "1|3|one", "2|100000|\\x\\", "3|5|thr", "4|100000|\\x\\", "5|4|fiv", "6|3|six", "SELECT 6",
        ])
    }

    @Test func `an error names its line behind a long one`() async throws {
        let session = try session()
        try await session.run("create table t (k int primary key, v text)")
        let long = String(repeating: "x", count: 200_000)
        do {
            try await session.run("copy t from stdin", copy: ["1\t\(long)\n2\ta\nthree\tb\n4\tc\n"])
            Issue.record("no error")
        } catch let error as SQLError {
            #expect(error.state == "22P02")
            #expect(error.context == "COPY t, line 3, column k: \"three\"")
        }
        #expect(try await session.run("select count(*) from t") == ["0", "SELECT 1"])
    }

    /// All rows stay until the last one was sent, and that much is what they count as.
    @Test func `what waits in a portal is counted once`() async throws {
        let session = try TestSession(TestNode())
        try await session.run("create table t (k int primary key, v text)")
        try await session.run("begin")
        try await session.begin(
            "insert into t select x, 'v' from generate_series(1, 1000) as g(x) returning k", as: "p")
        let portal = try #require(session.session.portals["p"])
        let held = portal.heldBytes
        #expect(held >= 1_000 * MemoryMeter.size(of: [.int(1)]))
        try await session.session.execute(portal: "p", maxRows: 998, into: session.sink)
        #expect(portal.heldBytes == held)
        try await session.session.execute(portal: "p", maxRows: 0, into: session.sink)
        #expect(portal.heldBytes == 0)
        try await session.run("rollback")
    }

    /// A worker lets go of the rows that were written; what is returned of them goes as it is sent, or
    /// to a worker if it is not.
    @Test(arguments: [("x", 1), ("1 / (60000 - x)", 2)])
    func `very many rows that are returned are let go of by a worker`(
        returned: String, workers: Int
    ) async throws {
        let session = try session()
        try await session.run("create table t (x int primary key)")
        let text = "insert into t select * from generate_series(1, 60000) returning \(returned)"
        _ = handedOver.take()
        let lines = try? await session.run(text)
        #expect(lines?.count ?? 60_001 == 60_001)
        #expect(handedOver.take() >= workers)
    }

    @Test func `a delimiter may be a column that nothing else uses`() async throws {
        let session = try TestSession(TestNode(), isJudged: true)
        try await session.run("create table t (k int primary key, v text, d text)")
        try await session.run("insert into t values (1, 'a', '-'), (2, 'b', '+'), (3, 'c', null)")
        #expect(try await session.run("select string_agg(v, d) from t") == ["a+bc", "SELECT 1"])
    }
}
