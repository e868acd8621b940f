import SteleBase
import Synchronization
import Testing

@testable import SteleSQL

/// What a session computes: in its own turn as long as that is short, in a worker beyond.
@Suite(.timeLimit(.minutes(2)))
struct WorkMeterTests {
    private static let statements = [
        "create table t (k int primary key, v text, n numeric default 1 + 1.5)",
        "insert into t (k, v) select x, repeat('ab', x % 7) from generate_series(1, 700) as g(x)",
        "insert into t values (701, 'a'), (702, lower('B')), (703, null) returning k, upper(v), n * 2",
        "insert into t (k, v) select x, 'again' from generate_series(700, 710) as g(x) "
            + "on conflict (k) do update set v = t.v || '+' || excluded.v || length(t.v) returning *",
        "select * from t where length(v) > 11 and k % 3 = 0 order by v desc, k limit 5 offset 2",
        "select k % 5, count(*), sum(n), string_agg(v, ','), max(v), stddev(k) from t "
            + "where k < 40 group by k % 5 having count(*) > 1 order by 1 desc",
        "select distinct v, length(v) from t order by 2, 1",
        "select k from t where k in (3, 1, 9000, 2) or v like '%abab%' and k between 10 and 15",
        "update t set v = v || k, k = k + 10000 where k % 100 = 3 returning k, v",
        "update t set n = n * n + k where k < 300 and n is not null",
        "delete from t where k > 690 returning k, reverse(v)",
        "select sum(n), count(distinct v), avg(length(v)) from t",
        "select set_config('x.y', k::text, false), current_setting('x.y') from t where k < 4",
        "select current_setting('x.y')",
        "values (1, 'a'), (2, repeat('x', 30)), (3, null)",
        "select x, x * x, case when x > 300 then 'large' else 'small' end "
            + "from generate_series(1, 400) as g(x) where x % 50 = 0",
        "select 1 / (x - 400) from generate_series(1, 1000) as g(x)",
        "select k, 10 / (k - 5) from t order by v",
        "select ('1' || repeat('0', 500))::numeric * ('9' || repeat('1', 500))::numeric",
        "prepare p as select v || $1 from t where k < $2 order by k",
        "execute p(upper('x'), 2 + 3)",
        "select for update",
        "begin; select k from t where k in (5, 6, 7) for update; rollback",
    ]

    private func answers(_ session: TestSession) async -> [String] {
        var answers: [String] = []
        for text in Self.statements {
            do {
                answers += try await session.run(text)
            } catch {
                answers.append("\((error as? SQLError)?.state ?? "?")")
            }
        }
        return answers
    }

    /// Budgets at which work is begun anew at every place there is, and at hardly any.
    @Test(arguments: [1, 50, 300, 1_000, 5_000, 40_000])
    func `work that is begun anew comes to the same`(budget: Int) async throws {
        let handedOver = HandedOver()
        let session = try TestSession(TestNode(), turnBudget: budget) { work in
            handedOver.work.withLock { $0.append(work) }
            TestWorker.run(work)
        }
        let expected = try TestSession(TestNode(), turnBudget: .max) { _ in
            Issue.record("nothing takes that long")
        }
        let answers = await answers(session)
        #expect(await self.answers(expected) == answers)
        let isNeeded = !handedOver.work.withLock { $0.isEmpty }
        #expect(isNeeded)
    }

    private final class HandedOver: Sendable {
        let work = Mutex<[@Sendable () -> Void]>([])
    }

    @Test func `what a row asked for counts once`() async throws {
        let session = try TestSession(TestNode(), turnBudget: 300)
        let clock = ContinuousClock()
        let took = try await clock.measure {
            try await session.run(
                "select pg_sleep(0.01), length(repeat('x', 1000)) from generate_series(1, 5)")
        }
        #expect(took >= .milliseconds(50) && took < .milliseconds(400))
    }

    @Test(arguments: [
        "select count(sqrt(repeat('9', 2000)::numeric)) from generate_series(1, 1000000)",
        "select count(*) from generate_series(1, 1000000000)",
        "select count(*) from generate_series(1, 200000) as g(x) where repeat('ab', 5000) || x like "
            + "'%' || repeat('a%', 400) || 'c'",
        "select x from generate_series(1, 300000) as g(x) order by md5(x::text) || repeat('x', 60)",
        "select 1 where \(Array(repeating: "sqrt(repeat('9', 3000)::numeric) > 1", count: 2000).joined(separator: " and "))",
    ])
    func `a limit of time ends what computes`(text: String) async throws {
        let session = try TestSession(TestNode())
        try await session.run("set statement_timeout = '100ms'")
        let clock = ContinuousClock()
        let took = await clock.measure {
            #expect(
                await session.failure(text)
                    == "57014 canceling statement due to statement timeout", "\(text.prefix(60))")
        }
        #expect(took < .seconds(4), "\(text.prefix(60))")
    }

    @Test func `a request to cancel is heard while no worker is free`() async throws {
        let handedOver = HandedOver()
        let session = try TestSession(TestNode(), turnBudget: 100) { work in
            handedOver.work.withLock { $0.append(work) }
        }
        let cancel = session.session.canceller
        let canceller = Task {
            while handedOver.work.withLock({ $0.isEmpty }) { await Task.yield() }
            cancel()
        }
        let failure = await session.failure("select length(repeat('x', 100000))")
        #expect(failure == "57014 canceling statement due to user request")
        await canceller.value
        // The worker comes late and finds nothing to do.
        for work in handedOver.work.withLock({ $0 }) { work() }
    }

    // MARK: Nesting

    private func nested(_ before: String, _ middle: String, _ after: String, _ levels: Int) -> String {
        String(repeating: before, count: levels) + middle + String(repeating: after, count: levels)
    }

    /// PostgreSQL runs all of these.
    @Test func `statements nest thousands of levels deep`() async throws {
        let session = try TestSession(TestNode())
        for (expression, value) in [
            ("1" + String(repeating: " + 1", count: 3_000), "3001"),
            ("''" + String(repeating: " || 'x'", count: 3_000), String(repeating: "x", count: 3_000)),
            (nested("(", "1", ")", 2_000), "1"), (nested("abs(", "-7", ")", 1_500), "7"),
            (nested("case when false then 2 else ", "1", " end", 500), "1"),
            (nested("coalesce(null, ", "3", ")", 1_500), "3"),
            ("1" + String(repeating: "::int", count: 2_000), "1"),
            (nested("not ", "true", "", 2_000), "t"), (nested("- ", "5", "", 2_000), "5"),
        ] {
            #expect(try await session.run("select \(expression)") == [value, "SELECT 1"])
        }
    }

    @Test func `what nests deeply can be kept and used everywhere`() async throws {
        let session = try TestSession(TestNode())
        let deep = "0" + String(repeating: " + 1", count: 2_000)
        try await session.run("create table t (k int primary key, v int default \(deep))")
        try await session.run("insert into t values (\(deep)), (1)")
        #expect(try await session.run("select * from t order by k + \(deep)")
            == ["1|2000", "2000|2000", "SELECT 2"])
        #expect(try await session.run("update t set v = v - (\(deep)) where k = \(deep)")
            == ["UPDATE 1"])
        #expect(try await session.run("prepare p as select v + $1 + \(deep) from t order by k")
            == ["PREPARE"])
        #expect(try await session.run("execute p(\(deep))") == ["6000", "4000", "SELECT 2"])
        #expect(try await session.extended("select \(deep) + $1", ["5"]) == ["2005", "SELECT 1"])
        #expect(
            try await session.run("select sum(v + \(deep)) from t group by v > \(deep)")
                == ["6000", "SELECT 1"])
        #expect(try await session.run("delete from t where v < \(deep) returning k + \(deep)")
            == ["4000", "DELETE 1"])
    }
}
