import SteleAPI
import SteleBase
import Synchronization
import Testing

@testable import SteleSQL

/// Portals that are executed in parts, with other statements in between.
@Suite struct PortalTests {
    private let node = TestNode()
    private let session: TestSession

    init() throws { session = try TestSession(node) }

    private func bind(_ portal: String, _ text: String) async throws {
        try await session.session.prepare("", text, parameterTypes: [])
        try await session.session.bind(
            portal: portal, statement: "", parameterFormats: [], parameters: [], resultFormats: [])
    }

    /// What goes on with a portal, or how that ends.
    private func fetch(_ portal: String, _ count: Int) async -> [String] {
        session.sink.lines = []
        do {
            try await session.session.execute(portal: portal, maxRows: count, into: session.sink)
        } catch {
            session.sink.lines.append(error.state)
            await session.session.fail()
        }
        return session.sink.lines
    }

    /// Its rows come out, up to the one that cannot be; no statement in between fails for it.
    @Test func `a portal's error is told when it is asked for more`() async throws {
        try await session.run("begin")
        try await bind("p", "select 12 / (4 - x) from generate_series(1, 9) as g(x)")
        #expect(await fetch("p", 1) == ["4", "suspended"])
        try await session.run("savepoint s")
        #expect(try await session.run("select 1") == ["1", "SELECT 1"])
        #expect(await fetch("p", 1) == ["6", "suspended"])
        #expect(await fetch("p", 9) == ["12", "22012"])
        #expect(await fetch("p", 9) == ["25P02"])
        try await session.run("rollback to s")
        #expect(await fetch("p", 9) == ["55000"])
        try await session.run("commit")
    }

    @Test func `a portal that failed at its first rows cannot be run`() async throws {
        try await session.run("begin")
        try await bind("p", "select 1 / 0")
        try await bind("later", "select 7")
        try await session.run("savepoint s")
        #expect(await fetch("p", 0) == ["22012"])
        #expect(await fetch("later", 0) == ["25P02"])
        try await session.run("rollback to s")
        #expect(await fetch("p", 0) == ["55000"])
        try await session.run("rollback to s")
        #expect(await fetch("later", 0) == ["7", "SELECT 1"])
        try await session.run("commit")
    }

    /// Some of its rows were read and are held nowhere: what would come next is not what follows.
    @Test func `a portal that was cancelled cannot be run`() async throws {
        try await session.run("create table t (a int primary key)")
        try await session.run("insert into t select * from generate_series(1, 5000)")
        try await session.run("begin")
        try await bind("p", "select a from t")
        #expect(await fetch("p", 1) == ["1", "suspended"])
        try await session.run("savepoint s")
        session.sink.onColumns = { [session] in session.session.canceller() }
        #expect(await fetch("p", 0).last == "57014")
        session.sink.onColumns = {}
        try await session.run("rollback to s")
        #expect(await fetch("p", 0) == ["55000"])
        try await session.run("commit")
    }

    @Test func portalsAreSuspended() async throws {
        let s = session.session
        try await session.run("create table t (a int primary key)")
        try await session.run("insert into t select * from generate_series(1, 5)")
        try await session.run("begin")
        session.sink.lines = []
        try await s.prepare("q", "select a from t", parameterTypes: [])
        try await s.bind(
            portal: "p", statement: "q", parameterFormats: [], parameters: [], resultFormats: [1])
        #expect(try await s.describePortal("p")?.map(\.format) == [1])
        try await s.execute(portal: "p", maxRows: 2, into: session.sink)
        #expect(session.sink.lines == ["1", "2", "suspended"])
        let deleted = try await session.run("delete from t")
        #expect(deleted == ["DELETE 5"])
        session.sink.lines = []
        try await s.execute(portal: "p", maxRows: 2, into: session.sink)
        try await s.execute(portal: "p", maxRows: 2, into: session.sink)
        try await s.execute(portal: "p", maxRows: 2, into: session.sink)
        #expect(session.sink.lines == ["3", "4", "suspended", "5", "SELECT 1", "SELECT 0"])
        try await session.run("commit")
        await #expect(throws: SQLError.self) {
            try await s.execute(portal: "p", maxRows: 2, into: session.sink)
        }
    }

    // MARK: Errors

    /// Whatever is wrong with a row, the rows before it come out, and no statement in between fails.
    @Test(arguments: [
        ("1 / (4 - x)", "22012"), ("length(chr(1114108 + x))", "54000"),
        ("date_part(case when x < 4 then 'year' else 'timezone' end, timestamp '2020-02-02')", "0A000"),
        ("length(repeat('x', case when x < 4 then 1 else 2000000000 end))", "54000"),
    ])
    func `a portal fails for itself`(expression: String, state: String) async throws {
        try await session.run("begin")
        try await bind("p", "select \(expression) from generate_series(1, 9) as g(x)")
        #expect(await fetch("p", 1).last == "suspended")
        #expect(try await session.run("select 1") == ["1", "SELECT 1"])
        let rest = await fetch("p", 9)
        #expect(rest.count == 3 && rest.last == state)
        try await session.run("rollback")
    }

    @Test func `values come out up to the one that cannot be`() async throws {
        try await session.run("begin")
        try await bind("p", "values (1), (2), (1 / (random() * 0)::int), (4)")
        #expect(await fetch("p", 1) == ["1", "suspended"])
        #expect(try await session.run("select 1") == ["1", "SELECT 1"])
        #expect(await fetch("p", 9) == ["2", "22012"])
        try await session.run("rollback")
    }

    @Test func `a portal of a failed block is not described`() async throws {
        try await session.run("begin")
        try await bind("p", "select 1 as a from generate_series(1, 9)")
        #expect(await fetch("p", 1) == ["1", "suspended"])
        try await bind("failed", "select 1 / 0 as b")
        try await session.run("savepoint s")
        #expect(await fetch("failed", 1) == ["22012"])
        for name in ["p", "failed"] {
            let error = await #expect(throws: SQLError.self) {
                try await session.session.describePortal(name)
            }
            #expect(error?.state == "25P02")
        }
        try await session.run("rollback to s")
        #expect(try await session.session.describePortal("p")?.map(\.name) == ["a"])
        #expect(try await session.session.describePortal("failed")?.map(\.name) == ["b"])
        try await session.run("rollback")
    }

    // MARK: Locks

    private func isLocked(_ key: Int) async throws -> Bool {
        let other = try TestSession(node)
        let answer = await other.failure("select 1 from t where k = \(key) for update nowait")
        return answer.hasPrefix("55P03")
    }

    private static let lockingQueries = [
        "select k, v from t for update", "select k, v from t order by k for update",
        "select k, v from t where k in (1, 2, 3, 4, 5, 6) for update",
        "select k, v from t offset 0 for update",
    ]

    /// A lock that is taken after a savepoint goes with a return to it: a row that was locked ahead
    /// would be handed out without.
    @Test(arguments: lockingQueries)
    func `rows are locked as they are sent`(query: String) async throws {
        try await session.run("create table t (k int primary key, v int)")
        try await session.run("insert into t select x, x from generate_series(1, 6) as g(x)")
        try await session.run("begin")
        try await bind("p", query)
        #expect(await fetch("p", 2) == ["1|1", "2|2", "suspended"])
        #expect(try await isLocked(2))
        #expect(try await !isLocked(3))
        try await session.run("savepoint s")
        #expect(await fetch("p", 1) == ["3|3", "suspended"])
        #expect(try await isLocked(3))
        try await session.run("rollback to s")
        #expect(try await isLocked(2))
        #expect(try await !isLocked(3))
        let other = try TestSession(node)
        try await other.run("update t set v = 40 where k = 4")
        #expect(await fetch("p", 1) == ["4|40", "suspended"])
        #expect(try await isLocked(4))
        #expect(await fetch("p", 0) == ["5|5", "6|6", "SELECT 2"])
        try await session.run("commit")
    }

    /// Nor does one wait for locks in place of the statement that runs, or see rows that came later.
    @Test(arguments: lockingQueries)
    func `a statement locks no rows of portals`(query: String) async throws {
        try await session.run("create table t (k int primary key, v int)")
        try await session.run("insert into t select x, x from generate_series(1, 5) as g(x)")
        try await session.run("begin")
        try await bind("p", query)
        #expect(await fetch("p", 1) == ["1|1", "suspended"])
        let other = try TestSession(node)
        try await other.run("begin; select 1 from t where k = 3 for update")
        _ = node.backend.takeCalls()
        #expect(try await session.run("select 1") == ["1", "SELECT 1"])
        #expect(!node.backend.takeCalls().contains { $0.hasPrefix("lock") })
        try await other.run("delete from t where k = 4; update t set v = 30 where k = 3; commit")
        try await session.run("insert into t values (6, 6)")
        #expect(await fetch("p", 0) == ["2|2", "3|30", "5|5", "SELECT 3"])
        try await session.run("commit")
    }

    /// Its rows are found before they are locked, so what is wrong with one is known early.
    @Test func `a portal that locks tells its error behind the rows before it`() async throws {
        try await session.run("create table t (k int primary key, v int)")
        try await session.run("insert into t select x, x from generate_series(1, 5) as g(x)")
        try await session.run("begin")
        try await bind("p", "select k from t where 12 / (4 - v) > 0 for update")
        #expect(await fetch("p", 1) == ["1", "suspended"])
        #expect(try await session.run("select 1") == ["1", "SELECT 1"])
        #expect(await fetch("p", 9) == ["2", "3", "22012"])
        try await session.run("rollback")
    }

    /// A condition that fails only for the row as it is now.
    @Test func `a portal that locks tells what is wrong with a row as it is now`() async throws {
        try await session.run("create table t (k int primary key, v int)")
        try await session.run("insert into t select x, x from generate_series(1, 5) as g(x)")
        try await session.run("begin")
        try await bind("p", "select k from t where k in (1, 2, 3, 5) and 12 / (4 - v) < 99 for update")
        #expect(await fetch("p", 1) == ["1", "suspended"])
        try await TestSession(node).run("update t set v = 4 where k = 3")
        #expect(await fetch("p", 9) == ["2", "22012"])
        try await session.run("rollback")
    }

    @Test func `a return to a savepoint lets go of the locks of rows that were found before`()
        async throws
    {
        try await session.run("create table t (k int primary key, v int)")
        try await session.run("insert into t select x, x from generate_series(1, 5) as g(x)")
        try await session.run("begin")
        try await bind("p", "select k, v from t for update")
        #expect(await fetch("p", 1) == ["1|1", "suspended"])
        try await session.run("savepoint s; select 1")
        #expect(await fetch("p", 2) == ["2|2", "3|3", "suspended"])
        try await session.run("rollback to s")
        #expect(try await !isLocked(3))
        #expect(await fetch("p", 0) == ["4|4", "5|5", "SELECT 2"])
        #expect(try await isLocked(5))
        try await session.run("commit")
    }

    /// It would read a table to its end, for rows that nobody will ask for.
    @Test func `a statement does not go on with a portal that has all its rows`() async throws {
        try await session.run("create table t (k int primary key, v int)")
        try await session.run("insert into t select x, x from generate_series(1, 5000) as g(x)")
        try await session.run("begin")
        try await bind("p", "select k from t limit 2 for update")
        #expect(await fetch("p", 2) == ["1", "2", "suspended"])
        try await bind("q", "select k from t limit 3 offset 1 for update")
        #expect(await fetch("q", 1) == ["2", "suspended"])
        _ = node.backend.takeCalls()
        try await session.run("select 1")
        #expect(!node.backend.takeCalls().contains("scan"))
        #expect(await fetch("p", 0) == ["SELECT 0"])
        // In place of a row that is gone no other is found.
        try await TestSession(node).run("delete from t where k = 3")
        #expect(await fetch("q", 0) == ["4", "SELECT 1"])
        try await session.run("commit")
    }

    /// A later snapshot shows under another key what was sent already.
    @Test func `no row comes twice out of a portal with a limit`() async throws {
        try await session.run("create table t (k int primary key)")
        try await session.run("insert into t select * from generate_series(1, 20)")
        try await session.run("begin")
        try await bind("p", "select k from t limit 10 for update")
        #expect(await fetch("p", 1) == ["1", "suspended"])
        try await session.run("update t set k = k + 100")
        #expect(await fetch("p", 0) == ["SELECT 0"])
        try await session.run("commit")
    }

    /// What it has read is taken back.
    @Test func `a portal first executed after a savepoint ends with the return to it`() async throws {
        try await session.run("create table t (k int primary key)")
        try await session.run("insert into t values (1)")
        try await session.run("begin")
        try await bind("p", "select k from t")
        try await bind("all", "select k from t")
        try await session.run("savepoint s; insert into t values (2)")
        #expect(await fetch("p", 1) == ["1", "suspended"])
        #expect(await fetch("all", 0) == ["1", "2", "SELECT 2"])
        try await session.run("rollback to s")
        #expect(await fetch("all", 0) == ["SELECT 0"])
        #expect(await fetch("p", 0) == ["55000"])
        try await session.run("rollback")
    }

    @Test func `what must be alone does not follow a suspended portal`() async throws {
        try await session.run("create table t (k int primary key)")
        try await session.run("insert into t values (1), (2)")
        try await bind("p", "select k from t for update")
        #expect(await fetch("p", 1) == ["1", "suspended"])
        try await bind("v", "vacuum")
        #expect(await fetch("v", 0) == ["25001"])
    }

    @Test(arguments: [
        "truncate t", "drop table t", "alter table t add primary key (k)",
    ])
    func `a table that a portal still locks rows of is not replaced`(change: String) async throws {
        try await session.run("create table t (k int not null); create table u (k int)")
        try await session.run("insert into t values (1), (2)")
        try await session.run("begin")
        try await bind("p", "select k from t for update")
        #expect(await fetch("p", 1) == ["1", "suspended"])
        try await session.run("savepoint s")
        let verb = change.split(separator: " ")[0] == "truncate" ? "TRUNCATE" :
            change.split(separator: " ").prefix(2).joined(separator: " ").uppercased()
        #expect(
            await session.failure(change)
                == "55006 cannot \(verb) \"t\" because it is being used by active queries in this "
                + "session")
        try await session.run("rollback to s; drop table u")
        #expect(await fetch("p", 0) == ["2", "SELECT 1"])
        try await session.run("\(change); commit")
    }

    /// What it has computed by then comes out later.
    @Test(arguments: ["", " for update"])
    func `a portal survives a cancel of another statement`(clause: String) async throws {
        try await session.run("create table t (k int primary key)")
        try await session.run("insert into t select * from generate_series(1, 5000)")
        try await session.run("begin")
        try await bind("p", "select k from t\(clause)")
        #expect(await fetch("p", 1) == ["1", "suspended"])
        try await session.run("savepoint s")
        let cancel = session.session.canceller
        node.backend.state.withLock { $0.onScan = cancel }
        #expect(await session.failure("select 1").hasPrefix("57014"))
        node.backend.state.withLock { $0.onScan = nil }
        try await session.run("rollback to s")
        #expect(await fetch("p", 0) == (2...5000).map(String.init) + ["SELECT 4999"])
        try await session.run("commit")
    }

    /// Wherever the cancel meets the reading ahead, no row of it is lost.
    @Test(
        arguments: [
            "select x from generate_series(1, 1000) as g(x) where x > 0",
            "values \((1...1000).map { "(\($0))" }.joined(separator: ","))",
        ], 1...5)
    func `a portal loses no rows to a cancel`(query: String, place: Int) async throws {
        // From the moment it is set, so many pieces of work until the cancel.
        let left = Mutex<(Int, @Sendable () -> Void)?>(nil)
        let session = try TestSession(
            node, turnBudget: 5_000,
            offload: { work in
                let cancel = left.withLock { left -> (@Sendable () -> Void)? in
                    guard let (count, cancel) = left else { return nil }
                    left = count == 1 ? nil : (count - 1, cancel)
                    return count == 1 ? cancel : nil
                }
                cancel?()
                TestWorker.run(work)
            })
        try await session.run("begin")
        try await session.begin(query, as: "p")
        try await session.run("savepoint s")
        left.withLock { $0 = (place, session.session.canceller) }
        #expect(await session.failure("select 1").hasPrefix("57014"))
        #expect(left.withLock { $0 == nil })
        try await session.run("rollback to s")
        session.sink.lines = []
        try await session.session.execute(portal: "p", maxRows: 0, into: session.sink)
        #expect(session.sink.lines == (2...1000).map(String.init) + ["SELECT 999"])
    }

    /// A query for one row that names its key does not read it before.
    @Test func `a named key is locked at once`() async throws {
        try await session.run("create table t (k int primary key, v int)")
        try await session.run("insert into t select x, x from generate_series(1, 9) as g(x)")
        try await session.run("begin")
        for (query, count) in [
            ("select v from t where k = 1 limit 1 for update", 0),
            ("select v from t where k = 2 for update", 1),
            ("select v from t where k in (3, 4, 5) limit 3 for update", 0),
        ] {
            try await bind("", query)
            _ = node.backend.takeCalls()
            let answer = await fetch("", count)
            #expect(answer.last?.hasPrefix("SELECT") == true || answer.last == "suspended")
            let calls = node.backend.takeCalls()
            #expect(calls.count { $0.hasPrefix("lock") } == 1, "\(calls)")
            #expect(!calls.contains { $0.hasPrefix("get") || $0.hasPrefix("scan") }, "\(calls)")
        }
        // A request for each of them would be spent on those that are not there.
        let keys = (1...1000).map { String($0 * 1000) }.joined(separator: ",")
        try await bind("", "select v from t where k in (9, \(keys)) limit 1 for update")
        _ = node.backend.takeCalls()
        #expect(await fetch("", 0) == ["9", "SELECT 1"])
        #expect(node.backend.takeCalls().count { $0.hasPrefix("lock") } == 1)
        // Nor is a row locked that the rest of the condition does not let through.
        let other = try TestSession(node)
        #expect(
            try await other.run("select v from t where k = 1 and v = 7 limit 1 for update nowait")
                == ["SELECT 0"])
        try await session.run("commit")
    }

    /// Rows that others have locked do not count for the limit.
    @Test func `a portal that skips locked rows finds as many others`() async throws {
        try await session.run("create table t (k int primary key)")
        try await session.run("insert into t select * from generate_series(1, 20)")
        try await session.run("begin")
        try await bind("p", "select k from t limit 5 for update skip locked")
        #expect(await fetch("p", 1) == ["1", "suspended"])
        try await session.run("select 1")
        let other = try TestSession(node)
        try await other.run("begin; select k from t where k between 2 and 8 for update")
        #expect(await fetch("p", 0) == ["9", "10", "11", "12", "SELECT 4"])
        try await other.run("commit")
        try await session.run("commit")
    }

    /// Nor is all of a large table read for them, or in pages of a row.
    @Test func `what is read ahead under SKIP LOCKED is bounded`() async throws {
        try await session.run("create table t (k int primary key)")
        try await session.run("insert into t select * from generate_series(1, 30000)")
        try await session.run("begin")
        try await bind("p", "select k from t limit 2 for update skip locked")
        #expect(await fetch("p", 1) == ["1", "suspended"])
        _ = node.backend.takeCalls()
        try await session.run("select 1")
        #expect((10...20).contains(node.backend.takeCalls().count { $0 == "scan" }))
        #expect(await fetch("p", 0) == ["2", "SELECT 1"])
        try await session.run("commit")
    }

    @Test func `changes of large rows lock by as many requests as they need`() async throws {
        try await session.run("create table t (k int primary key, v int)")
        try await session.run("insert into t select x, x from generate_series(1, 500) as g(x)")
        node.backend.state.withLock { $0.answeredKeys = 30 }
        let keys = (1...500).map(String.init).joined(separator: ",")
        #expect(try await session.run("update t set v = 0 where k in (\(keys))") == ["UPDATE 500"])
        #expect(try await session.run("update t set v = 1") == ["UPDATE 500"])
        let rows = "select x, x from generate_series(1, 600) as g(x)"
        #expect(
            try await session.run("insert into t \(rows) on conflict do nothing") == ["INSERT 0 100"])
        #expect(
            try await session.run("insert into t \(rows) on conflict (k) do update set v = 2")
                == ["INSERT 0 600"])
        #expect(try await session.run("delete from t where k in (\(keys))") == ["DELETE 500"])
    }

    @Test func `rows are locked by the hundred where all are wanted`() async throws {
        try await session.run("create table t (k int primary key, v int)")
        try await session.run("insert into t select x, x from generate_series(1, 1000) as g(x)")
        try await session.run("begin")
        try await bind("p", "select k from t offset 500 for update")
        _ = node.backend.takeCalls()
        #expect(await fetch("p", 1) == ["501", "suspended"])
        #expect(await fetch("p", 0).count == 500)
        #expect(node.backend.takeCalls().count { $0.hasPrefix("lock") } <= 8)
        try await session.run("commit")
    }

    /// The keys that a condition names are kept only as long as they wait, and counted.
    @Test func `keys that are not there are not kept`() async throws {
        try await session.run("create table t (k int primary key, v int)")
        try await session.run("insert into t values (1, 1), (4999, 2)")
        try await session.run("begin")
        let keys = (1...5000).map(String.init).joined(separator: ",")
        try await bind("p", "select k from t where k in (\(keys)) for update")
        #expect(await fetch("p", 1) == ["1", "suspended"])
        let portal = try #require(session.session.portals["p"])
        #expect(portal.heldBytes > 5_000 * 48)
        try await session.run("select 1")
        #expect(portal.heldBytes < 300)
        #expect(await fetch("p", 0) == ["4999", "SELECT 1"])
        try await session.run("commit")
    }

    /// An answer holds so many bytes.
    @Test func `large rows are locked by as many requests as they need`() async throws {
        try await session.run("create table t (k int primary key, v int)")
        try await session.run("insert into t select x, x from generate_series(1, 500) as g(x)")
        node.backend.state.withLock { $0.answeredKeys = 30 }
        let lines = try await session.run("select k from t order by k desc for update")
        #expect(lines == (1...500).reversed().map(String.init) + ["SELECT 500"])
    }

    // MARK: Size

    /// Many portals with little in each are let go of together, by a worker.
    @Test func `what waits in many portals is let go of by a worker`() async throws {
        let count = Mutex(0)
        let session = try TestSession(
            node,
            offload: { work in
                count.withLock { $0 += 1 }
                TestWorker.run(work)
            })
        try await session.run("begin")
        let text = "select repeat('x', 10000) from generate_series(1, 20)"
        for number in 0..<20 { try await session.begin(text, as: "p\(number)") }
        try await session.run("select 1")
        let held = session.session.portals.all.map(\.heldBytes)
        #expect(held.count == 20 && held.allSatisfy { $0 > 150_000 })
        let before = count.withLock(\.self)
        try await session.run("rollback")
        #expect(count.withLock(\.self) == before + 1)
    }
}
