import Testing

@testable import SteleSQL

/// Settings that clients and drivers send, and the time limits among them.
@Suite struct SettingsTests {
    let node = TestNode()
    let session: TestSession

    init() throws { session = try TestSession(node) }

    // MARK: Values

    @Test(arguments: [
        ("client_encoding = 'utf-8'", "client_encoding", "UTF8"),
        ("client_encoding to \"'UTF_8'\"", "client_encoding", "UTF8"),
        ("names 'sql_ascii'", "client_encoding", "SQL_ASCII"),
        ("datestyle = 'ISO'", "datestyle", "ISO, MDY"), ("datestyle = dmy", "datestyle", "ISO, DMY"),
        ("datestyle = iso, ymd", "datestyle", "ISO, YMD"),
        ("statement_timeout = 1500", "statement_timeout", "1500ms"),
        ("statement_timeout = '90s'", "statement_timeout", "90s"),
        ("statement_timeout = '1.5s'", "statement_timeout", "1500ms"),
        ("statement_timeout = '2 min'", "statement_timeout", "2min"),
        ("statement_timeout = 0", "statement_timeout", "0"), ("geqo = off", "geqo", "off"),
        ("lock_timeout = '1d'", "lock_timeout", "1d"), ("work_mem = '64MB'", "work_mem", "64MB"),
        ("enable_seqscan = 0", "enable_seqscan", "off"), ("my.own = 'x'", "my.own", "x"),
        ("default_tablespace = ''", "default_tablespace", ""),
    ])
    func accepted(_ written: String, _ name: String, _ shown: String) async throws {
        #expect(try await session.run("set \(written)") == ["SET"])
        #expect(try await session.run("show \(name)") == [shown, "SHOW"])
    }

    @Test(arguments: [
        ("client_encoding = 'foo'", "22023 invalid value for parameter \"client_encoding\": \"foo\""),
        ("client_encoding = 'iso-8859-1'", "0A000 client_encoding LATIN1 is not supported"),
        ("datestyle = 'foo'", "22023 invalid value for parameter \"DateStyle\": \"foo\""),
        ("datestyle = 'SQL, DMY'", "0A000 DateStyle SQL is not supported"),
        ("extra_float_digits = 0", "0A000 \"0\" as the value of \"extra_float_digits\" is not supported"),
        (
            "statement_timeout = -1",
            "22023 -1 is outside the valid range for parameter \"statement_timeout\" (0 .. 2147483647)"
        ),
        (
            "statement_timeout = '5 foo'",
            "22023 invalid value for parameter \"statement_timeout\": \"5 foo\""
        ),
        ("wal_level = 'minimal'", "0A000 setting \"wal_level\" is not supported"),
        ("nonsense = 1", "42704 unrecognized configuration parameter \"nonsense\""),
    ])
    func refused(_ written: String, _ expected: String) async {
        #expect(await session.failure("set \(written)") == expected)
    }

    @Test func whatIsNotSupportedKeepsNobodyOut() throws {
        let session = try TestSession(
            node,
            parameters: [
                ("client_encoding", "LATIN1"), ("extra_float_digits", "0"), ("DateStyle", "German"),
                ("TimeZone", "europe/berlin"), ("statement_timeout", "5s"), ("wal_level", "x"),
                ("client_encoding", "'utf-8'"),
            ]
        ).session
        let told = Dictionary(uniqueKeysWithValues: session.reportedParameters)
        #expect(told["client_encoding"] == "UTF8")
        #expect(told["TimeZone"] == "Europe/Berlin")
        #expect(session.takeNotices().map(\.state) == ["0A000", "0A000", "0A000", "0A000"])
        #expect(throws: SQLError.self) { try TestSession(node, parameters: [("nonsense", "1")]) }
        #expect(throws: SQLError.self) {
            try TestSession(node, parameters: [("client_encoding", "nonsense")])
        }
    }

    @Test func orderOfDates() async throws {
        try await session.run("set datestyle = 'dmy'")
        #expect(try await session.run("select '13/02/2020'::date").first == "2020-02-13")
        #expect(try await session.run("select '2020-02-13'::date").first == "2020-02-13")
        #expect(try await session.run("select '20200213'::date").first == "2020-02-13")
        try await session.run("set datestyle = 'ymd'")
        #expect(try await session.run("select '20/02/13'::date").first == "2020-02-13")
        try await session.run("reset datestyle")
        #expect(await session.failure("select '13/02/2020'::date").hasPrefix("22008"))
    }

    @Test func functionsThatSet() async throws {
        #expect(
            try await session.run("select set_config('TimeZone', 'europe/berlin', false)")
                == ["Europe/Berlin", "SELECT 1"])
        #expect(try await session.run("show timezone") == ["Europe/Berlin", "SHOW"])
        try await session.run("begin; select set_config('search_path', '', true)")
        #expect(try await session.run("show search_path; commit") == ["", "SHOW", "COMMIT"])
        #expect(try await session.run("show search_path") == ["\"$user\", public", "SHOW"])
        #expect(await session.failure("select set_config('nonsense', '', false)").hasPrefix("42704"))
        #expect(try await session.run("set timezone to default") == ["SET"])
        #expect(try await session.run("reset timezone") == ["RESET"])
    }

    // MARK: Time limits

    private let timeout = "57014 canceling statement due to statement timeout"

    @Test func statementsEndWhenTheirTimeIsUp() async throws {
        try await session.run("set statement_timeout = 50")
        #expect(await session.failure("select pg_sleep(60)") == timeout)
        #expect(
            await session.failure("select count(*) from generate_series(1, 1000000000000)")
                == timeout)
        await #expect(throws: SQLError.timedOut) {
            try await session.extended("select pg_sleep(60)")
        }
        // The alarm was for that statement alone.
        #expect(try await session.run("select 1") == ["1", "SELECT 1"])
        try await session.run("set statement_timeout = 0")
        #expect(try await session.run("select pg_sleep(0.1)") == ["", "SELECT 1"])
    }

    @Test func waitsForLocksEndWhenTheirTimeIsUp() async throws {
        let other = try TestSession(node)
        try await session.run("create table t (a int primary key); insert into t values (1)")
        try await other.run("begin; update t set a = a where a = 1")
        try await session.run("set statement_timeout = 50")
        #expect(await session.failure("delete from t") == timeout)
        try await other.run("rollback")
        #expect(try await session.run("delete from t") == ["DELETE 1"])
    }

    @Test func sleepsAreCancelled() async throws {
        let cancel = session.session.canceller
        let canceller = Task {
            try await Task.sleep(for: .milliseconds(50))
            cancel()
        }
        #expect(
            await session.failure("select pg_sleep(60)")
                == "57014 canceling statement due to user request")
        try await canceller.value
        // A request that comes too late is forgotten.
        cancel()
        #expect(try await session.extended("select 1") == ["1", "SELECT 1"])
    }
}
