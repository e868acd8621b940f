import Testing

@testable import SteleSQL

/// Parameters that have no value, and what becomes of those that have one.
@Suite struct ParameterTests {
    let session: TestSession

    init() async throws {
        session = try TestSession(TestNode(), isJudged: true)
        try await session.run("create table t (a int primary key, b text)")
    }

    @Test(arguments: [
        ("$1 in (d, 'infinity')", "42P08"), ("$1 in ('infinity', d)", "42P08"),
        ("$1 in (k, k::bigint)", "42P08"), ("$1 in (k, 1)", nil), ("$1 in (d, d)", nil),
        ("$1 = d and $1 = 'infinity'", nil),
    ] as [(String, String?)])
    func `one use of a parameter is of one type`(condition: String, state: String?) async throws {
        try await session.run("create table d (k int primary key, d date)")
        do {
            let rows = try await session.extended("select k from d where \(condition)", [nil])
            #expect(state == nil && rows == ["SELECT 0"])
        } catch let error as SQLError { #expect(error.state == state) }
    }

    @Test(arguments: [
        ("select $1", 8), ("select * from t where a = $1", 27), ("select * from t limit $1", 23),
        ("insert into t values ($1)", 23), ("update t set b = $2", 18), ("select $2147483647", 8),
        ("delete from t where a = $1::int", 25),
    ])
    func textHasNone(_ text: String, _ position: Int) async {
        let error = await session.error(text)
        #expect(error?.state == "42P02")
        #expect(error?.message.hasPrefix("there is no parameter $") == true)
        #expect(error?.position == position)
    }

    @Test func argumentsOfExecuteHaveNone() async throws {
        try await session.run("prepare p as select $1::int, $2")
        #expect(try await session.run("execute p (1, 'x')") == ["1|x", "SELECT 1"])
        #expect(await session.failure("execute p (1, $1)") == "42P02 there is no parameter $1")
        #expect(
            await session.failure("execute p (1)")
                == "42601 wrong number of parameters for prepared statement \"p\"")
    }

    @Test func typesStayWhenPlansAreForgotten() async throws {
        let session = session.session
        try await session.prepare("s", "insert into t values ($1)", parameterTypes: [])
        try await session.bind(
            portal: "q", statement: "s", parameterFormats: [], parameters: [[0x37]],
            resultFormats: [])
        try await session.simpleQuery("discard plans", into: self.session.sink)
        #expect(try await session.describeStatement("s").parameterTypes == [SQLType.int4.oid])
    }

    @Test func formatsThatNoLongerFitAreRefused() async throws {
        let sink = session.sink
        let session = session.session
        try await session.simpleQuery("begin; prepare p as select 1, 2", into: sink)
        try await session.prepare("", "execute p", parameterTypes: [])
        try await session.bind(
            portal: "q", statement: "", parameterFormats: [], parameters: [], resultFormats: [0, 1])
        try await session.prepare("", "deallocate p", parameterTypes: [])
        try await session.bind(
            portal: "", statement: "", parameterFormats: [], parameters: [], resultFormats: [])
        try await session.execute(portal: "", maxRows: 0, into: sink)
        try await session.prepare("p", "select 1, 2, 3", parameterTypes: [])
        await #expect(throws: SQLError.changedShape) {
            try await session.execute(portal: "q", maxRows: 0, into: sink)
        }
    }

    @Test func hugeLimitsDoNotOverflow() async throws {
        try await session.run("insert into t values (1), (2)")
        let most = "9223372036854775807"
        #expect(
            try await session.run("select a from t order by b limit \(most) offset \(most) for update")
                == ["SELECT 0"])
        #expect(try await session.run("select repeat('', 2147483647)") == ["", "SELECT 1"])
    }
}
