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
}
