import Testing

@testable import SteleSQL

/// What may be inserted, in which order it is checked, and what a conflict does. PostgreSQL 15 judges.
@Suite struct InsertRuleTests {
    private let session: TestSession

    init() async throws {
        session = try TestSession(TestNode(), isJudged: true)
        try await session.run("create table t (k int primary key, v int, d date, x text)")
        try await session.run("insert into t values (1, 10, '2000-01-01', 'a'), (2, 20, null, 'b')")
    }

    @Test(arguments: [
        "v = v + 1", "v = 0 where v > 0", "v = excluded.v + v", "x = x || 'a'",
    ])
    func `a conflict's columns are named with their table`(change: String) async throws {
        let text = "insert into t (k, v) values (1, 1) on conflict (k) do update set"
        #expect(await session.error("\(text) \(change)")?.state == "42702")
        let rows = try await session.run("\(text) v = excluded.v + t.v where t.v > 0 returning v")
        #expect(rows == ["11", "INSERT 0 1"])
    }

    @Test func `literals of a query take the types of the columns`() async throws {
        try await session.run("insert into t (k, d, x) select 3, null, null")
        try await session.run("insert into t (k, d, v) select k + 10, '2024-02-29', '7' from t")
        #expect(
            try await session.run("select count(*), min(d), max(v) from t where k > 10")
                == ["3|2024-02-29|7", "SELECT 1"])
        #expect(
            try await session.extended(
                "insert into t (k, d) select $1, $2 returning d", ["5", "2001-01-01"])
                == ["2001-01-01", "INSERT 0 1"])
        #expect(
            await session.error("insert into t (k, d) select 4, '2024-01-01'::text")?.state
                == "42804")
        #expect(await session.error("insert into t (k, d) select 4, 'x'")?.state == "22007")
        #expect(await session.error("insert into t (k, v) select 4, '1.5'")?.state == "22P02")
    }

    @Test func `a row that is wrong comes after those before it`() async throws {
        let states = [
            ("(3, 1), (3, 1), (null, 1)", "23505"), ("(null, 1), (3, 1), (3, 1)", "23502"),
            ("(1, 1), (null, 1)", "23505"), ("(1, 1), (5, 1 / (now() is null)::int)", "23505"),
            ("(5, 1 / (now() is null)::int), (1, 1)", "22012"),
        ]
        for (rows, state) in states {
            #expect(await session.error("insert into t (k, v) values \(rows)")?.state == state)
        }
        let series = "from generate_series(1, 3) i"
        #expect(
            await session.error("insert into t (k, v) select i, 1 / (i - 3) \(series)")?.state
                == "23505")
        #expect(
            await session.error("insert into t (k) select i \(series) where 1 / (i - 3) < 5")?.state
                == "23505")
        #expect(
            await session.error("insert into t (k, v) select i + 2, 1 / (i - 3) \(series)")?.state
                == "22012")
    }

    @Test func `a row is changed once by a statement, however far apart its values are`()
        async throws
    {
        let change = "on conflict (k) do update set v = excluded.v"
        for rows in [
            "values (1, 1), (1, 2)", "values (7, 1), (7, 2)",
            "select i % 1500, i from generate_series(1, 3000) i",
        ] {
            let error = await session.error("insert into t (k, v) \(rows) \(change)")
            #expect(error?.state == "21000", "\(rows)")
        }
        // A row that the condition leaves as it is may be met again.
        #expect(
            try await session.run(
                "insert into t (k, v) values (1, 1), (1, 2) \(change) where t.v < 0")
                == ["INSERT 0 0"])
        #expect(
            try await session.run(
                "insert into t (k, v) values (8, 1), (8, 2) on conflict do nothing")
                == ["INSERT 0 1"])
    }

    @Test func `a default that is random is another one for each row`() async throws {
        try await session.run(
            "create table r (u uuid primary key default gen_random_uuid(), f float8 default random(), i int)"
        )
        try await session.run("insert into r (i) values (1), (2), (3)")
        try await session.run("insert into r (i) select 4")
        #expect(
            try await session.run("select count(distinct u), count(distinct f) from r")
                == ["4|4", "SELECT 1"])
    }

    @Test func `columns depend on a primary key that is grouped by`() async throws {
        #expect(
            try await session.run(
                "select k, x, v + 1, count(*) from t group by k having v > 0 order by x desc")
                == ["2|b|21|1", "1|a|11|1", "SELECT 2"])
        #expect(await session.error("select k, x from t group by v, x")?.state == "42803")
        try await session.run("create table p (a int, b int, c int, primary key (a, b))")
        #expect(await session.error("select c from p group by a")?.state == "42803")
        #expect(try await session.run("select c from p group by b, a") == ["SELECT 0"])
    }

    @Test(arguments: [
        ("1, 'Infinity'::numeric", "22023"), ("'NaN'::numeric, 3", "22023"),
        ("1, 3, 'NaN'::numeric", "22023"), ("1, 3, 0", "22023"), ("'1', '3'", "42725"),
    ])
    func `a series has ends`(arguments: String, state: String) async throws {
        let text = "select * from generate_series(\(arguments))"
        #expect(await session.error(text)?.state == state)
    }

    @Test func `functions that are not here are not taken for others`() async throws {
        for call in [
            "substring('abc', '2')", "substring('abc', '2', '1')",
            "substring('abc' from '2' for '1')",
            "substring('abc'::text, 'b'::text)", "to_timestamp('2024', 'YYYY')", "log(2, 8)",
            "btrim('\\x00'::bytea, '\\x00'::bytea)", "position('\\x00'::bytea in '\\x00'::bytea)",
        ] {
            #expect(await session.error("select \(call)")?.state == "0A000", "\(call)")
        }
        #expect(await session.error("select substr('abc', true)")?.state == "42883")
    }
}
