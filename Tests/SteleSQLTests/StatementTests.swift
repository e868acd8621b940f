import Testing

@testable import SteleSQL

/// Statements from end to end, on a database in memory.
@Suite struct StatementTests {
    let session: TestSession

    init() throws { session = try TestSession(TestNode()) }

    @Test func tablesAndRows() async throws {
        #expect(
            try await session.run("create table t (a int primary key, b text, c numeric(10,2))")
                == ["CREATE TABLE"])
        #expect(
            try await session.run("insert into t values (2, 'two', 2), (1, 'one', 1.005)")
                == ["INSERT 0 2"])
        #expect(
            try await session.run("select * from t") == ["1|one|1.01", "2|two|2.00", "SELECT 2"])
        #expect(
            try await session.run("select b, a + 1 from t where a = 2") == ["two|3", "SELECT 1"])
        #expect(
            try await session.run("update t set b = b || '!', c = c * 2 where a = 1 returning *")
                == ["1|one!|2.02", "UPDATE 1"])
        #expect(try await session.run("delete from t where a > 1") == ["DELETE 1"])
        #expect(try await session.run("select count(*) from t") == ["1", "SELECT 1"])
    }

    @Test func selectWithoutTable() async throws {
        #expect(try await session.run("select 1, 'a', null, 1.50, true") == ["1|a|∅|1.50|t", "SELECT 1"])
        #expect(try await session.run("select 7 / 2, 7 % 3, 7 / 2.0") == ["3|1|3.5000000000000000", "SELECT 1"])
        #expect(try await session.run("") == ["empty"])
        #expect(try await session.run("-- ping") == ["empty"])
        #expect(try await session.run("select") == ["", "SELECT 1"])
    }

    @Test func keys() async throws {
        try await session.run("create table t (a int, b text, v int, primary key (a, b))")
        try await session.run(
            "insert into t values (1,'x',1),(1,'y',2),(2,'x',3),(2,'z',4),(3,'x',5)")
        #expect(try await session.run("select v from t where a = 2") == ["3", "4", "SELECT 2"])
        #expect(
            try await session.run("select v from t where a = 1 and b > 'x'") == ["2", "SELECT 1"])
        #expect(
            try await session.run("select v from t where a in (1, 3) and b = 'x'")
                == ["1", "5", "SELECT 2"])
        #expect(
            try await session.run("select v from t where a > 1 and a <= 2 order by a desc, b desc")
                == ["4", "3", "SELECT 2"])
        #expect(
            try await session.run("select v from t where a between 2 and 3 limit 2 offset 1")
                == ["4", "5", "SELECT 2"])
        #expect(try await session.run("select v from t where a = null") == ["SELECT 0"])
        #expect(
            await session.failure("insert into t values (4,'a',1),(1,'x',9)")
                == "23505 duplicate key value violates unique constraint \"t_pkey\"")
        #expect(
            await session.error("insert into t values (1,'x',9)")?.detail
                == "Key (a, b)=(1, x) already exists.")
        #expect(try await session.run("select count(*) from t where a = 4") == ["0", "SELECT 1"])
        #expect(try await session.run("update t set a = a + 1") == ["UPDATE 5"])
        #expect(
            try await session.run("select a, b from t order by v")
                == ["2|x", "2|y", "3|x", "3|z", "4|x", "SELECT 5"])
        #expect(
            await session.failure("update t set b = 'x' where a = 2")
                == "23505 duplicate key value violates unique constraint \"t_pkey\"")
    }

    @Test func constraintsAndDefaults() async throws {
        try await session.run(
            "create table t (a int primary key, b int not null default 5, c text default 'x', "
                + "d timestamp default now(), e char(3))")
        try await session.run("insert into t (a) values (1)")
        #expect(try await session.run("select a, b, c, d is null, e from t") == ["1|5|x|f|∅", "SELECT 1"])
        let error = await session.error("insert into t (a, b) values (2, null)")
        #expect(error?.state == "23502")
        #expect(
            error?.message
                == "null value in column \"b\" of relation \"t\" violates not-null constraint")
        #expect(await session.failure("insert into t (b) values (2)").hasPrefix("23502"))
        try await session.run("insert into t values (3, default, default, default, 'ab')")
        #expect(try await session.run("select e, length(e), e || '.' from t where a = 3") == ["ab |2|ab.", "SELECT 1"])
        #expect(
            await session.failure("insert into t (a, e) values (4, 'abcd')")
                == "22001 value too long for type character(3)")
        #expect(await session.failure("insert into t (a, b) values (5, 'q')").hasPrefix("22P02"))
        #expect(await session.failure("insert into t (a) values (99999999999)").hasPrefix("22003"))
        #expect(await session.failure("insert into t default values").hasPrefix("23502"))
    }

    @Test func groups() async throws {
        try await session.run("create table t (k text, v int)")
        try await session.run(
            "insert into t values ('a',1),('b',2),('a',3),('b',null),(null,5)")
        #expect(
            try await session.run(
                "select k, count(*), count(v), sum(v), min(v), max(v), avg(v) from t group by k "
                    + "order by k")
                == [
                    "a|2|2|4|1|3|2.0000000000000000", "b|2|1|2|2|2|2.0000000000000000",
                    "∅|1|1|5|5|5|5.0000000000000000", "SELECT 3",
                ])
        #expect(
            try await session.run("select k from t group by 1 having count(v) > 1 or k is null "
                + "order by count(*) desc, k") == ["a", "∅", "SELECT 2"])
        #expect(try await session.run("select sum(v), count(*) from t where v > 100") == ["∅|0", "SELECT 1"])
        #expect(
            await session.failure("select k, v from t group by k")
                == "42803 column \"t.v\" must appear in the GROUP BY clause or be used in an "
                + "aggregate function")
        #expect(
            await session.failure("select k from t where count(*) > 1")
                == "42803 aggregate functions are not allowed in WHERE")
        #expect(
            try await session.run("select distinct k from t order by k nulls first")
                == ["∅", "a", "b", "SELECT 3"])
        #expect(try await session.run("select count(distinct k) from t") == ["2", "SELECT 1"])
    }

    @Test func insertVariants() async throws {
        try await session.run("create table t (a int primary key, b int)")
        #expect(
            try await session.run(
                "insert into t select i, i * 10 from generate_series(1, 5) as i where i <> 3")
                == ["INSERT 0 4"])
        #expect(
            try await session.run(
                "insert into t values (1, 7), (3, 8) on conflict do nothing returning a")
                == ["3", "INSERT 0 1"])
        #expect(
            try await session.run(
                "insert into t as x values (1, 7), (6, 8) on conflict (a) do update "
                    + "set b = x.b + excluded.b where x.b < 100 returning *")
                == ["1|17", "6|8", "INSERT 0 2"])
        #expect(
            await session.failure(
                "insert into t values (1, 1), (1, 2) on conflict (a) do update set b = 0")
                .hasPrefix("21000"))
        #expect(
            await session.failure("insert into t values (9, 1), (9, 2)").hasPrefix("23505"))
        #expect(
            await session.failure("insert into t (a) values (9, 1)")
                == "42601 INSERT has more expressions than target columns")
        #expect(
            await session.failure("insert into t (a, b) values (9)")
                == "42601 INSERT has more target columns than expressions")
        #expect(try await session.run("insert into t select a + 100, b from t") == ["INSERT 0 6"])
        #expect(try await session.run("select count(*) from t") == ["12", "SELECT 1"])
    }

    @Test func definitions() async throws {
        try await session.run("create table t (a int, b int)")
        #expect(
            await session.failure("create table t (a int)")
                == "42P07 relation \"t\" already exists")
        #expect(
            try await session.run("create table if not exists t (a int)")
                == ["notice relation \"t\" already exists, skipping", "CREATE TABLE"])
        try await session.run("insert into t values (1, 1), (2, 2), (2, 3)")
        #expect(
            await session.failure("alter table t add primary key (a)")
                == "23505 could not create unique index \"t_pkey\"")
        #expect(
            await session.error("alter table t add primary key (a)")?.detail
                == "Key (a)=(2) is duplicated.")
        try await session.run("delete from t where b = 3; insert into t values (null, 4)")
        #expect(
            await session.failure("alter table t add primary key (a)")
                == "23502 column \"a\" of relation \"t\" contains null values")
        try await session.run("delete from t where a is null")
        #expect(try await session.run("alter table t add primary key (a)") == ["ALTER TABLE"])
        #expect(try await session.run("select * from t") == ["1|1", "2|2", "SELECT 2"])
        #expect(
            await session.failure("alter table t add primary key (b)")
                == "42P16 multiple primary keys for table \"t\" are not allowed")
        #expect(await session.failure("insert into t values (1, 1)").hasPrefix("23505"))
        #expect(try await session.run("truncate t") == ["TRUNCATE TABLE"])
        #expect(try await session.run("select * from t") == ["SELECT 0"])
        #expect(
            try await session.run("drop table if exists x, t, y")
                == [
                    "notice table \"x\" does not exist, skipping",
                    "notice table \"y\" does not exist, skipping", "DROP TABLE",
                ])
        #expect(
            await session.failure("select * from t") == "42P01 relation \"t\" does not exist")
        #expect(await session.failure("drop table t") == "42P01 table \"t\" does not exist")
        #expect(await session.failure("truncate t") == "42P01 relation \"t\" does not exist")
    }

    @Test func copy() async throws {
        try await session.run("create table t (a int primary key, b text, c numeric)")
        #expect(
            try await session.run(
                "copy t from stdin with (freeze on)",
                copy: ["1\ton", "e\t1.5\n2\t\\N\t\\N\n3\ta\\tb\\\\", "\t3\n\\.\n"])
                == ["copy 3", "COPY 3"])
        #expect(
            try await session.run("select * from t")
                == ["1|one|1.5", "2|∅|∅", "3|a\tb\\|3", "SELECT 3"])
        #expect(
            try await session.run(
                "copy t (c, a) from stdin with (format csv, header)",
                copy: ["c,a\n4.5,4\n,5\n\"7\",\"7\"\n"]) == ["copy 2", "COPY 3"])
        #expect(
            try await session.run("select * from t where a > 3")
                == ["4|∅|4.5", "5|∅|∅", "7|∅|7", "SELECT 3"])
        #expect(
            await session.failure("copy t from stdin", copy: ["8\tx\n"])
                == "22P04 missing data for column \"c\"")
        #expect(
            await session.failure("copy t from stdin", copy: ["8\tx\t1\t2\n"])
                == "22P04 extra data after last expected column")
        #expect(await session.failure("copy t from stdin", copy: ["1\tx\t1\n"]).hasPrefix("23505"))
        for (data, context) in [
            ("8\tx\t1\nz\tx\t1\n", "line 2, column a: \"z\""),
            ("8\tx\t1\r\n9\tx\r\n", "line 2: \"9\tx\""),
            ("\\N\tx\t1", "line 1: \"\\N\tx\t1\""),
            ("8\tx\t1\n" + String(repeating: "q", count: 200), "line 2: \"\(String(repeating: "q", count: 100))...\""),
        ] {
            let error = await #expect(throws: SQLError.self) {
                try await session.run("copy t from stdin", copy: [data])
            }
            #expect(error?.context == "COPY t, \(context)")
        }
        try await session.run(
            "copy t from stdin csv", copy: ["10,\"a \"\"q\"\", \nb\",1\n"])
        #expect(
            try await session.run("select b from t where a = 10") == ["a \"q\", \nb", "SELECT 1"])
    }

    @Test func `rows that no answer holds together are read in parts`() async throws {
        let node = TestNode()
        let session = try TestSession(node)
        try await session.run("create table t (id int primary key)")
        try await session.run("insert into t select x from generate_series(1, 100) as g(x)")
        node.backend.state.withLock { $0.answeredKeys = 9 }
        let list = (1...100).map(String.init).joined(separator: ", ")
        #expect(
            try await session.run("select count(*) from t where id in (\(list))")
                == ["100", "SELECT 1"])
        node.backend.state.withLock { $0.answeredKeys = 0 }
        #expect(await session.failure("select * from t where id = 1").hasPrefix("54000"))
    }
}
