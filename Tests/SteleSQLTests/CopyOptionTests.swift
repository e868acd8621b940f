import Testing

@testable import SteleSQL

/// The options of COPY and the ends of its lines, as PostgreSQL 15 has them.
struct CopyOptionTests {
    private func session() async throws -> TestSession {
        let session = try TestSession(TestNode(), isJudged: true)
        try await session.run("create table t (a text, b text)")
        return session
    }

    @Test(arguments: [
        ("(format csv, escape '\\')", ["\"a\\\"b\",c\n"], ["a\"b|c"]),
        ("(format csv, escape '\\')", ["\"a\\\\\",\"\\x\"\n"], ["a\\|\\x"]),
        ("(format csv, quote '''', escape '\\')", ["'it\\'s',1\n"], ["it's|1"]),
        ("csv escape '\\'", ["\"a\\\"b\",c\n"], ["a\"b|c"]),
        ("(format csv, force_null (b))", ["\"\",\"\"\n,\n"], ["|∅", "∅|∅"]),
        ("(format csv, force_not_null (b))", ["\"\",\"\"\n,\n"], ["|", "∅|"]),
        ("(format csv, null 'NULL', force_null (a, b))", ["\"NULL\",NULL\n"], ["∅|∅"]),
        ("csv force not null a", [",\n"], ["|∅"]),
        ("(format csv, header match)", ["a,b\n1,2\n"], ["1|2"]),
        ("(header match)", ["a\tb\n1\t2\n"], ["1|2"]), ("(header)", ["x\n1\t2\n"], ["1|2"]),
        ("(header 0)", ["1\t2\n"], ["1|2"]), ("(encoding 'UTF-8')", ["ä\t2\n"], ["ä|2"]),
        ("(delimiter ';', null '')", ["1;\n"], ["1|∅"]),
        // Ends of lines.
        ("", ["1\t2\r\n3\t4\r\n"], ["1|2", "3|4"]), ("", ["1\t2\r", "3\t4\r"], ["1|2", "3|4"]),
        ("", ["1\t2\r", "\n3\t4"], ["1|2", "3|4"]), ("", ["x\\\ny\t2\n"], ["x\ny|2"]),
        ("", ["x\\", "\ny\t2\n"], ["x\ny|2"]), ("", ["\\\\\t\\t\n"], ["\\|\t"]),
        ("csv", ["\"1\r\n2\",3\r\n"], ["1\r\n2|3"]), ("", ["1\t2\n\\.\nrest"], ["1|2"]),
        // The mark of the end.
        ("", ["1\tx\\", ".\n2\ty\n"], ["1|x"]), ("csv", ["1,x\\.\n2,y\n"], ["1|x\\.", "2|y"]),
        ("", ["1\tx\\.\r\n"], ["1|x"]), ("", ["1\tx\r\n\\.\r", "\n2\ty\r\n"], ["1|x"]),
        ("", ["1\tx\r\\.\r2\ty\r"], ["1|x"]), ("", ["\\.\n"], []), ("csv", ["\\.\n1,2\n"], []),
        ("", ["1\t\\\\.\n2\tb\n"], ["1|\\.", "2|b"]), ("csv", ["1,x\n\\.\n2,y\n"], ["1|x"]),
    ])
    func `data is read`(options: String, data: [String], expected: [String]) async throws {
        let session = try await session()
        try await session.run("copy t from stdin \(options)", copy: data)
        #expect(try await session.run("select * from t").dropLast() == expected[...])
    }

    @Test func `another encoding is read as such`() async throws {
        let session = try TestSession(TestNode())
        try await session.run("create table t (a text, b text)")
        session.sink.lines = []
        session.sink.copyData = [[0xE4, 9, 0x41, 0xFF, 10][...]]
        try await session.session.simpleQuery(
            "copy t from stdin (encoding 'latin1')", into: session.sink)
        #expect(try await session.run("select * from t") == ["ä|Aÿ", "SELECT 1"])
    }

    @Test(arguments: [
        ("(format csv, delimiter '\"')", "22023 COPY delimiter and quote must be different"),
        ("(delimiter 'a')", "22023 COPY delimiter cannot be \"a\""),
        ("(delimiter '\\')", "22023 COPY delimiter cannot be \"\\\""),
        ("(delimiter E'\\n')", "22023 COPY delimiter cannot be newline or carriage return"),
        ("(delimiter 'ab')", "0A000 COPY delimiter must be a single one-byte character"),
        ("(null E'\\r')", "22023 COPY null representation cannot use newline or carriage return"),
        ("(null ';', delimiter ';')",
            "0A000 COPY delimiter must not appear in the NULL specification"),
        ("(format csv, null '\"')",
            "0A000 CSV quote character must not appear in the NULL specification"),
        ("(quote '\"')", "0A000 COPY quote available only in CSV mode"),
        ("(escape '\\')", "0A000 COPY escape available only in CSV mode"),
        ("(force_null (a))", "0A000 COPY force null available only in CSV mode"),
        ("(force_not_null (a))", "0A000 COPY force not null available only in CSV mode"),
        ("(format csv, force_quote (a))", "0A000 COPY force quote only available using COPY TO"),
        ("(format csv, force_null (z))", "42703 column \"z\" of relation \"t\" does not exist"),
        ("(format csv, header yes)", "42601 header requires a Boolean value or \"match\""),
        ("(format xml)", "22023 COPY format \"xml\" not recognized"),
        ("(encoding 'nope')",
            "22023 argument to option \"encoding\" must be a valid encoding name"),
        ("(nothing)", "42601 option \"nothing\" not recognized"),
        ("(format csv, format csv)", "42601 conflicting or redundant options"),
    ])
    func `options that make no sense are refused`(options: String, error: String) async throws {
        let session = try await session()
        #expect(await session.failure("copy t from stdin \(options)") == error)
    }

    @Test(arguments: [
        ("(header match)", "x\tb\n",
            "22P04 column name mismatch in header line field 1: got \"x\", expected \"a\""),
        ("(header match)", "a\n", "22P04 wrong number of fields in header line: got 1, expected 2"),
        ("(header match)", "\\N\tb\n",
            "22P04 column name mismatch in header line field 1: got null value (\"\\N\"), "
                + "expected \"a\""),
        ("", "1\t2\n3\r\t4\n", "22P04 literal carriage return found in data"),
        ("", "1\t2\r\n3\t4\n", "22P04 literal newline found in data"),
        ("", "1\t2\r3\t4\n", "22P04 literal newline found in data"),
        ("csv", "1,2\n3\r,4\n", "22P04 unquoted carriage return found in data"),
        ("csv", "1,\"2\n", "22P04 unterminated CSV quoted field"),
        ("", "a\\.b\tc\n", "22P04 end-of-copy marker corrupt"),
        ("", "1\tx\n\\.", "22P04 end-of-copy marker corrupt"),
        ("", "1\tx\r\n\\.\rx\n", "22P04 end-of-copy marker corrupt"),
        ("", "1\tx\r\n\\.\n", "22P04 end-of-copy marker does not match previous newline style"),
        ("", "1\tx\n\\.\r\n", "22P04 end-of-copy marker does not match previous newline style"),
        ("", "1\\.\n2\ty\n", "22P04 missing data for column \"b\""),
        ("csv", "1,x\n\\.", "22P04 missing data for column \"b\""),
    ])
    func `data that makes no sense is refused`(
        options: String, data: String, error: String
    ) async throws {
        let session = try await session()
        #expect(await session.failure("copy t from stdin \(options)", copy: [data]) == error)
    }

    @Test func `a column that is not copied cannot be forced`() async throws {
        let session = try await session()
        #expect(
            await session.failure("copy t (a) from stdin (format csv, force_null (b))")
                == "42P10 FORCE_NULL column \"b\" not referenced by COPY")
    }
}
