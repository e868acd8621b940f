import Testing

@testable import SteleSQL

/// Transactions, settings, prepared statements and portals.
@Suite struct SessionTests {
    let node = TestNode()
    let session: TestSession

    init() throws { session = try TestSession(node) }

    // MARK: Transactions

    @Test func transactionBlocks() async throws {
        let other = try TestSession(node)
        try await session.run("create table t (a int primary key)")
        #expect(try await session.run("begin") == ["BEGIN"])
        #expect(session.session.transactionStatus == .inTransaction)
        try await session.run("insert into t values (1)")
        #expect(try await session.run("select * from t") == ["1", "SELECT 1"])
        #expect(try await other.run("select * from t") == ["SELECT 0"])
        #expect(try await session.run("end") == ["COMMIT"])
        #expect(try await other.run("select * from t") == ["1", "SELECT 1"])
        try await session.run("start transaction; insert into t values (2)")
        #expect(await session.failure("insert into t values (2)").hasPrefix("23505"))
        #expect(session.session.transactionStatus == .failed)
        #expect(await session.failure("select 1").hasPrefix("25P02"))
        #expect(await session.failure("begin").hasPrefix("25P02"))
        #expect(try await session.run("commit") == ["ROLLBACK"])
        #expect(session.session.transactionStatus == .idle)
        #expect(try await session.run("select count(*) from t") == ["1", "SELECT 1"])
        #expect(
            try await session.run("commit")
                == ["notice there is no transaction in progress", "COMMIT"])
        #expect(
            try await session.run("begin; begin; rollback")
                == ["BEGIN", "notice there is already a transaction in progress", "BEGIN", "ROLLBACK"])
    }

    @Test func implicitTransactionOfSeveralStatements() async throws {
        try await session.run("create table t (a int primary key)")
        #expect(
            await session.failure("insert into t values (1); insert into t values (1)")
                .hasPrefix("23505"))
        #expect(try await session.run("select count(*) from t") == ["0", "SELECT 1"])
        #expect(await session.failure("insert into t values (1); selec").hasPrefix("42601"))
        try await session.run("insert into t values (1); begin; insert into t values (2)")
        #expect(try await session.run("rollback") == ["ROLLBACK"])
        #expect(try await session.run("select count(*) from t") == ["0", "SELECT 1"])
    }

    @Test func definitionsAreTransactional() async throws {
        let other = try TestSession(node)
        try await session.run("begin; create table t (a int); insert into t values (1)")
        #expect(try await session.run("select * from t") == ["1", "SELECT 1"])
        #expect(await other.failure("select * from t").hasPrefix("42P01"))
        try await session.run("rollback")
        #expect(await session.failure("select * from t").hasPrefix("42P01"))
        try await session.run("create table t (a int); insert into t values (1)")
        try await session.run("begin; truncate t")
        #expect(try await session.run("select * from t") == ["SELECT 0"])
        #expect(try await other.run("select * from t") == ["1", "SELECT 1"])
        try await session.run("rollback")
        #expect(try await session.run("select * from t") == ["1", "SELECT 1"])
        try await session.run("begin; drop table t; create table t (b text)")
        #expect(try await session.run("select b from t") == ["SELECT 0"])
        try await session.run("commit")
        #expect(try await other.run("select b from t") == ["SELECT 0"])
    }

    /// Texts that differ only in the kind of their literals, and tables that come again with other
    /// types, have nothing of each other's kept plans.
    @Test func literalsAreOfTheTypesThatTheirTextGivesThem() async throws {
        try await session.run("create table t (a numeric, b float8, c text)")
        try await session.run("insert into t values ('1.5', '2.5', 'x')")
        try await session.run("insert into t values (2, 3, 4)")
        try await session.run("insert into t values (3, '4', 'y')")
        let rows = ["1.5|2.5|x", "2|3|4", "3|4|y", "SELECT 3"]
        #expect(try await session.run("select * from t order by a") == rows)
        #expect(try await session.run("select 'a' || 'b'") == ["ab", "SELECT 1"])
        #expect(try await session.run("select 1 || 'b'") == ["1b", "SELECT 1"])
        #expect(try await session.run("select 'a' || 2") == ["a2", "SELECT 1"])
    }

    @Test(arguments: [false, true]) func plansOfATableThatAnotherNodeMadeAnew(
        inBlock: Bool
    ) async throws {
        let remote = try TestSession(TestNode(node.backend, firstRowID: 1 << 40))
        let types = [
            ("numeric", "text"), ("text", "numeric"), ("date", "int"), ("float8", "varchar(10)"),
            ("varchar(10)", "text"), ("int", "float8"),
        ]
        for (a, b) in types + types.reversed() {
            try await session.run("drop table if exists t")
            try await session.run("create table t (a \(a), b \(b), primary key (a, b))")
            let value = a == "date" ? "2020-01-01" : "1"
            if inBlock { try await remote.run("begin") }
            try await remote.run("insert into t values ('\(value)', '2') on conflict do nothing")
            #expect(try await remote.run("select * from t where b = '2'").count == 2)
            #expect(try await remote.run("update t set a = '\(value)' where b = '2'") == ["UPDATE 1"])
            if inBlock { try await remote.run("commit") }
            #expect(try await session.run("select * from t") == ["\(value)|2", "SELECT 1"])
            #expect(try await remote.run("delete from t where b = '2'") == ["DELETE 1"])
        }
    }

    @Test func savepoints() async throws {
        try await session.run("create table t (a int primary key)")
        try await session.run("begin; insert into t values (1); savepoint x")
        try await session.run("insert into t values (2); set application_name = 'y'")
        #expect(await session.failure("insert into t values (1)").hasPrefix("23505"))
        #expect(try await session.run("rollback to x") == ["ROLLBACK"])
        #expect(try await session.run("show application_name") == ["", "SHOW"])
        try await session.run("insert into t values (3); release x")
        #expect(
            await session.failure("rollback to x") == "3B001 savepoint \"x\" does not exist")
        #expect(try await session.run("rollback") == ["ROLLBACK"])
        try await session.run("begin; savepoint a; insert into t values (5); rollback to a; commit")
        #expect(try await session.run("select * from t") == ["SELECT 0"])
        #expect(await session.failure("savepoint x").hasPrefix("25P01"))
    }

    @Test func isolation() async throws {
        let other = try TestSession(node)
        try await session.run("create table t (a int primary key, b int); insert into t values (1, 1)")
        try await session.run("begin isolation level repeatable read; select * from t")
        try await other.run("update t set b = 2")
        #expect(try await session.run("select b from t") == ["1", "SELECT 1"])
        #expect(
            await session.failure("update t set b = 3")
                == "40001 could not serialize access due to concurrent update")
        try await session.run("rollback; begin; select * from t")
        try await other.run("update t set b = 3")
        #expect(try await session.run("select b from t") == ["3", "SELECT 1"])
        #expect(
            await session.failure("set transaction isolation level serializable")
                .hasPrefix("25001"))
        try await session.run("rollback; begin read only")
        #expect(
            await session.failure("update t set b = 3")
                == "25006 cannot execute UPDATE in a read-only transaction")
        try await session.run("rollback")
        try await session.run("set session characteristics as transaction isolation level serializable")
        #expect(try await session.run("show transaction_isolation") == ["serializable", "SHOW"])
    }

    @Test func readCommittedLooksAgainAtLockedRows() async throws {
        let other = try TestSession(node)
        try await session.run(
            "create table t (a int primary key, b int); insert into t values (1, 1), (2, 1)")
        try await other.run("begin; update t set b = 5 where a = 1")
        let node = node
        async let waiting = TestNode.update(node)
        for _ in 0..<100 { await Task.yield() }
        try await other.run("commit")
        #expect(try await waiting == ["UPDATE 1"])
        #expect(try await session.run("select * from t") == ["1|5", "2|2", "SELECT 2"])
    }

    @Test func locks() async throws {
        let other = try TestSession(node)
        try await session.run(
            "create table t (a int primary key); insert into t values (1), (2), (3)")
        #expect(
            try await session.run("begin; select * from t where a = 1 for update")
                == ["BEGIN", "1", "SELECT 1"])
        #expect(
            await other.failure("select * from t where a = 1 for update nowait")
                == "55P03 could not obtain lock on row in relation \"t\"")
        #expect(
            try await other.run("select * from t for update skip locked limit 1")
                == ["2", "SELECT 1"])
        #expect(
            try await other.run("select * from t order by a desc limit 2 for update skip locked")
                == ["3", "2", "SELECT 2"])
        try await session.run("rollback")
    }

    @Test func conflictsAreRetried() async throws {
        try await session.run("create table t (a int primary key); insert into t values (1)")
        node.backend.failNextCommits(3)
        #expect(try await session.run("update t set a = 2") == ["UPDATE 1"])
        try await session.run("begin; update t set a = 3")
        node.backend.failNextCommits(1)
        #expect(await session.failure("commit").hasPrefix("40001"))
        #expect(session.session.transactionStatus == .idle)
    }

    // MARK: Definitions that other nodes change

    @Test func staleDefinitions() async throws {
        let remote = try TestSession(TestNode(node.backend, firstRowID: 1 << 40))
        try await session.run("create table t (a int primary key, b int); insert into t values (1, 1)")
        #expect(try await remote.run("select * from t") == ["1|1", "SELECT 1"])
        try await session.run("drop table t; create table t (a int primary key, c text)")
        try await session.run("insert into t values (1, 'x')")
        #expect(try await remote.run("select c from t where a = 1") == ["x", "SELECT 1"])
        try await session.run("truncate t; insert into t values (2, 'y')")
        #expect(try await remote.run("update t set c = 'z' where a = 1") == ["UPDATE 0"])
        try await session.run("truncate t; insert into t values (3, 'y')")
        #expect(try await remote.run("update t set c = 'z' where a = 3") == ["UPDATE 1"])
        try await session.run("truncate t")
        #expect(try await remote.run("insert into t values (3, 'q')") == ["INSERT 0 1"])
        #expect(try await session.run("select * from t") == ["3|q", "SELECT 1"])
        // Row locks find out at once, so that a block goes on with the new definition.
        try await session.run("drop table t; create table t (a int primary key, c text, d int)")
        try await session.run("insert into t values (3, 'new', 1)")
        #expect(
            try await remote.run(
                "begin; update t set c = 'r' where a = 3 returning *; "
                    + "select * from t where a = 3 for update; commit")
                == ["BEGIN", "3|r|1", "UPDATE 1", "3|r|1", "SELECT 1", "COMMIT"])
        try await session.run("drop table t; create table t (a int primary key, c text)")
        try await session.run("insert into t values (3, 'newer')")
        #expect(
            try await remote.run("begin; select * from t where a = 3 for share; commit")
                == ["BEGIN", "3|newer", "SELECT 1", "COMMIT"])
        try await remote.run("begin; insert into t values (4, 'q')")
        try await session.run("truncate t")
        #expect(await remote.failure("commit").hasPrefix("40001"))
        #expect(try await session.run("select * from t") == ["SELECT 0"])
    }

    // MARK: Settings

    @Test func settings() async throws {
        #expect(try await session.run("show server_version") == ["15.0", "SHOW"])
        #expect(try await session.run("set application_name to 'x'") == ["SET"])
        #expect(session.session.takeChangedParameters().map(\.1) == ["x"])
        try await session.run("begin; set local timezone = '-7'; set application_name = 'y'")
        #expect(try await session.run("show timezone") == ["<-07>+07", "SHOW"])
        try await session.run("commit")
        #expect(try await session.run("show timezone; show application_name") == ["UTC", "SHOW", "y", "SHOW"])
        try await session.run("begin; set application_name = 'z'; rollback")
        #expect(try await session.run("show application_name") == ["y", "SHOW"])
        #expect(await session.failure("set nonsense = 1").hasPrefix("42704"))
        #expect(await session.failure("set client_encoding = 'latin1'").hasPrefix("0A000"))
        #expect(await session.failure("set server_version = '1'").hasPrefix("55P02"))
        #expect(try await session.run("reset all; show application_name") == ["RESET", "", "SHOW"])
        #expect(try await session.run("discard all") == ["DISCARD ALL"])
        #expect(
            try await session.run(
                "select pg_advisory_unlock_all(); close all; unlisten *; reset all")
                == ["", "SELECT 1", "CLOSE CURSOR ALL", "UNLISTEN", "RESET"])
    }

    // MARK: Extended protocol

    @Test func parameters() async throws {
        try await session.run("create table t (a int primary key, b text, c float8)")
        #expect(
            try await session.extended("insert into t values ($1, $2, $3)", ["1", "x", "1.5"])
                == ["INSERT 0 1"])
        try await session.session.prepare(
            "s", "update t set c = c + $2 where a = $1 and b like $3", parameterTypes: [])
        #expect(
            try await session.session.describeStatement("s").parameterTypes == [23, 701, 25])
        #expect(try await session.extended("select * from t where a = $1", ["1"]) == ["1|x|1.5", "SELECT 1"])
        #expect(try await session.extended("select $1::int8 + 1, $2 || 'x'", ["5", "y"]) == ["6|yx", "SELECT 1"])
        #expect(try await session.extended("select a from t limit $1", ["0"]) == ["SELECT 0"])
        await #expect(throws: SQLError.self) { try await session.extended("select $1 + $2", ["1", "2"]) }
        await #expect(throws: SQLError.self) { try await session.extended("select 1; select 2") }
        #expect(try await session.extended("") == ["empty"])
        #expect(try await session.extended("select b from t where a = $1", [nil]) == ["SELECT 0"])
    }

    @Test func aCancelEndsAWaitForALock() async throws {
        try await session.run("create table t (a int primary key, b int); insert into t values (1, 1)")
        try await session.run("begin; update t set b = 2 where a = 1")
        let other = try TestSession(node)
        let cancel = other.session.canceller
        cancel()  // Nothing runs: it is forgotten.
        try await other.run("begin; select * from t")
        let backend = node.backend
        _ = backend.takeCalls()
        Task {
            while !backend.takeCalls().contains(where: { $0.hasPrefix("lock") }) { await Task.yield() }
            cancel()
        }
        #expect(
            await other.failure("update t set b = 3 where a = 1")
                == "57014 canceling statement due to user request")
        #expect(await other.failure("select 1").hasPrefix("25P02"))
        try await other.run("rollback")
        try await session.run("commit")
        #expect(try await other.run("select b from t") == ["2", "SELECT 1"])
    }

    @Test func pipelinesAreOneTransaction() async throws {
        let s = session.session
        try await session.run("create table t (a int primary key)")
        try await s.prepare("i", "insert into t values ($1)", parameterTypes: [])
        for value in ["1", "2", "2"] {
            try await s.bind(
                portal: "", statement: "i", parameterFormats: [0],
                parameters: [Array(value.utf8)[...]], resultFormats: [])
            do {
                try await s.execute(portal: "", maxRows: 0, into: session.sink)
            } catch {
                #expect(error.state == "23505")
                await s.fail()
            }
        }
        try await s.sync()
        #expect(try await session.run("select count(*) from t") == ["0", "SELECT 1"])
    }

    @Test func preparedByStatement() async throws {
        try await session.run("create table t (a int primary key); insert into t values (1), (2)")
        #expect(
            try await session.run("prepare q (int) as select a from t where a >= $1")
                == ["PREPARE"])
        #expect(try await session.run("execute q (2)") == ["2", "SELECT 1"])
        #expect(await session.failure("execute q").hasPrefix("42601"))
        try await session.run("drop table t; create table t (a text)")
        #expect(await session.failure("execute q (2)").hasPrefix("42883"))
        try await session.run("deallocate q")
        #expect(
            await session.failure("execute q (1)")
                == "26000 prepared statement \"q\" does not exist")
    }

    // MARK: Texts that come again

    @Test func literalsAreTakenOut() throws {
        let template = StatementCache.template("SELECT 'it''s', a-1 FROM t WHERE b='x';")
        #expect(template?.text == "SELECT $1, a-$2 FROM t WHERE b=$3;")
        #expect(template?.literals == [.string("it's"), .integer(1), .string("x")])
        #expect(StatementCache.template("select 1 order by 1")?.text == "select $1 order by 1")
        #expect(StatementCache.template("select 1.5, 12345678901")?.literals == [])
        #expect(StatementCache.template("select e'a', $x$b$x$")?.literals == [])
        #expect(StatementCache.template("select 1; select 2") == nil)
        #expect(StatementCache.template("select $1") == nil)
        #expect(StatementCache.template("create table t (a char(3))") == nil)
        #expect(StatementCache.template("select 'a") == nil)
    }

    @Test func repeatedTexts() async throws {
        try await session.run("create table t (a int primary key, b char(4), c timestamp)")
        for number in 1...3 {
            #expect(
                try await session.run("insert into t values (\(number), 'b\(number)', '2020-01-0\(number)')")
                    == ["INSERT 0 1"])
        }
        for number in 1...3 {
            #expect(
                try await session.run("select b, c, -\(number), 'x' from t where a = \(number)")
                    == ["b\(number)  |2020-01-0\(number) 00:00:00|-\(number)|x", "SELECT 1"])
        }
        for _ in 1...2 {
            #expect(
                try await session.run("select a from t where b > 'b' order by 1 desc limit 1")
                    == ["3", "SELECT 1"])
            #expect(try await session.run("select date '2020-01-01' + 1") == ["2020-01-02", "SELECT 1"])
            #expect(try await session.run("select 'abc'::char(2), 'a'\n'b'") == ["ab|ab", "SELECT 1"])
            #expect(await session.error("select 1 + 'x'")?.position == 12)
            #expect(await session.failure("insert into t values (1, 'toolong', null)").hasPrefix("22001"))
        }
        try await session.run("drop table t; create table t (a text)")
        #expect(try await session.run("insert into t values (7)") == ["INSERT 0 1"])
        #expect(try await session.run("insert into t values ('8')") == ["INSERT 0 1"])
        #expect(await session.failure("select b, c, -1, 'x' from t where a = 1").hasPrefix("42703"))
    }

    @Test func callsOfPointStatements() async throws {
        try await session.run("create table t (a int primary key, b int); insert into t values (1, 1)")
        _ = node.backend.takeCalls()
        try await session.run("select b from t where a = 1")
        #expect(node.backend.takeCalls() == ["get 2", "commit"])
        try await session.run("update t set b = b + 1 where a = 1")
        #expect(node.backend.takeCalls() == ["lock 1", "commit"])
        try await session.run("insert into t values (2, 2)")
        #expect(node.backend.takeCalls() == ["lock 1", "commit"])
    }
}

extension TestNode {
    fileprivate static func update(_ node: TestNode) async throws -> [String] {
        try await TestSession(node).run("update t set b = b + 1 where b = 1")
    }
}
