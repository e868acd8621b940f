import Testing

@testable import SteleSQL

/// Settings as PostgreSQL 15 has them: within a statement, lists of names, levels of messages.
struct SettingRuleTests {
    @Test func `a setting that a statement changes is seen in the rest of it`() async throws {
        let session = try TestSession(TestNode(), isJudged: true)
        #expect(
            try await session.run(
                "select set_config('a.b', 'new', false), current_setting('a.b')")
                == ["new|new", "SELECT 1"])
        #expect(
            try await session.run(
                "select set_config('a.b', x::text, false), current_setting('a.b') "
                    + "from generate_series(1, 3) as g(x)") == ["1|1", "2|2", "3|3", "SELECT 3"])
        #expect(try await session.run("show a.b") == ["3", "SHOW"])
        #expect(
            try await session.run("select set_config('DateStyle', null, false)")
                == ["ISO, MDY", "SELECT 1"])
    }

    @Test func `modes of the transaction are settings`() async throws {
        let session = try TestSession(TestNode(), isJudged: true)
        try await session.run("begin isolation level repeatable read, read only")
        #expect(
            try await session.run(
                "select current_setting('transaction_isolation'), "
                    + "current_setting('transaction_read_only')")
                == ["repeatable read|on", "SELECT 1"])
        try await session.run("rollback")
    }

    @Test(arguments: [
        ("\"$user\", public", "\"$user\", public"), ("public", "public"), ("'public'", "public"),
        ("\"Mixed\", public", "\"Mixed\", public"), ("'a b', c", "\"a b\", c"),
        ("'a\"b'", "\"a\"\"b\""), ("'a, b'", "\"a, b\""), ("''", "\"\""), ("\"user\"", "\"user\""),
        ("pg_catalog, \"1a\"", "pg_catalog, \"1a\""),
    ])
    func `a list of names keeps its quotes`(written: String, shown: String) async throws {
        let session = try TestSession(TestNode(), isJudged: true)
        try await session.run("set search_path = \(written)")
        #expect(try await session.run("show search_path") == [shown, "SHOW"])
        try await session.run("set search_path to default")
        #expect(try await session.run("show search_path") == ["\"$user\", public", "SHOW"])
        // As a value it is a list already.
        #expect(
            try await session.run("select set_config('search_path', 'a, \"B\"', false)")
                == ["a, \"B\"", "SELECT 1"])
    }

    @Test func `only messages of some gravity are told`() async throws {
        let session = try TestSession(TestNode(), isJudged: true)
        let notice = SQLError("00000", "skipping")
        let warning = SQLError("25P01", "there is no transaction in progress")
        for (level, told) in [
            ("debug5", [true, true]), ("log", [true, true]), ("notice", [true, true]),
            ("WARNING", [false, true]), ("error", [false, false]),
        ] {
            try await session.run("set client_min_messages = \(level)")
            #expect([notice, warning].map(session.session.tells) == told, "\(level)")
        }
        #expect(
            await session.failure("set client_min_messages = loud")
                == "22023 invalid value for parameter \"client_min_messages\": \"loud\"")
    }

    @Test func `a client may be idle for a time`() async throws {
        let session = try TestSession(TestNode())
        let kept = session.session
        #expect(kept.limitIdleTime { _ in } == nil)
        try await session.run("set idle_in_transaction_session_timeout = '20ms'")
        #expect(kept.limitIdleTime { _ in } == nil)
        try await session.run("begin")
        let reason = await withCheckedContinuation { continuation in
            #expect(kept.limitIdleTime { continuation.resume(returning: $0) } != nil)
        }
        #expect(
            reason == SQLError("25P03", "terminating connection due to idle-in-transaction timeout"))
        try await session.run("rollback; set idle_session_timeout = 20")
        let other = await withCheckedContinuation { continuation in
            #expect(kept.limitIdleTime { continuation.resume(returning: $0) } != nil)
        }
        #expect(other == SQLError("57P05", "terminating connection due to idle-session timeout"))
    }
}
