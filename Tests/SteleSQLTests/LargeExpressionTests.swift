import SteleBase
import Testing

@testable import SteleSQL

/// Expressions that are large or nest: what takes twice as long with every level never ends.
@Suite(.timeLimit(.minutes(1)))
struct LargeExpressionTests {
    private func nested(
        _ before: String, _ middle: String, _ after: String, _ levels: Int
    ) -> String {
        String(repeating: before, count: levels) + middle + String(repeating: after, count: levels)
    }

    @Test func `what nests is analysed once`() async throws {
        let session = try TestSession(TestNode())
        for expression in [
            "1" + String(repeating: "::int", count: 100),
            nested("cast(", "1", " as int)", 100), nested("abs(", "1", ")", 100),
            nested("coalesce(", "1", ", 2)", 100), nested("greatest(", "1", ", 0)", 100),
            nested("nullif(", "1", ", 2)", 100),
            nested("case when true then ", "1", " else 2 end", 60),
            nested("case 1 when 1 then ", "1", " end", 60),
            nested("case when false then 2 else ", "1", " end", 60),
        ] {
            #expect(try await session.run("select \(expression)") == ["1", "SELECT 1"])
        }
        // Conditions within conditions, of which nothing is known before there is a row.
        let conditions = nested("case when ", "x > 0", " then true else false end", 60)
        #expect(
            try await session.run("select \(conditions) from generate_series(1, 1) as g(x)")
                == ["t", "SELECT 1"])
        let truth = nested("not not (", "true", ")", 50)
        #expect(try await session.run("select \(truth)") == ["t", "SELECT 1"])
    }

    @Test func `copies of what is compared several times are counted`() async throws {
        let session = try TestSession(TestNode())
        for (before, after) in [
            ("(", " between false and true)"), ("(", " between symmetric true and false)"),
            ("case ", " when true then true when false then false end"),
        ] {
            let some = "select \(nested(before, "true", after, 5))"
            #expect(try await session.run(some) == ["t", "SELECT 1"])
            let many = "select \(nested(before, "true", after, 60))"
            #expect(await session.failure(many) == "54001 statement too complex")
        }
    }

    @Test func `a column is called by what is in it`() async throws {
        let session = try TestSession(TestNode())
        try await session.run("create table t (id int primary key)")
        for (expression, name) in [
            ("1::int", "int4"), ("id::text::int", "id"), ("abs(1)::text", "abs"),
            ("case when true then 1 end", "case"), ("case when true then 1 else id end", "id"),
            ("(case when true then 1 else 2 end)::text", "text"), ("1 + 1", "?column?"),
            ("nullif(1, 2)::int", "nullif"),
        ] {
            try await session.run("select \(expression) from t")
            #expect(session.sink.described.map(\.name) == [name], "\(expression)")
        }
    }

    /// Of a list that is long, and of the same comparisons one by one.
    @Test func `a long list holds what its items hold`() async throws {
        let session = try TestSession(TestNode())
        let lists: [(items: [String], values: [String])] = [
            (
                (0..<20).map { "\($0 * 3 - 30)" },
                ["-30", "-29", "0", "27", "28", "1.0", "27.5", "3::float8", "null", "'27'::int8"]
            ),
            (
                (0..<20).map { "\($0).\($0)" } + ["1.10", "-0.0"],
                ["1", "1.1", "1.100", "0", "2.20::float8", "19.19", "20"]
            ),
            (
                (0..<12).map { "\($0)::float8" } + ["'NaN'::float8", "'-0'::float8"],
                ["0", "'-0'::float8", "'NaN'::float8", "11", "12", "0.5"]
            ),
            ((0..<12).map { "'\($0)'" }, ["'3'", "'03'", "''", "'11'", "'a'"]),
            (
                (0..<12).map { "\($0)" } + ["null"], ["3", "30", "null"]
            ),
            (
                (0..<12).map { "\($0)" } + ["null", "1.5", "2.5"], ["3", "30", "1.5", "null"]
            ),
        ]
        for (items, values) in lists {
            for value in values {
                let each = items.map { "\(value) = \($0)" }.joined(separator: " or ")
                let expected = try await session.run("select \(each), not (\(each))")
                let list = items.shuffled().joined(separator: ", ")
                let found = try await session.run(
                    "select \(value) in (\(list)), \(value) not in (\(list))")
                #expect(found == expected, "\(value) in (\(list))")
            }
        }
    }

    @Test func `keys and columns are found by lists and by alternatives`() async throws {
        let session = try TestSession(TestNode())
        try await session.run("create table t (id int primary key, v int)")
        let rows = (1...300).map { "(\($0), \($0 % 50))" }.joined(separator: ", ")
        try await session.run("insert into t values \(rows)")
        for column in ["id", "v"] {
            let many = (0..<3_000).map { "\($0 * 2)" }.joined(separator: ", ")
            #expect(
                try await session.run("select count(*) from t where \(column) in (\(many))")
                    == ["150", "SELECT 1"])
            let either = (0..<1_000).map { "\(column) = \($0 * 2)" }.joined(separator: " or ")
            #expect(
                try await session.run("select count(*) from t where \(either)")
                    == ["150", "SELECT 1"])
        }
        #expect(
            try await session.run(
                "select id from t where id = 3 or v = 7 and id < 60 or id = 5 or id = null "
                    + "order by id") == ["3", "5", "7", "57", "SELECT 4"])
    }

    /// How deep a text nests is known before it is parsed, whatever it hides behind.
    @Test func `depth is not hidden by strings, names or BETWEEN`() async throws {
        let many = { (part: String) in String(repeating: part, count: 30_000) }
        let some = { (part: String) in String(repeating: part, count: 3_000) }
        for text in [
            "select E'a'\n'\\'', 1" + many("+1"), "select E'a' -- '\n'\\'', 1" + many("+1"),
            "select a.or" + many("+a.or") + " from a", "select 1 as or, a.and" + many("+a.and"),
            "select " + many("abs(a.end+") + "1" + many(")"),
            "select greatest(a.end,1)" + many("+greatest(a.end,1)") + " from a",
            "select true" + many(" between false and true isnull"),
        ] {
            #expect(throws: SQLError.self, "\(text.prefix(60))") {
                try NestingLimit.levels(of: text)
            }
        }
        // What does not nest is none the deeper.
        for text in [
            "select 1" + some(" or a between 1 and 2 and b between 3 and 4"),
            "select " + some("case when a then b else c end, ") + "1",
            "select " + some("a.b, E'x\\'y', ") + "1",
        ] {
            #expect(try NestingLimit.levels(of: text) < 100, "\(text.prefix(60))")
        }
        let session = try TestSession(TestNode())
        #expect(try await session.run("select E'a'\n'\\'', 1") == ["a'|1", "SELECT 1"])
    }

    @Test func `comparisons of a key with several values read these alone`() async throws {
        let session = try TestSession(TestNode())
        try await session.run("create table t (k date primary key, v int)")
        for text in [
            "select * from t where k = $1 or k = $2 or k = '2000-01-01'",
            "select * from t where k in ($1, $2)", "update t set v = 1 where k = $1 or k = $2",
        ] {
            try await session.session.prepare("", text, parameterTypes: [])
            let keys: KeyCondition? =
                switch session.session.statements[""]?.plan?.action {
                case .select(let plan):
                    if case .table(let access) = plan.source { access.keys } else { nil }
                case .update(let plan): plan.access.keys
                default: nil
                }
            guard case .points? = keys else {
                Issue.record("\(text): \(String(describing: keys))")
                continue
            }
        }
    }

    @Test func `what is the same for all rows is computed first`() async throws {
        let session = try TestSession(TestNode(), isJudged: true)
        try await session.run("create table t (k int primary key, v int)")
        for text in [
            "select 1/0 from t", "select 1/0 from t where false", "select k from t where 1/0 = 1",
            "select k from t limit 1/0", "select sum(1/0) from t", "update t set v = 1/0",
            "delete from t where k = 1/0", "insert into t values (1, 1), (1, 1/0)",
            "select case when k = 1 then 1/0 end from t", "select false or 1/0 = 1",
        ] {
            #expect(await session.failure(text) == "22012 division by zero", "\(text)")
        }
        try await session.run("insert into t values (1, 0)")
        for (expression, value) in [
            ("coalesce(1, 1/0)", "1"), ("false and 1/0 = 1", "f"), ("true or 1/0 = 1", "t"),
            ("case when true then 1 else 1/0 end", "1"), ("1/v + null", "∅"),
            ("null = 1/v", "∅"), ("coalesce(null, 2, 1/v)", "2"),
            ("case when false then 1/v else 3 end", "3"), ("concat(null, 'a')", "a"),
            ("nullif(null, 1/v)", "∅"), ("v in (1, 2, null)", "∅"),
        ] {
            #expect(
                try await session.run("select \(expression) from t") == [value, "SELECT 1"],
                "\(expression)")
        }
        #expect(try await session.run("select 1/v from t where null") == ["SELECT 0"])
        #expect(
            try await session.extended("select 1/v from t where $1", ["f"]) == ["SELECT 0"])
        #expect(
            try await session.extended("select 1/v + $1 from t", [nil], types: [23])
                == ["∅", "SELECT 1"])
    }

    @Test func `values that are too large are refused before they are all there`() async throws {
        let session = try TestSession(TestNode())
        let big = "repeat('x', 60000000)"
        try await session.run("create table t (id int primary key, b text)")
        try await session.run("insert into t select i, '' from generate_series(1, 6) as g(i)")
        let list = Array(repeating: big, count: 6).joined(separator: ", ")
        for text in [
            "update t set b = repeat(chr(65 + id % 26), 60000000)",
            "insert into t select i, '' from generate_series(21, 26) as g(i) "
                + "returning repeat(chr(65 + id % 26), 60000000)",
            "prepare p(\(Array(repeating: "text", count: 6).joined(separator: ", "))) as "
                + "select 1; execute p(\(list))",
            "select string_agg(distinct i::text, case when i = 50 then \(big) else '' end) "
                + "from generate_series(1, 50) as g(i)",
        ] {
            let state = await session.failure(text).prefix(5)
            #expect(["53200", "54000"].contains(state), "\(text.prefix(40)): \(state)")
        }
        // No key is as long.
        #expect(try await session.run("select id from t where b = 'x'") == ["SELECT 0"])
    }
}
