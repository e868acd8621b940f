import Testing

@testable import SteleSQL

/// Answers at the ends of ranges and beside them, as PostgreSQL 15 gives them.
@Suite struct EdgeAnswerTests {
    @Test(arguments: [
        ("date '5874897-12-31' = timestamp 'infinity'", "f"),
        ("date '5874897-12-31' < timestamp 'infinity'", "t"),
        ("date '5874897-12-31' > timestamp '294276-12-31'", "t"),
        ("timestamp 'infinity' > date '5874897-12-31'", "t"),
        ("date 'infinity' = timestamp 'infinity'", "t"),
        ("date '-infinity' < timestamp '4714-11-24 BC'", "t"),
        ("extract(epoch from timestamp '294247-01-11')", "9223372108800.000000"),
        ("extract(epoch from timestamp '294276-12-31 23:59:59.999999')", "9224318016000.000000"),
        ("extract(epoch from date '5874897-12-31')", "185331706992000"),
        ("octet_length('ab'::char(5)), length('ab'::char(5))", "5|2"),
        ("octet_length('äb'::char(5)), octet_length('ab'::varchar(5))", "6|2"),
        ("upper('straße'), lower('İ'), initcap('straße ÄÖ'), upper('äöü')", "STRAßE|i|Straße Äö|ÄÖÜ"),
        ("'SS' ilike 'ß', 'Ä' ilike 'ä'", "f|t"),
        ("length(round(1.5, 3000)::text), length(trunc(1.5, 17000)::text)", "3002|16385"),
        ("round(123e20::numeric, -3000), round(1e3000::numeric, -2999) = 0", "0|f"),
        ("sinh(1000), cosh(-1000), sinh(-1000)", "Infinity|Infinity|-Infinity"),
        ("case when true then 1 else '1000'::numeric(5,2) end", "1"),
        ("case when false then '1e9'::numeric(3) else 2 end", "2"),
        ("bit_length('\\x00ff'::bytea), bit_length('äb')", "16|24"),
        ("bool_or(null), bool_and(null)", "∅|∅"),
        ("lpad('a', 2147483647, ''), rpad('ab', 5, '')", "a|ab"),
        ("'0x10'::float8, 'J2451187'::date", "16|1999-01-08"),
        ("timestamptz '2000-01-01 00:00Z' at time zone '05:30'", "1999-12-31 18:30:00"),
        ("current_setting('no.such', true), concat_ws(',', null), concat(null)", "∅||"),
        ("substr('\\x00ff'::bytea, 2), substring('\\x00ff'::bytea, 1, 1)", "\\xff|\\x00"),
        ("'-NaN'::float8, '+nan'::float4, ' nan(a_1) '::float8, 'nan()'::float4", "NaN|NaN|NaN|NaN"),
        ("'%_infinity'::timestamptz, 'infinity!'::date, ':infinity'::date", "infinity|infinity|infinity"),
        ("'- infinity'::date, '\"-infinity\"'::timestamp", "-infinity|-infinity"),
        ("'(epoch)'::timestamp, '(now)'::date = current_date", "1970-01-01 00:00:00|t"),
        ("'\\\\' between ''::bytea and '\\x'", "t"),
        ("'7' between 1 and '10', '7' in (7, '7'::text || ''), case '7' when '7' then 1 else 2 end", "f|t|1"),
        ("(null in (1, 1 / (random() * 0)::int)) is null", "t"),
        ("least(1e3, '1e-300') in (1.0::float8, 1e-300::float8)", "t"),
    ])
    func value(_ expression: String, _ expected: String) async throws {
        let session = try TestSession(TestNode(), isJudged: true)
        #expect(try await session.run("select \(expression)") == [expected, "SELECT 1"])
    }

    @Test func `aggregates of floating point numbers overflow, and keep the sign of zero`()
        async throws
    {
        let session = try TestSession(TestNode(), isJudged: true)
        try await session.run("create table f (v float8); insert into f values (1e308), (1.5e308)")
        for name in ["sum", "avg", "variance", "stddev", "var_pop"] {
            #expect(await session.error("select \(name)(v) from f")?.state == "22003", "\(name)")
        }
        try await session.run("create table z (v float8); insert into z values ('-0'), ('-0')")
        #expect(
            try await session.run("select avg(v), avg(distinct v), sum(v), min(v) from z")
                == ["0|0|-0|-0", "SELECT 1"])
    }

    /// The first that does not hold ends the condition, and so a term that would fail is not computed.
    @Test(arguments: [
        ("cast(v as int) = 1 and k > 5", "SELECT 0"), ("1 / (k - 1) > 0 and k is null", "SELECT 0"),
        ("not (k not between 1 / (k - 1) and 0)", "0|SELECT 2"),
        ("k between symmetric null and v::int", "SELECT 0"),
        ("k not in (null, 7, v::int)", "SELECT 0"), ("null in (k, v::int)", "SELECT 0"),
        ("not (v::int = 1 or k < 5)", "SELECT 0"),
        ("1000 / k + 1 > 3 and k in (11, 2, 3, 4, 5, 6, 7, 8, 9)", "SELECT 0"),
        ("k + 1 > 1 / 0 and false", "22012"), ("k + k > 1 / 0 and k > sqrt(-1)", "22012"), ("not (not (k < 5 and k > 0))", "1|SELECT 2"),
    ])
    func `cheap terms of a condition are tested first`(condition: String, expected: String) async throws {
        let session = try TestSession(TestNode(), isJudged: true)
        try await session.run("create table c (k int primary key, v text); insert into c values (1, 'a'), (0, '')")
        do {
            let lines = try await session.run("select k from c where \(condition)")
            #expect(lines.joined(separator: "|").replacing("SELECT 1", with: "SELECT 2") == expected)
        } catch let error as SQLError { #expect(error.state == expected) }
    }

    @Test func `cheap terms of HAVING are tested first`() async throws {
        let session = try TestSession(TestNode(), isJudged: true)
        try await session.run("create table c (k int primary key); insert into c values (1)")
        #expect(
            try await session.run(
                "select k from c group by k having 1 / (count(*) - 1) > 0 and count(*) > 1") == ["SELECT 0"])
    }

    @Test(arguments: [
        ("csv", ["\"x\ny\",1\nx,bad\n"], 2), ("csv", ["z,1\n\"x\ny\",1\nx,bad\n"], 4),
        ("csv", ["z,1\r\n\"x\ny\",1\r\nx,bad\r\n"], 3),
        ("csv", ["z,1\n\"x\n"], 3), ("text", ["z\t1\nx\\\ny\t1\nx\tbad\n"], 3),
    ])
    func `lines of COPY data are counted as PostgreSQL counts them`(
        format: String, data: [String], line: Int
    ) async throws {
        let session = try TestSession(TestNode())
        try await session.run("create table c (a text, b int)")
        let error = await #expect(throws: SQLError.self) {
            try await session.run("copy c from stdin (format \(format))", copy: data)
        }
        #expect(error?.context?.hasPrefix("COPY c, line \(line)") == true, "\(error?.context ?? "")")
    }

    @Test func `a cast that changes only the type makes another expression to sort by`() async throws {
        let session = try TestSession(TestNode(), isJudged: true)
        try await session.run("create table d (s int2, v varchar(4)); insert into d values (2, 'b'), (1, 'a')")
        for key in ["s::int8", "v::text"] {
            #expect(await session.error("select distinct s, v from d order by \(key)")?.state == "42P10")
        }
        #expect(
            try await session.run("select distinct s::int8, v from d order by s::int8")
                == ["1|a", "2|b", "SELECT 2"])
    }

    @Test(arguments: [
        ("$1 is not distinct from null", "42P18"), ("null is distinct from $1", "42P18"),
        ("$1 in (2, 3, k, v) from c", "42883"), ("$1 in (2, v, k) from c", "42P08"),
        ("$1 in (2, 3, true)", "42P08"), ("case '7' when 7 then 1 end", "42883"),
        ("case $1 when 7 then 1 end", "42883"),
    ])
    func `what says nothing about a parameter's type`(expression: String, state: String) async throws {
        let session = try TestSession(TestNode(), isJudged: true)
        try await session.run("create table c (k int primary key, v text)")
        let error = await #expect(throws: SQLError.self) {
            try await session.extended("select \(expression)", ["1"])
        }
        #expect(error?.state == state)
    }

    @Test(arguments: [("true % '7'", "42883"), ("'a'::text + '7'", "42883"), ("exp(1000)", "22003"),
        ("'1000'::numeric(5,2)", "22003"), ("'x'::numeric(5,2)", "22P02"),
        ("'2147483649x'::int", "22003"), ("'2147483648x'::int", "22P02"),
        ("'99999.5'::smallint", "22003"), ("'9223372036854775809.'::bigint", "22003"),
        ("'99999999999x'::oid", "22P02"), ("'12x'::int", "22P02"),
        ("'1e309' between 1e3 and 1.0::float8", "22003"), ("1e-400 = 0.0::float8", "22003"),
        ("1e400 > 0.0::float4", "22003"), ("'nan(a-b)'::float8", "22P02"),
        ("'-NaN'::numeric", "22P02"), ("'+infinity'::date", "22007"), ("'.infinity'::date", "22007"),
        ("'%'::date", "22007"), ("'-now'::timestamp", "22007"), ("'(-)infinity'::date", "22007"),
        ("'infinity.'::date", "22007"),
        ("(date '5874897-12-31' + 400) + nullif(4, 4)", "22008"),
        ("concat()", "42883"), ("concat_ws()", "42883"), ("concat_ws(',')", "42883"),
        ("concat_ws(1, 'a')", "42883")])
    func failure(_ expression: String, _ state: String) async throws {
        let session = try TestSession(TestNode(), isJudged: true)
        #expect(await session.error("select \(expression)")?.state == state)
    }
}
