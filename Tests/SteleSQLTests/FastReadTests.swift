import SteleBase
import Testing

@testable import SteleSQL

/// Queries that are answered without a transaction, and those that look as if they could be.
@Suite struct FastReadTests {
    private let node = TestNode()
    private let session: TestSession

    init() async throws {
        session = try TestSession(node)
        try await session.run("create table t (a int, b text, c int default 7, primary key (a))")
        try await session.run("insert into t select x, 'row ' || x from generate_series(1, 600) as g(x)")
        node.backend.state.withLock { $0.answersAtOnce = true }
    }

    /// The answer to a query, and whether a transaction was needed for it.
    private func ask(
        _ text: String, _ values: [String?] = [], maxRows: Int = 0
    ) async throws -> (lines: [String], isFast: Bool) {
        // Planned before, and its table known.
        _ = try await session.extended(text, values, maxRows: maxRows)
        _ = node.backend.takeCalls()
        let lines = try await session.extended(text, values, maxRows: maxRows)
        return (lines, node.backend.takeCalls().isEmpty)
    }

    @Test(arguments: [
        ("select b from t where a = $1", ["5"], ["row 5", "SELECT 1"]),
        ("select b, a, c, b from t where a = $1", ["5"], ["row 5|5|7|row 5", "SELECT 1"]),
        ("select * from t where a = 600", [], ["600|row 600|7", "SELECT 1"]),
        ("select a from t where a = $1", ["0"], ["SELECT 0"]),
        ("select a from t where a = $1", [nil], ["SELECT 0"]),
        ("select a from t where a in ($1, 9, 3, 1000)", ["5"], ["3", "5", "9", "SELECT 3"]),
        ("select a from t where a between $1 and $1 + 2", ["7"], ["7", "8", "9", "SELECT 3"]),
        ("select a from t where a between $1 and 3", ["7"], ["SELECT 0"]),
        ("select a from t where a > 598", [], ["599", "600", "SELECT 2"]),
        ("select a from t where a < 3 order by a desc", [], ["2", "1", "SELECT 2"]),
    ] as [(String, [String?], [String])])
    func `rows by their key need no transaction`(
        text: String, values: [String?], expected: [String]
    ) async throws {
        let (lines, isFast) = try await ask(text, values)
        #expect(lines == expected)
        #expect(isFast)
    }

    @Test(arguments: [
        ("select a + 1 from t where a = 5", ["6", "SELECT 1"]),
        ("select a from t where a = 5 and c = 8", ["SELECT 0"]),
        ("select a from t where a = 5 for update", ["5", "SELECT 1"]),
        ("select count(*) from t where a between 3 and 5", ["3", "SELECT 1"]),
        ("select a from t where a > 3 order by b limit 1", ["10", "SELECT 1"]),
        ("select distinct c from t where a < 5", ["7", "SELECT 1"]),
    ])
    func `what is more than that is run like any other query`(
        text: String, expected: [String]
    ) async throws {
        let (lines, isFast) = try await ask(text)
        #expect(lines == expected)
        #expect(!isFast)
    }

    @Test func `more rows than a few are read in a transaction`() async throws {
        let (lines, isFast) = try await ask("select a from t where a between 1 and 300")
        #expect(lines.count == 301)
        #expect(!isFast)
        #expect(try await ask("select a from t where a between 1 and 256").isFast)
    }

    /// They are small where they are stored.
    @Test(arguments: [
        ("char(20000)", "'x'"), ("numeric", "1e100000"), ("bytea", "'x'"),
    ])
    func `rows that are long when they are shown are run like any other query`(
        type: String, value: String
    ) async throws {
        try await session.run("create table w (a int primary key, v \(type))")
        try await session.run("insert into w select x, \(value)::\(type) from generate_series(1, 40) as g(x)")
        let isLong = type != "bytea"
        let (lines, isFast) = try await ask("select v from w where a between 1 and 40")
        #expect(lines.count == 41 && lines[0] == lines[39])
        #expect(isFast == !isLong)
        #expect(try await ask("select a from w where a = 5").isFast)
    }

    /// To name all of them takes as long as there are.
    @Test func `keys that are very many combinations are not named at once`() async throws {
        try await session.run("create table p (a int, b int, primary key (a, b))")
        try await session.run("insert into p values (1, 1), (2, 3)")
        func ask(_ count: Int) async throws -> Bool {
            let list = (1...count).map(String.init).joined(separator: ", ")
            let (lines, isFast) = try await self.ask(
                "select a, b from p where a in (\(list)) and b in (\(list))")
            #expect(lines == (count > 2 ? ["1|1", "2|3", "SELECT 2"] : ["1|1", "SELECT 1"]))
            return isFast
        }
        #expect(try await ask(2))
        #expect(try await ask(4))
        #expect(try await !ask(5))
        #expect(try await !ask(300))
    }

    @Test func `a portal that is read in parts is read in a transaction`() async throws {
        let (lines, isFast) = try await ask("select a from t where a < 9", maxRows: 2)
        #expect(lines == ["1", "2", "suspended"])
        #expect(!isFast)
    }

    @Test func `an error is that of the statement`() async throws {
        let text = "select a from t where a = $1 + 2147483647"
        #expect(try await ask(text, ["0"]).isFast)
        await #expect(throws: SQLError.self) { try await session.extended(text, ["1"]) }
    }

    /// Their statements share a snapshot.
    @Test(arguments: ["repeatable read", "serializable"])
    func `other isolation levels need a transaction`(level: String) async throws {
        try await session.run("set default_transaction_isolation = '\(level)'")
        let (lines, isFast) = try await ask("select a from t where a = 5")
        #expect(lines == ["5", "SELECT 1"])
        #expect(!isFast)
    }

    @Test func `a transaction sees its own rows`() async throws {
        let select = "select b from t where a = 5"
        #expect(try await ask(select).lines == ["row 5", "SELECT 1"])
        try await session.run("begin")
        try await session.run("update t set b = 'mine' where a = 5")
        #expect(try await session.extended(select) == ["mine", "SELECT 1"])
        try await session.run("rollback")
        #expect(try await ask(select).lines == ["row 5", "SELECT 1"])
    }

    /// The definition that it was planned with is out of date, which only the rows' stamp tells.
    @Test func `a table that another session changed is looked at anew`() async throws {
        let other = TestNode(node.backend, firstRowID: 1_000)
        let changer = try TestSession(other)
        let select = "select b from t where a = 5"
        #expect(try await ask(select).isFast)
        try await changer.run("truncate t")
        #expect(try await session.extended(select) == ["SELECT 0"])
        try await changer.run("insert into t values (5, 'new')")
        #expect(try await ask(select).lines == ["new", "SELECT 1"])
        #expect(try await ask(select).isFast)
        try await changer.run("drop table t")
        await #expect(throws: SQLError.self) { try await session.extended(select) }
    }

    @Test func `it counts as a statement of its pipeline`() async throws {
        let session = session.session
        func execute(_ text: String) async throws {
            try await session.prepare("", text, parameterTypes: [])
            try await session.bind(
                portal: "", statement: "", parameterFormats: [], parameters: [], resultFormats: [])
            try await session.execute(portal: "", maxRows: 0, into: self.session.sink)
        }
        try await execute("select a from t where a = 5")
        try await session.sync()
        try await execute("select a from t where a = 5")
        await #expect(throws: SQLError.self) { try await execute("vacuum t") }
        await session.fail()
        try await session.sync()
        try await execute("vacuum t")
        try await session.sync()
    }

    @Test func `it is no part of the next statement's transaction`() async throws {
        let select = "select a from t where a = 5"
        #expect(try await session.run(select) == ["5", "SELECT 1"])
        _ = node.backend.takeCalls()
        #expect(try await session.run(select) == ["5", "SELECT 1"])
        #expect(node.backend.takeCalls().isEmpty)
        #expect(try await session.run("vacuum t") == ["VACUUM"])
    }

    @Test func `a block may begin with it`() async throws {
        try await session.run("begin")
        #expect(try await ask("select a from t where a = 5").isFast)
        #expect(
            await session.failure("set transaction isolation level serializable").hasPrefix("25001"))
        try await session.run("rollback")
    }
}
