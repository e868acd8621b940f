import Testing

@testable import SteleSQL

/// Expressions and their errors, with PostgreSQL 15's answers.
@Suite struct ExpressionTests {
    static let values: [(String, String)] = [
        ("1 + 2 * 3", "7"), ("-7 / 2", "-3"), ("7.0 / 2", "3.5000000000000000"), ("2 + 1.5", "3.5"),
        ("1 = 1.0", "t"), ("'a' < 'b'", "t"), ("1 <> 2", "t"), ("null = null", "∅"),
        ("true and null", "∅"), ("false and null", "f"), ("true or null", "t"), ("not null", "∅"),
        ("null is null", "t"), ("1 is not null", "t"), ("null is unknown", "t"),
        ("(1 = 2) is not true", "t"), ("1 is distinct from null", "t"),
        ("null is not distinct from null", "t"), ("2 in (1, 2, null)", "t"),
        ("3 in (1, 2, null)", "∅"), ("3 not in (1, 2)", "t"), ("2 between 1 and 3", "t"),
        ("2 not between 1 and 3", "f"), ("2 between symmetric 3 and 1", "t"),
        ("'abc' like 'a%'", "t"), ("'abc' like '_b_'", "t"), ("'abc' not like 'a_'", "t"),
        ("'ABC' ilike 'a%'", "t"), (#"'a%c' like 'a\%c'"#, "t"), ("'aXbXc' like '%b%c'", "t"),
        ("case when 1 > 2 then 'a' when 2 > 1 then 'b' else 'c' end", "b"),
        ("case 3 when 1 then 'a' when 3 then 'c' end", "c"), ("case when false then 1 end", "∅"),
        ("coalesce(null, 2, 3)", "2"), ("nullif(1, 1)", "∅"), ("nullif(1, 2)", "1"),
        ("pg_typeof(nullif(null, 1))", "integer"), ("pg_typeof(nullif(1, 2.5))", "numeric"),
        ("pg_typeof(nullif(1::real, 2.5))", "real"), ("pg_typeof(nullif(1, 2::real))", "double precision"),
        ("pg_typeof(nullif('a'::varchar, 'b'))", "text"), ("pg_typeof(-2147483648)", "integer"),
        ("pg_typeof(nullif('a'::varchar, 'b'::char(3)))", "character"),
        ("pg_typeof(coalesce('a'::varchar, 'b'::text))", "character varying"),
        ("'ab '::varchar = 'ab'::char(3)", "t"), ("'ab '::text = 'ab'::char(3)", "f"),
        ("sign('NaN'::float8)", "0"), ("least(1.0, 1.00)", "1.0"), ("greatest(1.00, 1.0)", "1.00"),
        ("greatest(1, 3, null, 2)", "3"), ("least(2.5, 1)", "1"), ("'5'::int + 1", "6"),
        ("cast('1.50' as numeric(5,1))", "1.5"), ("12.7::int", "13"), ("1::text || 'a'", "1a"),
        ("'a' || 1", "a1"), ("'2020-01-31'::date + 1", "2020-02-01"),
        ("'2020-03-01'::date - '2020-02-01'::date", "29"), ("abs(-5)", "5"), ("abs(-5.5)", "5.5"),
        ("round(2.567, 2)", "2.57"), ("round(2.5)", "3"), ("round(2.5::float8)", "2"),
        ("ceil(1.2)", "2"), ("floor(-1.2)", "-2"), ("trunc(1.99, 1)", "1.9"), ("mod(7, 3)", "1"),
        ("lower('ABC')", "abc"), ("upper('abc')", "ABC"), ("length('äb')", "2"),
        ("octet_length('äb')", "3"), ("substring('hello' from 2 for 3)", "ell"),
        ("substr('hello', -1, 3)", "h"), ("left('hello', -2)", "hel"), ("right('hello', 2)", "lo"),
        ("replace('aXbX', 'X', 'yy')", "ayybyy"), ("position('l' in 'hello')", "3"),
        ("trim('  a ')", "a"), ("trim(both 'x' from 'xax')", "a"), ("lpad('5', 3, '0')", "005"),
        ("rpad('ab', 4)", "ab  "), ("repeat('ab', 2)", "abab"), ("reverse('abc')", "cba"),
        ("concat('a', null, 1, 'b')", "a1b"), ("current_user", "postgres"),
        ("current_database()", "postgres"), ("current_schema()", "public"), ("pg_backend_pid()", "7"),
        ("version() like 'PostgreSQL 15%'", "t"), ("current_setting('timezone')", "UTC"),
        ("now() = current_timestamp", "t"), ("9223372036854775807", "9223372036854775807"),
        ("9223372036854775808", "9223372036854775808"), ("1e3", "1000"), ("-(-5)", "5"),
        ("'t'::bool", "t"), ("true::text", "true"), ("'abc'::char(2)", "ab"),
        ("'2020-01-01 12:00:00'::timestamp < '2020-01-02'::date", "t"),
    ]

    @Test(arguments: values)
    func value(_ expression: String, _ expected: String) async throws {
        let session = try TestSession(TestNode(), isJudged: true)
        #expect(try await session.run("select \(expression)").first == expected)
    }

    static let failures: [(String, String)] = [
        ("select 1 +", "42601 syntax error at end of input"),
        ("select 1 / 0", "22012 division by zero"),
        ("select 2147483647 + 1", "22003 integer out of range"),
        ("select 'a' + 1", "22P02 invalid input syntax for type integer: \"a\""),
        ("select 'a'::text + 1", "42883 operator does not exist: text + integer"),
        ("select 1 = 'a'::text", "42883 operator does not exist: integer = text"),
        ("select '1' + '2'", "42725 operator is not unique: unknown + unknown"),
        ("select x", "42703 column \"x\" does not exist"),
        ("select t.x", "42P01 missing FROM-clause entry for table \"t\""),
        ("select foo(1)", "42883 function foo(integer) does not exist"),
        ("select 1 where 1", "42804 argument of WHERE must be type boolean, not type integer"),
        ("select not 1", "42804 argument of NOT must be type boolean, not type integer"),
        ("select 1::nothing", "42704 type \"nothing\" does not exist"),
        ("select '1 day'::interval", "0A000 type interval is not supported"),
        ("select * from t", "42P01 relation \"t\" does not exist"),
        ("select * from pg_catalog.pg_class", "0A000 relation \"pg_catalog.pg_class\" is not supported"),
        ("select *", "42601 SELECT * with no tables specified is not valid"),
        ("select 1 union select 2", "0A000 UNION, INTERSECT or EXCEPT is not supported"),
        ("with x as (select 1) select * from x", "0A000 WITH is not supported"),
        ("select (select 1)", "0A000 a subquery is not supported"),
        ("select 1 limit -1", "2201W LIMIT must not be negative"),
        ("select 1 order by 2", "42P10 ORDER BY position 2 is not in select list"),
        ("select case when true then 1 else 'a'::text end", "42804 CASE types text and integer cannot be matched"),
        ("create table t (a serial)", "0A000 type serial is not supported"),
        ("create table t (a int unique)", "0A000 a UNIQUE constraint is not supported"),
        ("create table t (a int references x)", "0A000 a foreign key is not supported"),
        ("create index on t (a)", "0A000 CREATE INDEX is not supported"),
        ("explain select 1", "0A000 EXPLAIN is not supported"),
        ("copy t to stdout", "0A000 COPY … TO is not supported"),
        ("create table t (a int, a int)", "42701 column \"a\" specified more than once"),
        ("create table t (a int primary key, primary key (a))", "42P16 multiple primary keys for table \"t\" are not allowed"),
        ("create table t (a int, primary key (b))", "42703 column \"b\" named in key does not exist"),
        ("create table x.t (a int)", "3F000 schema \"x\" does not exist"),
        ("select 1 as a, 2 as a order by a", "42702 ORDER BY \"a\" is ambiguous"),
        ("vacuum nothing", "42P01 relation \"nothing\" does not exist"),
    ]

    @Test(arguments: failures)
    func failure(_ text: String, _ expected: String) async throws {
        let session = try TestSession(TestNode(), isJudged: true)
        #expect(await session.failure(text) == expected)
    }

    @Test func positions() async throws {
        let session = try TestSession(TestNode(), isJudged: true)
        #expect(await session.error("select 'ä', frm x y z")?.position == 19)
        #expect(await session.error("select 'ä', nothing")?.position == 13)
        #expect(await session.error("select 1 + 'ä'::text")?.position == 10)
    }

    @Test func nestingIsBounded() async throws {
        let session = try TestSession(TestNode(), isJudged: true)
        let deep = 20_000
        for text in [
            "select 1" + String(repeating: "+1", count: deep),
            "select " + String(repeating: "not ", count: deep) + "true",
            "select " + String(repeating: "(", count: deep) + "1"
                + String(repeating: ")", count: deep),
            "select " + String(repeating: "case when true and ", count: deep),
            "select * from t" + String(repeating: " join t on a and b", count: deep),
        ] {
            #expect(await session.error(text)?.state == "54001")
        }
        // A long list does not nest.
        let list = (0..<1_000).map { "\($0)" }.joined(separator: ", ")
        #expect(try await session.run("select 1 where 999 in (\(list))") == ["1", "SELECT 1"])
        let either = (0..<1_000).map { "1 = \($0)" }.joined(separator: " or ")
        #expect(try await session.run("select 1 where \(either)") == ["1", "SELECT 1"])
        #expect(
            try await session.run("select 1" + String(repeating: " + 1", count: 390))
                == ["391", "SELECT 1"])
        #expect(
            try await session.run("select " + String(repeating: "not ", count: 390) + "true")
                == ["t", "SELECT 1"])
    }
}
