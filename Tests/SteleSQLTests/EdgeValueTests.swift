import Foundation
import SteleBase
import Testing

@testable import SteleSQL

/// Values at the ends of their types' ranges, through every function, operator and cast: each gives
/// a value or an error, and none ends the process.
///
/// `STELE_EDGE_STATEMENTS=1` prints each statement before it runs.
@Suite struct EdgeValueTests {
    static let edges: [(type: SQLType, values: [String])] = [
        (.bool, ["true", "false"]),
        (.int2, ["-32768", "32767", "0", "-1"]),
        (.int4, ["-2147483648", "2147483647", "0", "-1", "7"]),
        (.int8, ["-9223372036854775808", "9223372036854775807", "0", "-1", "2147483648"]),
        (.oid, ["0", "4294967295"]),
        (.float4, ["3.4028235e38", "-3.4028235e38", "1e-45", "NaN", "Infinity", "-Infinity", "-0"]),
        (
            .float8,
            [
                "1.7976931348623157e308", "-1.7976931348623157e308", "5e-324", "NaN", "Infinity",
                "-Infinity", "-0", "9223372036854775807", "-9223372036854775809", "9.3e18", "1e19",
            ]
        ),
        (
            .numeric(nil),
            [
                "0", "NaN", "Infinity", "-Infinity", "9223372036854775808", "-9223372036854775809",
                "1e-16383", "1e131071", "-1e131071", "0.5", "99999999999999999999.99999999999999",
            ]
        ),
        (.text, ["", "a", "äöü", "\u{1F600}", "9223372036854775808", "year", "epoch", "-1", "%"]),
        (.bytea, ["", "\\x00ff", "\\xffffffffffffffff"]),
        (.date, ["4714-11-24 BC", "5874897-12-31", "infinity", "-infinity", "0001-12-31 BC"]),
        (
            .timestamp,
            [
                "4714-11-24 00:00:00 BC", "294276-12-31 23:59:59.999999", "294247-01-11",
                "infinity", "-infinity", "1999-12-31 23:59:59.999999",
            ]
        ),
        (
            .timestamptz,
            [
                "4714-11-24 00:00:00+00 BC", "294276-12-31 23:59:59.999999+00", "294247-01-11+00",
                "infinity", "-infinity", "1970-01-01+00",
            ]
        ),
        (.uuid, ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"]),
    ]

    private static func literals(_ type: SQLType) -> [String] {
        let plain = type.withoutModifier
        let known = edges.first { $0.type == plain } ?? edges.first { $0.type == .text }
        return (known?.values ?? []).map { "'\($0)'::\(type.plainName)" } + ["null::\(type.plainName)"]
    }

    /// Runs an expression; any answer is right that is a value or an error with a state.
    private func run(_ expression: String, _ session: TestSession) async {
        if Self.isLoud { print(expression) }
        let error = await session.error("select \(expression)")
        if let error { #expect(error.state.utf8.count == 5, "\(expression): \(error.message)") }
    }

    private static let isLoud = getenv("STELE_EDGE_STATEMENTS") != nil

    /// All choices of one literal for each type, or so many of them at random.
    private func choices(
        _ types: [SQLType], atMost limit: Int, _ random: inout SeededRandom
    ) -> [[String]] {
        let lists = types.map(Self.literals)
        let count = lists.reduce(1) { $0 * $1.count }
        if count <= limit {
            return lists.reduce([[]]) { all, list in
                all.flatMap { chosen in list.map { chosen + [$0] } }
            }
        }
        return (0..<limit).map { _ in
            lists.map { $0[Int(random.below(UInt64($0.count)))] }
        }
    }

    /// Each function without arguments, with too few and with too many.
    @Test func numbersOfArguments() async throws {
        let session = try TestSession(TestNode())
        let names = Function.signatures.keys.sorted() + Function.variadic.keys.sorted()
        for name in names where name != "pg_sleep" && name != "set_config" {
            for count in 0...5 {
                for value in ["'1'", "1", "null", "'a'::text"] {
                    let values = Array(repeating: value, count: count)
                    await run("\(name)(\(values.joined(separator: ", ")))", session)
                }
            }
        }
    }

    @Test func functions() async throws {
        let session = try TestSession(TestNode())
        var random = SeededRandom(seed: 16)
        // They wait, or change the session.
        let skipped: Set<String> = ["pg_sleep", "set_config"]
        for name in Function.signatures.keys.sorted() where !skipped.contains(name) {
            for signature in Function.signatures[name] ?? [] {
                for values in choices(signature.arguments, atMost: 60, &random)
                // The root of a number of so many digits takes minutes without optimisation.
                where name != "sqrt" || !values[0].contains("131071") {
                    await run("\(name)(\(values.joined(separator: ", ")))", session)
                }
            }
        }
    }

    @Test func partsOfTimes() async throws {
        let session = try TestSession(TestNode())
        let fields = [
            "microseconds", "milliseconds", "second", "minute", "hour", "day", "week", "month",
            "quarter", "year", "decade", "century", "millennium", "dow", "isodow", "doy", "isoyear",
            "epoch", "timezone", "timezone_hour", "timezone_minute",
        ]
        for type in [SQLType.date, .timestamp, .timestamptz] {
            for value in Self.literals(type) {
                for field in fields {
                    await run("extract(\(field) from \(value))", session)
                    await run("date_part('\(field)', \(value))", session)
                    await run("date_trunc('\(field)', \(value))", session)
                }
                for zone in ["UTC", "Europe/Berlin", "+14", "-15:59", "America/New_York"] {
                    await run("\(value) at time zone '\(zone)'", session)
                }
            }
        }
    }

    @Test func operators() async throws {
        let session = try TestSession(TestNode())
        var random = SeededRandom(seed: 17)
        for left in Self.edges {
            for right in Self.edges {
                for name in ["+", "-", "*", "/", "%", "^", "=", "<", "||"] {
                    for values in choices([left.type, right.type], atMost: 6, &random) {
                        await run("\(values[0]) \(name) \(values[1])", session)
                    }
                }
            }
            for value in Self.literals(left.type) { await run("- \(value)", session) }
        }
    }

    @Test func casts() async throws {
        let session = try TestSession(TestNode())
        let targets =
            Self.edges.map(\.type.plainName) + [
                "numeric(5,2)", "numeric(3,-2)", "numeric(1000,1000)", "varchar(1)", "char(3)",
                "name",
            ]
        for (type, _) in Self.edges {
            for value in Self.literals(type) {
                for target in targets {
                    await run("\(value)::\(target)", session)
                    await run("\(value)::text::\(target)", session)
                }
            }
        }
    }

    @Test func aggregates() async throws {
        let session = try TestSession(TestNode())
        for (type, _) in Self.edges {
            let rows = Self.literals(type).map { "(\($0))" }.joined(separator: ", ")
            let name = "t_\(type.plainName.filter { $0.isLetter })"
            try await session.run("create table \(name) (v \(type.plainName))")
            try await session.run("insert into \(name) values \(rows), \(rows)")
            for aggregate in [
                "sum", "avg", "min", "max", "count", "stddev", "variance", "var_pop", "stddev_pop",
                "bool_and", "bool_or",
            ] {
                for argument in ["v", "distinct v"] {
                    if Self.isLoud { print(aggregate, argument, name) }
                    let error = await session.error("select \(aggregate)(\(argument)) from \(name)")
                    if let error { #expect(error.state.utf8.count == 5) }
                }
            }
            for order in ["v", "v desc"] {
                try await session.run("select v from \(name) order by \(order)")
            }
        }
    }

    @Test func countsAndSettings() async throws {
        let session = try TestSession(TestNode())
        let numbers = [
            "9223372036854775807", "-9223372036854775808", "9223372036854775808", "-1", "0", "1.5",
            "'NaN'::float8", "'Infinity'::float8", "1e300", "null", "2147483648", "true",
        ]
        for one in numbers {
            for text in [
                "limit \(one)", "offset \(one)", "limit \(one) offset \(one)",
                "limit 9223372036854775807 offset \(one)", "order by 1 limit \(one) offset 1",
            ] {
                _ = await session.error("select 1 \(text)")
            }
            _ = await session.error("select 1 order by \(one)")
            _ = await session.error("select 1 group by \(one)")
        }
        let settings = [
            "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout",
            "extra_float_digits", "timezone", "work_mem", "datestyle", "client_encoding",
        ]
        let values = [
            "2147483647", "9223372036854775807", "99999999999999999999", "'1e300ms'", "-1", "0.5",
            "'24.8d'", "'25d'", "'-1min'", "'1us'", "'+99:99'", "'-15:59:59'", "'99999999'", "''",
            "default", "'NaN'", "'inf'", "1e300", "-1e300",
        ]
        for setting in settings {
            for value in values {
                if Self.isLoud { print(setting, value) }
                _ = await session.error("set \(setting) = \(value)")
                _ = await session.error("set time zone \(value)")
                let row = try? await session.run("select now()::text is not null")
                #expect(row == ["t", "SELECT 1"] || row == nil)
                _ = await session.error("reset all")
            }
        }
        for type in [
            "numeric(1000, 1000)", "numeric(1, 1001)", "numeric(0)", "numeric(1, -1001)",
            "varchar(10485760)", "varchar(2147483647)", "char(0)", "char(10485761)",
            "numeric(2147483648)", "timestamp(7)", "varchar(-1)",
        ] {
            await run("'1'::\(type)", session)
        }
    }

    /// Bytes that clients send as binary values.
    @Test func binaryParameters() async throws {
        let session = try TestSession(TestNode()).session
        var random = SeededRandom(seed: 18)
        for (type, _) in Self.edges {
            try await session.prepare("", "select $1", parameterTypes: [type.oid])
            for number in 0..<300 {
                var bytes: [UInt8] = (0..<random.below(20)).map { _ in
                    random.oneIn(2) ? [0, 0x7F, 0x80, 0xFF][Int(random.below(4))]
                        : UInt8(random.below(256))
                }
                // Of the right length, now and then.
                if number % 3 == 0 { bytes = Array(bytes.prefix([1, 2, 4, 8, 16][number % 5])) }
                let sink = TextSink()
                do {
                    try await session.bind(
                        portal: "", statement: "", parameterFormats: [1],
                        parameters: [bytes[...]], resultFormats: [])
                    try await session.execute(portal: "", maxRows: 0, into: sink)
                    try await session.sync()
                } catch {
                    await session.fail()
                    try await session.sync()
                }
            }
        }
    }
}
