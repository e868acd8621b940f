import Testing

@testable import SteleSQL

/// Functions and aggregates, with PostgreSQL 15's answers.
@Suite struct FunctionTests {
    let session: TestSession

    init() throws { session = try TestSession(TestNode(), isJudged: true) }

    private func answer(_ text: String) async throws -> String {
        do {
            return try await session.run(text)[0]
        } catch let error as SQLError { return "\(error.state) \(error.message)" }
    }

    @Test func values() async throws {
        for (expression, expected) in functionAnswers {
            let answer = try await answer("select \(expression)")
            #expect(answer == expected, "\(expression)")
        }
    }

    @Test func aggregates() async throws {
        try await session.run("create table v (x numeric)")
        try await session.run("insert into v values (1), (2), (4), (7), (11.5), (-3)")
        for (expression, expected) in aggregateAnswers {
            let answer = try await answer("select \(expression) from v")
            #expect(answer == expected, "\(expression)")
        }
    }

    @Test func namesOfColumns() async throws {
        for (expression, expected) in columnNameAnswers {
            try await session.run("select \(expression)")
            #expect(session.sink.described.map(\.name) == [expected], "\(expression)")
        }
    }

    @Test func whatIsDrawnDiffers() async throws {
        #expect(try await answer("select gen_random_uuid() = gen_random_uuid()") == "f")
        let pattern = "'________-____-4___-%'"
        #expect(try await answer("select gen_random_uuid()::text like \(pattern)") == "t")
        #expect(try await answer("select random() >= 0 and random() < 1") == "t")
    }

    @Test(arguments: [
        ("select to_char(now(), 'YYYY')", "0A000 function to_char("),
        ("select regexp_replace('a', 'b', 'c')", "0A000 function regexp_replace("),
        ("select ln(2.5)", "0A000 function ln of type numeric is not supported"),
        ("select 2.5 ^ 2", "0A000 operator ^ of type numeric is not supported"),
        ("select * from pg_class", "0A000 relation \"pg_class\" is not supported"),
        ("select * from pg_catalog.pg_database", "0A000 relation \"pg_catalog.pg_database\""),
        ("select * from information_schema.tables", "0A000 relation \"information_schema.tables\""),
        ("select 'a'::\"char\"", "0A000 type char is not supported"),
        ("select 1::nothing", "42704 type \"nothing\" does not exist"),
        ("select nothing(1)", "42883 function nothing(integer) does not exist"),
        ("select * from pg_nothing", "42P01 relation \"pg_nothing\" does not exist"),
    ])
    func whatOnlyPostgreSQLHas(_ text: String, _ expected: String) async {
        let failure = await session.failure(text)
        #expect(failure.hasPrefix(expected), "\(failure)")
    }

    @Test func tablesWithoutColumns() async throws {
        try await session.run("create table nothing ()")
        #expect(try await session.run("select * from nothing") == ["SELECT 0"])
    }
}
