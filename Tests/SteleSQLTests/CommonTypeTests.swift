import Testing

@testable import SteleSQL

/// Operands of one construct that have different types. The answers are PostgreSQL 15's.
@Suite struct CommonTypeTests {
    private func session() async throws -> TestSession {
        let session = try TestSession(TestNode(), isJudged: true)
        try await session.run(
            """
            create table t (
                id int primary key, f real, d float8, n numeric(5,2), v varchar(3), c char(4), i int)
            """)
        try await session.run(
            """
            insert into t values (1, 0.1, 0.1, 1.5, 'a', 'a', 1), (2, 0.5, 0.5, 2.25, 'zz', 'zz', 2),
                (3, null, null, null, null, null, null)
            """)
        return session
    }

    @Test(arguments: [
        ("select id from t where f in (0.1, 0.5) order by id", ["1", "2", "SELECT 2"]),
        ("select id from t where f in (0.1) order by id", ["SELECT 0"]),
        ("select id from t where f not in (0.1, 0.7) order by id", ["2", "SELECT 1"]),
        ("select id from t where d in (0.1, 0.5) order by id", ["1", "2", "SELECT 2"]),
        ("select id from t where i in (1, 2.0) order by id", ["1", "2", "SELECT 2"]),
        ("select id from t where i in (1.5, 2) order by id", ["2", "SELECT 1"]),
        ("select id from t where v in ('a'::char(4), 'zz') order by id", ["1", "2", "SELECT 2"]),
        ("select id from t where v in ('a '::char(4), 'zz ') order by id", ["1", "SELECT 1"]),
        ("select id from t where c in ('a', 'zz  ') order by id", ["1", "2", "SELECT 2"]),
        ("select id from t where 2 in (i, 7) order by id", ["2", "SELECT 1"]),
        ("select id from t where i in (2, id, 3) order by id", ["1", "2", "SELECT 2"]),
        ("select id from t where i not in (2, null) order by id", ["SELECT 0"]),
        ("select 1 in (1, null), 2 in (1, null), null in (1, 2)", ["t|∅|∅", "SELECT 1"]),
        ("select '2' in (1, 2), '2.0' in (1, 2.0)", ["t|t", "SELECT 1"]),
    ])
    func membership(_ text: String, _ expected: [String]) async throws {
        #expect(try await session().run(text) == expected)
    }

    @Test(arguments: [
        ("coalesce(n, '0.005')", "1.50|2.25|0.005"),
        ("coalesce(v, 'unknown')", "a|zz|unknown"),
        ("coalesce(n, 0.005)", "1.50|2.25|0.005"),
        ("greatest(n, '0.005')", "1.50|2.25|0.005"),
        ("least(v, 'aaaaaa')", "a|aaaaaa|aaaaaa"),
        ("case when id < 3 then n else '0.005' end", "1.50|2.25|0.005"),
        ("case when id < 3 then v else 'unknown' end", "a|zz|unknown"),
    ])
    func modifiers(_ expression: String, _ expected: String) async throws {
        let rows = try await session().run("select \(expression) from t order by id")
        #expect(rows.dropLast().joined(separator: "|") == expected)
    }

    /// Literals without a type where several types would do.
    @Test(arguments: [
        ("- '5'", "42725"), ("extract(year from '2024-01-01')", "42725"),
        ("date_part('year', '2024-01-01')", "42725"), ("date_trunc('year', '2024-01-01')", "42725"),
        ("to_hex('10')", "42725"), ("mod('5', '3')", "42725"), ("sum('1')", "42725"),
        ("avg('1')", "42725"), ("trunc('1.7')", "42725"), ("'1' + '2'", "42725"),
        ("1.0 = 1::oid", "42883"), ("1::float8 = 1::oid", "42883"), ("1e131072", "22003"),
        ("-1e131072", "22003"), ("substring('abcdef', '2')", "0A000"),
    ])
    func ambiguous(_ expression: String, _ state: String) async throws {
        let session = try TestSession(TestNode(), isJudged: true)
        #expect(await session.error("select \(expression)")?.state == state)
    }

    @Test(arguments: [
        ("+ '5'", "5"), ("abs('5')", "5"), ("pg_typeof(abs('5'))", "double precision"),
        ("mod('5', 3)", "2"), ("round('1.5')", "2"), ("length('abc')", "3"), ("max('1')", "1"),
        ("1::int2 = 1::oid and 1::int8 = 1::oid and '1' = 1::oid", "t"), ("1e131071 > 1", "t"),
        ("substr('abcdef', '2')", "bcdef"), ("left('abc', '2') || chr('65')", "abA"),
        ("power('2', '3')", "8"), ("make_date('2024', '1', '2')", "2024-01-02"),
        ("octet_length('a') + bit_length('a')", "9"), ("lpad('a', '3')", "  a"),
    ])
    func chosen(_ expression: String, _ value: String) async throws {
        let session = try TestSession(TestNode(), isJudged: true)
        #expect(try await session.run("select \(expression)") == [value, "SELECT 1"])
    }
}
