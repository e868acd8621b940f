import SteleBase
import Testing

@testable import SteleSQL

/// What statements of a few bytes may make a node hold, and how long they may keep it busy.
@Suite struct HoldingTests {
    let session: TestSession

    init() throws { session = try TestSession(TestNode()) }

    private static let long = "repeat(repeat('x', 1000), 40000)"

    /// Copies of a text with a comma between.
    private static func list(_ text: String, _ count: Int) -> String {
        Array(repeating: text, count: count).joined(separator: ", ")
    }

    @Test(arguments: [
        "\(long) || \(long)", "concat(\(long), \(long))", "concat_ws('', \(long), \(long))",
        "replace(repeat('a', 10000), 'a', repeat('b', 10000))",
    ])
    func `no text is computed that is longer than any may be`(expression: String) async {
        #expect(
            await session.failure("select length(\(expression))")
                == "54000 requested length too large")
    }

    @Test(arguments: [
        // As arguments of a call, beside each other in a row, and gathered from many.
        "select length(concat(\(list("left(\(long), 1)", 3)), '', \(list(long, 8))))",
        "select \(list(long, 8))", "insert into t values (\(list(long, 8)))",
        "update t set \((1...8).map { "a\($0) = \(long)" }.joined(separator: ", "))",
        "select 1 from generate_series(1, 8) order by \(long)",
        "select max(\(long) || x) from generate_series(1, 8) as g(x) group by x",
        "select string_agg(\(long), '') from generate_series(1, 8) as g(x) group by x",
    ])
    func `no statement holds more values than it may`(text: String) async throws {
        let columns = (1...8).map { "a\($0) text" }.joined(separator: ", ")
        try await session.run("create table t (\(columns))")
        try await session.run("insert into t (a1) values ('1')")
        let failure = await session.failure(text)
        #expect(failure.hasPrefix("53200") || failure.hasPrefix("54000"), "\(failure)")
    }

    @Test func `what an aggregate has seen counts`() throws {
        var state = Aggregate.State()
        var memory = MemoryMeter()
        let aggregate = Aggregate(kind: .count, argument: .column(0), isDistinct: true)
        for number in 0..<100 as Range<Int64> {
            try state.add(aggregate, Aggregate.Input(argument: .int(number % 10)), &memory)
        }
        #expect(memory.bytes == 10 * MemoryMeter.size(of: [.int(0)]))
    }

    @Test(arguments: [
        "select repeat('x', 2000000) from generate_series(1, 200)",
        "values \(list("(repeat('x', 2000000))", 200))",
    ])
    func `large rows come out as they are computed`(text: String) async throws {
        let kept = session.session
        try await session.run("begin")
        try await kept.prepare("s", text, parameterTypes: [])
        try await kept.bind(
            portal: "p", statement: "s", parameterFormats: [], parameters: [], resultFormats: [])
        try await kept.execute(portal: "p", maxRows: 1, into: session.sink)
        #expect(kept.portals["p"]?.waitingCount == 0)
        try await session.run("rollback")
    }

    @Test func `rows to be written do not wait for a thousand of them if they are large`()
        async throws
    {
        let node = TestNode()
        let session = try TestSession(node)
        try await session.run("create table large (id int primary key, v text)")
        _ = node.backend.takeCalls()
        let written = try await session.run(
            "insert into large select x, repeat('x', 1000000) from generate_series(1, 20) as g(x)")
        #expect(written == ["INSERT 0 20"])
        #expect(node.backend.takeCalls().count { $0.hasPrefix("lock") } >= 10)
    }

    @Test(
        .timeLimit(.minutes(1)),
        arguments: [
            "position(repeat('a', 500000) || 'b' in repeat('a', 1000000))",
            "length(replace(repeat('a', 1000000), repeat('a', 500000) || 'b', ''))",
            "length(split_part(repeat('a', 1000000), repeat('a', 500000) || 'b', -1))",
            "length(rtrim(repeat('a', 1000000), repeat('b', 1000000) || 'a'))",
        ])
    func `a search takes no longer than both texts do`(expression: String) async throws {
        try await session.run("select \(expression)")
    }

    @Test func `a search finds what a plain one finds`() {
        var random = SeededRandom(seed: 8)
        for _ in 0..<3_000 {
            let text = String((0..<random.below(40)).map { _ in random.oneIn(3) ? "b" : "a" })
            let part = String((0..<random.below(6)).map { _ in random.oneIn(3) ? "b" : "a" })
            var expected: [Int] = []
            var start = 0
            while start + part.count <= text.count, !part.isEmpty || expected.isEmpty {
                if text.dropFirst(start).hasPrefix(part) {
                    expected.append(start)
                    start += max(part.count, 1)
                } else {
                    start += 1
                }
            }
            var search = TextSearch(for: part, in: text)
            var found: [Int] = []
            while let place = search.next() { found.append(place) }
            #expect(found == expected, "\(part) in \(text)")
        }
    }

    @Test func `a text has so many words and no more`() async throws {
        let sound = "select 1 in (\(String(repeating: "1,", count: 100_000))1)"
        #expect(try await session.run(sound)[0] == "t")
        let many = "select 1 in (\(String(repeating: "1,", count: Limits.statementTokens))1)"
        #expect(await session.failure(many) == "54001 statement too complex")
    }

    // MARK: Between statements

    @Test func `a session keeps no more statements and portals than fit`() async throws {
        let padding = String(repeating: " ", count: 1_000_000)
        let kept = session.session
        var count = 0
        let error = await #expect(throws: SQLError.self) {
            while count < 1_000 {
                try await kept.prepare("s\(count)", "select 1\(padding)", parameterTypes: [])
                count += 1
            }
        }
        #expect(error?.state == "53200" && count >= 2)
        await kept.fail()
        kept.closeStatement("s0")
        try await kept.prepare("again", "select 1\(padding)", parameterTypes: [])
        // The one without a name is replaced, so it may be as long as a message.
        let long = "select \(String(repeating: " ", count: 8 << 20))1"
        try await kept.prepare("", long, parameterTypes: [])

        try await kept.prepare("text", "select $1::text", parameterTypes: [])
        let value = [UInt8](repeating: 1, count: 1 << 20)
        count = 0
        let full = await #expect(throws: SQLError.self) {
            while count < 1_000 {
                try await kept.bind(
                    portal: "p\(count)", statement: "text", parameterFormats: [],
                    parameters: [value[...]], resultFormats: [])
                count += 1
            }
        }
        #expect(full?.state == "53200" && count >= 60)
        await kept.fail()
    }

    @Test func `portals that wait hold together what one may`() async throws {
        try await session.run("begin")
        let kept = session.session
        let text = "select x, repeat(repeat('x', 1000), 6000) from generate_series(1, 20) as g(x)"
        try await kept.prepare("rows", text + " order by x", parameterTypes: [])
        for number in 0..<6 {
            try await kept.bind(
                portal: "p\(number)", statement: "rows", parameterFormats: [], parameters: [],
                resultFormats: [])
            try await kept.execute(portal: "p\(number)", maxRows: 1, into: Oblivion())
        }
        let held = kept.portals.all.reduce(0) { $0 + $1.heldBytes }
        #expect(held > 200_000_000 && held <= Limits.statementBytes)
        for number in 0..<2 {
            try await kept.execute(portal: "p\(number)", maxRows: 1, into: Oblivion())
        }
        let error = await #expect(throws: SQLError.self) {
            try await kept.execute(portal: "p2", maxRows: 1, into: Oblivion())
        }
        #expect(error?.state == "53200")
        await kept.fail()
    }

    /// It would hold too much if another statement ran: that statement does, and the portal ends.
    @Test func `a portal that cannot be read to its end fails no other statement`() async throws {
        try await session.run("begin")
        let text = "select x, repeat(repeat('x', 1000), 6000) from generate_series(1, 60) as g(x)"
        try await session.begin(text, as: "large")
        try await session.begin("select * from generate_series(1, 1000)", as: "small")
        #expect(try await session.run("select 1") == ["1", "SELECT 1"])
        let error = await #expect(throws: SQLError.self) {
            try await session.session.execute(portal: "large", maxRows: 1, into: Oblivion())
        }
        #expect(error?.state == "53200")
        #expect(session.session.portals["small"]?.heldBytes ?? 0 > 999 * 64)
        await session.session.fail()
        try await session.run("rollback")
    }

    @Test func `savepoints and settings have an end`() async throws {
        let many = Array(repeating: "savepoint s", count: 2_000).joined(separator: ";")
        try await session.run("begin")
        var failure = ""
        for _ in 0..<40 where failure.isEmpty {
            let result = await session.failure(many)
            if !result.hasPrefix("no error") { failure = result }
        }
        #expect(failure.hasPrefix("54000"))
        try await session.run("rollback")
        let long = String(repeating: "x", count: Limits.settingBytes)
        for name in ["application_name", "my.own"] {
            #expect(await session.failure("set \(name) = '\(long)'").hasPrefix("54000"))
        }
        var last = ""
        for number in 0...Limits.settings {
            last = await session.failure("set my.s\(number) = '1'")
        }
        #expect(last.hasPrefix("54000"))
        let changes = "where set_config('a.b', '1', false) = ''"
        #expect(
            await session.failure("select 1 from generate_series(1, 10000) \(changes)")
                .hasPrefix("54000"))
    }
}

/// Forgets rows.
private final class Oblivion: ResultSink {
    func columns(_ columns: [ResultColumn]) {}
    func row(_ values: [Datum]) {}
    func complete(tag: String) {}
    func suspended() {}
    func emptyQuery() {}
    func notice(_ notice: SQLError) {}
    func copyIn(columns: Int, binary: Bool) {}
    func nextCopyData() async throws(SQLError) -> ArraySlice<UInt8>? { nil }
    func flushIfNeeded() async throws(SQLError) {}
}
