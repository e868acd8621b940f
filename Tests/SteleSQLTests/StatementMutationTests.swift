import SteleBase
import Testing

@testable import SteleSQL

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// Whatever text a client sends, the answer is a result or an ``SQLError``, never a trap: one trap
/// ends the whole node.
///
/// Statements are cut into words, and words are dropped, doubled, swapped, taken from another
/// statement or replaced by values at the edges of types. `STELE_SQL_MUTATIONS=1000000` tries so
/// many; `STELE_SQL_SEED` begins elsewhere.
@Suite struct StatementMutationTests {
    static let statements = [
        "select 1 + 2 * 3 - 4 / 5 % 6", "select - 5 , + 7.5 , - 1e10 :: float8",
        "select a , b , count ( * ) , sum ( b ) from m group by a , b having count ( * ) > 0",
        "select * from m where a = 1 and b between 2 and 3 order by a desc nulls last limit 5 offset 1",
        "select distinct c from m order by c limit 3", "select c from m where c like 'x%' or c is null",
        "select min ( c ) , max ( d ) , avg ( e ) , count ( distinct a ) from m",
        "select a from m where a in ( 1 , 2 , 3 ) for update skip locked",
        "select a from m order by a limit 2 offset 3 for update",
        "insert into m ( a , b , c ) values ( 1 , 2 , 'x' ) , ( 2 , 3 , 'y' ) on conflict do nothing",
        "insert into m values ( 3 , 4 , 'z' , 1.5 , 2.5 , '2020-01-01' , now ( ) , true ) returning a , b + 1",
        "insert into m ( a , b ) values ( 5 , 6 ) on conflict ( a ) do update set b = excluded . b + m . b",
        "insert into m ( a ) select a + 1 from m where a < 10 on conflict ( a ) do nothing",
        "update m set b = b + 1 , c = upper ( c ) where a = 1 returning *",
        "update m set a = - a where a > 2", "delete from m where a = 7 returning c",
        "select case when a > 1 then 'x' else c end , coalesce ( c , 'q' ) from m",
        "select greatest ( a , b ) , least ( a , 2 ) , nullif ( a , 1 ) from m",
        "select cast ( '12' as int ) , '5' :: numeric ( 10 , 2 ) , 'abc' :: varchar ( 2 )",
        "select '2020-01-01' :: date + 5 , '2020-01-01' :: date - '2019-01-01' :: date",
        "select '2020-01-01 10:00:00+02' :: timestamptz , '2020-01-01' :: timestamp",
        "select 'infinity' :: timestamptz :: timestamp :: date , '-infinity' :: date + 1",
        "select true and false or not true is unknown , null is distinct from 1",
        "select substr ( 'hello' , 2 , 3 ) , substring ( 'hello' from 2 for 3 ) , left ( 'abc' , 2 )",
        "select lpad ( 'x' , 5 , 'ab' ) , rpad ( 'x' , 5 ) , repeat ( 'ab' , 3 ) , reverse ( 'abc' )",
        "select round ( 2.5 , 1 ) , trunc ( 1.25 , 1 ) , abs ( - 5 ) , mod ( 7 , 3 ) , sign ( - 1.5 )",
        "select floor ( 1.5 ) , ceil ( 1.5 :: float8 ) , 1.5 :: float8 :: int , 1e300 :: numeric",
        "select replace ( 'aXb' , 'X' , 'y' ) , position ( 'a' in 'cba' ) , trim ( both 'x' from 'xax' )",
        "values ( 1 , 'a' ) , ( 2 , 'b' ) limit 1", "select x from generate_series ( 1 , 9 , 2 ) x",
        "select sum ( x ) from generate_series ( 1 , 9 ) as t ( x ) where x % 2 = 0",
        "select 'a' || 1 || null , concat ( 'a' , 1 , null ) , length ( 'abc' ) , 'a' < 'b'",
        "create table n ( a int primary key , b text default 'x' not null , c numeric ( 5 , 2 ) )",
        "create table if not exists n ( a bigint , b varchar ( 3 ) , primary key ( a , b ) )",
        "drop table if exists n", "truncate m", "alter table n add primary key ( a )",
        "begin isolation level serializable", "commit", "rollback", "savepoint s",
        "rollback to savepoint s", "release savepoint s", "set timezone = 'UTC'",
        "set local statement_timeout = '5s'", "show timezone", "show all", "reset all",
        "prepare p as select a + $1 from m where b = $2 limit $3", "execute p ( 1 , 2 , 3 )",
        "prepare q ( int , text ) as insert into m ( a , c ) values ( $1 , $2 )",
        "execute q ( 8 , 'w' )", "deallocate all", "deallocate p", "discard all",
        "select $1 , $2 :: int , a from m where a = $1 limit $2", "insert into m values ( $1 )",
        "select current_date , localtimestamp , current_user , version ( ) , now ( )",
        "copy m ( a , b ) from stdin with ( format csv , delimiter ',' )",
        "copy m from stdin", "vacuum m", "analyze", "set names 'utf8'", "close all", "unlisten *",
        "select \"a\" , m . a , m . * from m as m", "select '\\x0102' :: bytea , length ( '\\x01' :: bytea )",
        "select '11111111-1111-1111-1111-111111111111' :: uuid , 5 :: oid , 'n' :: name",
        "select date_trunc ( 'week' , now ( ) ) , extract ( epoch from g ) , g at time zone 'EST' from m",
        "select sqrt ( 2.0 ) , power ( 2 , 3 ) , ln ( 2 ) , div ( 7.5 , 2 ) , 2 ^ 3 , exp ( 1 )",
        "select md5 ( 'a' ) , split_part ( 'a,b' , ',' , 2 ) , concat_ws ( ',' , 'a' , 1 ) , chr ( 65 )",
        "select translate ( 'ab' , 'a' , 'x' ) , initcap ( 'ab' ) , to_hex ( 255 ) , ascii ( 'a' )",
        "select make_date ( 2020 , 1 , 1 ) , to_timestamp ( 0 ) , date_part ( 'day' , f ) from m",
        "select stddev ( a ) , variance ( d ) , string_agg ( c , ',' ) , stddev_pop ( e ) from m",
        "select set_config ( 'datestyle' , 'iso' , false ) , current_setting ( 'timezone' )",
        "select '2020-01-01 10:00 CEST' :: timestamptz , '2020-01-01 Europe/Berlin' :: timestamptz",
        "set time zone interval '+02:00' hour to minute", "set time zone - 7",
        "set datestyle = 'ISO, MDY'", "set transaction isolation level repeatable read",
    ]

    static let values = [
        "0", "-1", "2147483647", "2147483648", "-2147483648", "9223372036854775807",
        "9223372036854775808", "-9223372036854775808", "1e400", "1e-400", "1e131071", "0.5",
        "'NaN'", "'Infinity'", "'-Infinity'", "null", "true", "''", "'a'", "'ä€𝄞'", "'%'", "'\\'",
        "$1", "$0", "$2", "$65536", "$99999999999", "'2020-02-30'", "'294276-12-31 23:59:59.999999'",
        "'294277-01-01'", "'4714-11-24 BC'", "'5874897-12-31'", "'5874898-01-01'", "'infinity'",
        "(", ")", ",", ";", "*", ".", "::", "int", "bigint", "smallint", "float8", "real", "numeric",
        "numeric ( 1000 , 1000 )", "numeric ( 3 , -1000 )", "text", "char ( 3 )", "date",
        "timestamp", "timestamptz", "bytea", "uuid", "oid", "bool", "a", "b", "c", "d", "e", "f",
        "g", "h", "m", "n", "x", "min", "avg", "sum", "count", "abs", "round", "left", "for update",
        "limit", "order by", "group by", "where", "returning", "default", "distinct", "-", "+", "/",
        "%", "||", "like", "1e", "0x", "'", "\"", "$$", "--", "/*", "E'\\u0000'", "U&'\\0041'",
        "'24:00:00'", "'europe/berlin'", "'CST6CDT,M3.2.0,M11.1.0'", "'epoch'", "'week'", "'EST5'",
        "'dmy'", "'ymd'", "'0s'", "'-1'", "'2020-01-01 24:00:00+15:59'", "'now'", "'9223372036854775807'",
    ]

    private static func variable(_ name: String) -> UInt64? {
        getenv(name).flatMap { UInt64(String(cString: $0)) }
    }

    @Test func anyTextHasAnAnswer() async throws {
        let rounds = Self.variable("STELE_SQL_MUTATIONS") ?? 8_000
        var random = SeededRandom(seed: Self.variable("STELE_SQL_SEED") ?? 1)
        var session = try await Self.fresh()
        var answered = 0
        for round in 0..<rounds {
            if round % 500 == 499 { session = try await Self.fresh() }
            let text = Self.mutated(&random)
            if Self.isLong(text) { continue }
            if Self.variable("STELE_SQL_TRACE") != nil { print(text) }
            do {
                if random.oneIn(3) {
                    let values = (0..<random.below(4)).map { _ in
                        Self.values[Int(random.below(UInt64(Self.values.count)))]
                            .replacing("'", with: "")
                    }
                    _ = try await session.extended(text, values, maxRows: Int(random.below(3)))
                } else {
                    try await session.run(text, copy: ["1,2\n3\t4\n", "\\.\n"])
                }
                answered += 1
            } catch let error as SQLError {
                #expect(error.state.utf8.count == 5 && error.state != "XX000", "\(error): \(text)")
            }
        }
        // Not all is lost to syntax errors.
        #expect(answered > Int(rounds / 20))
    }

    private static func fresh() async throws -> TestSession {
        let session = try TestSession(TestNode())
        try await session.run(
            "create table m (a int primary key, b bigint, c text, d numeric, e float8, f date, "
                + "g timestamptz, h bool)")
        try await session.run("insert into m values (1, 2, 'x', 1.5, 2.5, '2020-01-01', now())")
        try await session.run("insert into m (a, b, c) values (2, null, null), (3, 7, 'yy')")
        return session
    }

    /// Series are the one thing that may rightly take for ever.
    private static func isLong(_ text: String) -> Bool {
        guard text.contains("generate_series") else { return false }
        return text.contains("1e")
            || text.split(whereSeparator: { !$0.isNumber && $0 != "e" }).contains { $0.count > 3 }
    }

    private static func mutated(_ random: inout SeededRandom) -> String {
        func any<Element>(_ list: [Element]) -> Element {
            list[Int(random.below(UInt64(list.count)))]
        }
        var words = any(statements).split(separator: " ").map(String.init)
        for _ in 0..<random.below(4) {
            let place = Int(random.below(UInt64(words.count)))
            switch random.below(7) {
            case 0 where words.count > 1: words.remove(at: place)
            case 1: words.insert(words[place], at: place)
            case 2: words.swapAt(place, Int(random.below(UInt64(words.count))))
            case 3:
                let other = any(statements).split(separator: " ").map(String.init)
                let start = Int(random.below(UInt64(other.count)))
                words.insert(contentsOf: other[start...].prefix(3), at: place)
            case 4: words.insert(any(values), at: place)
            default: words[place] = any(values)
            }
        }
        return words.joined(separator: " ")
    }
}
