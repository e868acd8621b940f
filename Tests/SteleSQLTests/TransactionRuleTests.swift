import SteleBase
import Testing

@testable import SteleSQL

/// What may be said where in a transaction, as PostgreSQL 15 has it.
@Suite(.timeLimit(.minutes(1)))
struct TransactionRuleTests {
    private func session() throws -> TestSession {
        try TestSession(TestNode(), isJudged: true)
    }

    @Test(arguments: ["discard all", "vacuum"])
    func `some statements are transactions of their own`(text: String) async throws {
        let session = try session()
        let name = text.uppercased()
        try await session.run("create table t (k int primary key)")
        #expect(try await session.run(text) == [name])
        // With others in one text, before or after them, nothing of which is in effect.
        for together in ["insert into t values (1); \(text)", "\(text); insert into t values (1)"] {
            #expect(
                await session.failure(together)
                    == "25001 \(name) cannot run inside a transaction block")
        }
        try await session.run("begin")
        #expect(
            await session.failure(text) == "25001 \(name) cannot run inside a transaction block")
        try await session.run("rollback")
        #expect(try await session.run("select count(*) from t") == ["0", "SELECT 1"])
    }

    @Test func `in a pipeline they come first or not at all`() async throws {
        let session = try TestSession(TestNode())
        try await session.run("create table t (k int primary key)")
        func step(_ text: String) async throws {
            let kept = session.session
            try await kept.prepare("", text, parameterTypes: [])
            try await kept.bind(
                portal: "", statement: "", parameterFormats: [], parameters: [], resultFormats: [])
            try await kept.execute(portal: "", maxRows: 0, into: session.sink)
        }
        try await step("insert into t values (1)")
        await #expect(throws: SQLError("25001", "VACUUM cannot be executed within a pipeline")) {
            try await step("vacuum")
        }
        await session.session.fail()
        try await session.session.sync()
        #expect(try await session.run("select count(*) from t") == ["0", "SELECT 1"])
        try await step("vacuum")
        try await step("insert into t values (1)")
        try await session.session.sync()
        #expect(try await session.run("select count(*) from t") == ["1", "SELECT 1"])
    }

    @Test(arguments: [
        "set transaction isolation level serializable",
        "set transaction_isolation = 'serializable'", "begin isolation level repeatable read",
        "set transaction read write", "set transaction_read_only = off",
        "set transaction deferrable", "set transaction not deferrable",
    ])
    func `modes are set before the first query`(text: String) async throws {
        let session = try session()
        for (first, fails) in [
            ("show all", false), ("set application_name = 'x'", false), ("select 1", true),
            ("create table t (k int)", true), ("prepare p as select 1", true),
        ] {
            try await session.run("begin read only")
            if first.hasPrefix("create") { try await session.run("rollback; begin") }
            try await session.run(first)
            let failure = await session.failure(text)
            // To read-write is no change where the transaction is already.
            let isChange = !first.hasPrefix("create") || !text.contains("read")
                || text.contains("repeatable")
            if fails, isChange {
                #expect(failure.hasPrefix("25001") && failure.hasSuffix("before any query"), "\(first)")
            } else {
                #expect(failure.hasPrefix("no error"), "\(first): \(failure)")
            }
            try await session.run("rollback")
        }
    }

    @Test func `modes are not changed in a savepoint, and come back with it`() async throws {
        let session = try session()
        try await session.run("begin; savepoint s")
        #expect(
            await session.failure("set transaction isolation level serializable")
                == "25001 SET TRANSACTION ISOLATION LEVEL must not be called in a subtransaction")
        try await session.run("rollback to s; set transaction read only")
        #expect(
            await session.failure("set transaction read write")
                == "25001 cannot set transaction read-write mode inside a read-only transaction")
        try await session.run("rollback to s")
        #expect(try await session.run("show transaction_read_only") == ["off", "SHOW"])
        #expect(
            await session.failure("set transaction deferrable")
                == "25001 SET TRANSACTION [NOT] DEFERRABLE cannot be called within a subtransaction")
        try await session.run("rollback")
        // The level that it has anyway can be said at any time.
        try await session.run("begin; select 1; set transaction isolation level read committed")
        try await session.run("commit")
    }

    @Test(arguments: [
        "insert into t values (1)", "insert into t select 1 where false", "update t set k = 2",
        "delete from t where false", "truncate t", "create table u (k int)", "drop table t",
        "select * from t for update", "select * from t where false for share",
        "copy t from stdin", "alter table t add primary key (k)",
    ])
    func `a read-only transaction refuses what writes or locks`(text: String) async throws {
        let session = try session()
        try await session.run("create table t (k int primary key)")
        for begin in [
            "begin read only", "begin; set transaction read only",
            "begin; set transaction_read_only = on",
            "set default_transaction_read_only = on",
        ] {
            try await session.run(begin)
            if !begin.hasPrefix("begin") { try await session.run("begin") }
            let failure = await session.failure(text)
            #expect(failure.hasPrefix("25006"), "\(begin): \(failure)")
            try await session.run("rollback")
        }
    }

    @Test func `portals from before a savepoint outlive the return to it`() async throws {
        let session = try session()
        let kept = session.session
        try await session.run("begin")
        func open(_ name: String) async throws {
            try await session.begin("select * from generate_series(1, 3)", as: name)
        }
        try await open("before")
        try await session.run("savepoint s")
        try await open("after")
        #expect(await session.failure("select 1 / 0").hasPrefix("22012"))
        try await session.run("rollback to s")
        session.sink.lines = []
        try await kept.execute(portal: "before", maxRows: 0, into: session.sink)
        #expect(session.sink.lines == ["2", "3", "SELECT 2"])
        await #expect(throws: SQLError.self) {
            try await kept.execute(portal: "after", maxRows: 0, into: session.sink)
        }
        await kept.fail()
        try await session.run("rollback")
    }

    @Test func `a portal does not see later writes of its transaction`() async throws {
        for level in ["read committed", "repeatable read", "serializable"] {
            let session = try session()
            let kept = session.session
            try await session.run("create table t (k int primary key)")
            try await session.run("insert into t select * from generate_series(1, 2000)")
            try await session.run("begin isolation level \(level)")
            try await session.begin("select k from t", as: "p")
            try await session.run("delete from t where k > 5")
            session.sink.lines = []
            try await kept.execute(portal: "p", maxRows: 0, into: session.sink)
            #expect(session.sink.lines.count == 2_000, "\(level)")
            try await session.run("commit")
        }
    }

    @Test func `a return to a savepoint lets go of the locks taken since`() async throws {
        let node = TestNode()
        let session = try TestSession(node)
        let other = try TestSession(node)
        try await session.run("create table t (k int primary key)")
        try await session.run("insert into t values (1), (2)")
        try await session.run("begin; select * from t where k = 1 for update; savepoint s")
        try await session.run("select * from t for update")
        #expect(
            await other.failure("select * from t where k = 2 for update nowait").hasPrefix("55P03"))
        try await session.run("rollback to s")
        #expect(
            try await other.run("select * from t where k = 2 for update nowait")
                == ["2", "SELECT 1"])
        #expect(
            await other.failure("select * from t where k = 1 for update nowait").hasPrefix("55P03"))
        try await session.run("commit")
    }

    @Test func `the time to wait for a lock is what the setting says at that moment`() async throws {
        let node = TestNode()
        let holder = try TestSession(node)
        let session = try TestSession(node)
        try await holder.run("create table t (k int primary key)")
        try await holder.run("insert into t values (1), (2)")
        try await holder.run("begin; select * from t where k = 1 for update")
        let wait = "select * from t where k = 1 for update"
        let failure = "55P03 canceling statement due to lock timeout"
        for before in [
            "set lock_timeout = '20ms'; begin", "begin; set lock_timeout = 20",
            "begin; select * from t; set local lock_timeout = '20ms'",
            "begin; select set_config('lock_timeout', '20ms', true)",
            "set lock_timeout = 0; begin; set local lock_timeout = '20ms'; savepoint s; "
                + "set lock_timeout = 0; rollback to s",
        ] {
            try await session.run(before)
            #expect(await session.failure(wait) == failure, "\(before)")
            try await session.run("rollback")
        }
        try await session.run("begin; savepoint s; set lock_timeout = '20ms'")
        #expect(await session.failure(wait) == failure)
        // The transaction goes on, with what it had.
        #expect(
            try await session.run("rollback to s; select * from t where k = 2 for update")
                == ["ROLLBACK", "2", "SELECT 1"])
        try await session.run("rollback")
        try await holder.run("rollback")
    }

    /// Two nodes: what one has changed of a table the other's cache does not know yet.
    private func twoNodes(
        _ setUp: String
    ) async throws -> (session: TestSession, other: TestSession) {
        let backend = MemoryBackend()
        let session = try TestSession(TestNode(backend))
        let other = try TestSession(TestNode(backend, firstRowID: 1_000))
        try await session.run(setUp)
        return (session, other)
    }

    @Test func `a return to a savepoint lets go of what was known of tables since`() async throws {
        for table in ["v int", "v int primary key"] {
            let (session, other) = try await twoNodes("create table h (\(table))")
            try await session.run("begin; savepoint a; insert into h values (1); rollback to a")
            try await other.run("truncate h")
            // Nothing that is acknowledged goes into the storage that was given up.
            var failure = await session.failure("insert into h values (2); commit")
            if failure.hasPrefix("40001") {
                try await session.run("rollback")
                failure = await session.failure("insert into h values (2)")
            }
            #expect(failure.hasPrefix("no error"), "\(table): \(failure)")
            #expect(try await other.run("select * from h") == ["2", "SELECT 1"], "\(table)")
        }
        let (session, other) = try await twoNodes("create table h (v int primary key)")
        try await session.run("begin; savepoint a; truncate h; rollback to a")
        try await other.run("drop table h")
        #expect(await session.failure("insert into h values (2); commit").hasPrefix("42P01"))
    }

    @Test func `a table of which nothing is read is not answered for from an old definition`()
        async throws
    {
        for text in [
            "select * from h where false", "select count(*) from h where 1 = 0",
            "select * from h where v = null", "select * from h limit 0",
        ] {
            let (session, other) = try await twoNodes("create table h (v int primary key)")
            #expect(try await session.run(text).last?.hasPrefix("SELECT") == true, "\(text)")
            try await other.run("drop table h")
            #expect(await session.failure(text).hasPrefix("42P01"), "\(text)")
        }
    }

    @Test func `a transaction that has ended keeps no lock for its savepoints`() async throws {
        let node = TestNode()
        let session = try TestSession(node)
        let other = try TestSession(node)
        try await session.run("create table t (k int primary key)")
        try await session.run("insert into t values (1), (2)")
        try await session.run("begin isolation level repeatable read; select * from t; savepoint s")
        try await session.run("select * from t where k = 2 for update")
        try await other.run("update t set k = 1 where k = 1")
        #expect(await session.failure("update t set k = 1 where k = 1").hasPrefix("40001"))
        #expect(
            try await other.run("select * from t where k = 2 for update nowait")
                == ["2", "SELECT 1"])
        try await session.run("rollback")
    }

    @Test func `modes hold in a text of several statements too`() async throws {
        let session = try session()
        try await session.run("create table t (k int primary key)")
        for mode in ["set transaction read only", "set transaction_read_only = on"] {
            #expect(
                await session.failure("\(mode); insert into t values (1)").hasPrefix("25006"))
        }
        #expect(
            try await session.run(
                "set transaction isolation level serializable; show transaction_isolation")
                == ["SET", "serializable", "SHOW"])
        #expect(
            try await session.run("set local application_name = 'x'; show application_name")
                == ["SET", "x", "SHOW"])
        // Alone it says nothing about what follows.
        #expect(
            try await session.run("set transaction read only")
                == ["notice SET TRANSACTION can only be used in transaction blocks", "SET"])
        try await session.run("insert into t values (1)")
        #expect(
            try await session.run("select set_config('application_name', 'y', true)")
                == ["y", "SELECT 1"])
    }

    @Test func `a savepoint keeps whether the transaction writes`() async throws {
        let session = try session()
        try await session.run("create table t (k int primary key)")
        let begin = "begin; savepoint s; set transaction read only; select * from t"
        try await session.run("\(begin); rollback to s; insert into t values (1); commit")
        try await session.run("\(begin); release s; insert into t values (2); commit")
        #expect(await session.failure("\(begin); insert into t values (3)").hasPrefix("25006"))
        try await session.run("rollback")
        #expect(try await session.run("select * from t") == ["1", "2", "SELECT 2"])
    }

    @Test func `a failure lets go of the locks taken since the last savepoint`() async throws {
        let node = TestNode()
        let session = try TestSession(node)
        let other = try TestSession(node)
        try await session.run("create table t (k int primary key)")
        try await session.run("insert into t values (1), (2)")
        try await session.run("begin; select * from t where k = 1 for update; savepoint a")
        try await session.run("select * from t where k = 2 for update")
        #expect(await session.failure("select 1/0").hasPrefix("22012"))
        #expect(
            try await other.run("select * from t where k = 2 for update nowait")
                == ["2", "SELECT 1"])
        #expect(
            await other.failure("select * from t where k = 1 for update nowait").hasPrefix("55P03"))
        try await session.run("rollback to a; insert into t values (3); commit")
        #expect(try await session.run("select count(*) from t") == ["3", "SELECT 1"])
    }
}
