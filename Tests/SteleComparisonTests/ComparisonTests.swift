import Foundation
import NIOCore
import NIOPosix
import PostgresJudge
import SteleBase
import SteleFuzzing
import StelePostgres
import SteleSQL
import Testing

/// Statements from a seed, run here and by PostgreSQL 15, which must answer the same.
///
/// `Tests/Postgres/run` starts one of its own and runs these tests; without `STELE_POSTGRES_PORT`
/// they are skipped. `STELE_COMPARISONS` is how many statements are run (2,000), and
/// `STELE_COMPARISON_SEED` with which seed they begin (1).
@Suite(.enabled(if: setting("STELE_POSTGRES_PORT") != nil, "runs beside PostgreSQL 15: see Tests/Postgres/run"))
struct ComparisonTests {
    /// Statements after which the tables are made anew.
    private static let batch = 100

    @Test func `statements are answered as PostgreSQL answers them`() async throws {
        let count = Int(setting("STELE_COMPARISONS") ?? 2_000)
        let first = setting("STELE_COMPARISON_SEED") ?? 1
        let server = try await ComparedServer.start()
        let judge = try PostgresClient(port: UInt16(setting("STELE_POSTGRES_PORT") ?? 0), user: "postgres")
        let own = try PostgresClient(port: UInt16(server.port ?? 0), user: "postgres")
        for text in [
            "set timezone = 'UTC'", "set datestyle = 'ISO, MDY'", "set statement_timeout = '20s'",
        ] {
            for client in [judge, own] {
                _ = try client.converse(Statement(text: text).messages, readies: 1)
            }
        }
        var tally = Tally()
        for number in 0..<((count + Self.batch - 1) / Self.batch) {
            let seed = first + UInt64(number)
            try Self.setUp(own, judge)
            var generator = StatementGenerator(seed: seed)
            for _ in 0..<Self.batch {
                let statement = generator.next()
                let expected = try judge.converse(statement.messages, readies: 1)[0]
                let found = try own.converse(statement.messages, readies: 1)[0]
                tally.note(statement, expected: expected, found: found, seed: seed)
                // Or one difference would be the reason of others.
                // What it changed may be different though the answer is not.
                if statement.changesRows, expected != found || statement.mayCountBlanks {
                    try Self.setUp(own, judge)
                }
            }
        }
        await server.stop()
        print(tally.summary)
        let differing = tally.disagreements.values.reduce(0) { $0 + $1.count }
        #expect(differing == 0, "answered differently, see above")
    }

    private static func setUp(_ own: PostgresClient, _ judge: PostgresClient) throws {
        for text in StatementGenerator.setUp {
            let statement = Statement(text: text).messages
            let answer = try own.converse(statement, readies: 1)[0]
            #expect(answer.error == nil, "\(text): \(answer.message ?? "")")
            _ = try judge.converse(statement, readies: 1)
        }
    }
}

/// What came of the comparisons.
struct Tally {
    private(set) var disagreements: [String: [String]] = [:]
    private var count = 0
    private var failures = 0
    private var unsupported = 0
    private var documented: [String: Int] = [:]

    mutating func note(_ statement: Statement, expected: Answer, found: Answer, seed: UInt64) {
        count += 1
        if expected.error != nil { failures += 1 }
        if found.error == "0A000" {
            unsupported += 1
            return
        }
        let isSame: Bool
        if expected.error != nil || found.error != nil {
            isSame = expected.error == found.error
        } else if statement.isUnordered {
            isSame =
                expected.types == found.types && expected.rows.sorted() == found.rows.sorted()
                && expected.tags == found.tags
        } else {
            isSame =
                expected.types == found.types && expected.rows == found.rows
                && expected.tags == found.tags
        }
        if isSame { return }
        if let reason = Disagreement.reason(statement, expected, found) {
            documented[reason, default: 0] += 1
            return
        }
        let kind =
            expected.error == nil && found.error == nil
            ? (expected.types == found.types ? "rows" : "types")
            : "\(expected.error ?? "ok") against \(found.error ?? "ok")"
        disagreements[kind, default: []].append(
            """
            \(statement.shown)
              PostgreSQL: \(expected.shown)
              Stele:      \(found.shown) (seed \(seed))
            """)
    }

    var summary: String {
        var lines = [
            "\(count) statements, \(failures) of them failures; \(unsupported) not supported here"
        ]
        for (reason, count) in documented.sorted(by: { $0.key < $1.key }) {
            lines.append("\(count) documented: \(reason)")
        }
        for (kind, found) in disagreements.sorted(by: { $0.value.count > $1.value.count }) {
            lines.append("== \(kind): \(found.count)")
            lines += found.prefix(12)
        }
        return lines.joined(separator: "\n")
    }
}

extension Answer {
    fileprivate var shown: String {
        if let error { return "\(error) \(message ?? "")" }
        return "\(types.joined(separator: "; ")): \(rows.prefix(4).joined(separator: " / ")) \(tags.joined())"
    }
}

/// A number that the environment gives.
private func setting(_ name: String) -> UInt64? {
    ProcessInfo.processInfo.environment[name].flatMap(UInt64.init)
}
