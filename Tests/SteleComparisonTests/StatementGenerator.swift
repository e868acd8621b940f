import SteleBase

/// Makes statements of the subset that Stele and PostgreSQL have in common, from a seed: expressions
/// over all types with values at the ends of their ranges, casts between all pairs, queries, changes
/// and parameters. A few are wrong on purpose.
struct StatementGenerator {
    enum Kind: String, CaseIterable {
        case bool, int2, int4, int8, float4, float8, numeric, text, varchar, char, date, timestamp,
            timestamptz, bytea, uuid

        /// As casts name it, sometimes with a modifier.
        func name(_ random: inout SeededRandom) -> String {
            switch self {
            case .numeric where random.oneIn(3): ["numeric(5,2)", "numeric(10)", "numeric(3,3)"][Int(random.below(3))]
            case .varchar: random.oneIn(2) ? "varchar" : "varchar(3)"
            case .char: random.oneIn(2) ? "char(4)" : "char(1)"
            default: rawValue
            }
        }

        var isNumber: Bool {
            switch self {
            case .int2, .int4, .int8, .float4, .float8, .numeric: true
            default: false
            }
        }

        var isText: Bool { self == .text || self == .varchar || self == .char }

        var isTime: Bool { self == .date || self == .timestamp || self == .timestamptz }

        /// Texts that can be read as values, and some that cannot.
        var texts: [String] {
            switch self {
            case .bool: ["t", "false", "yes", " on ", "0", "1", "maybe"]
            case .int2: ["0", "1", "-1", "32767", "-32768", "32768", " 7 ", "1.5", ""]
            case .int4: ["0", "2", "-3", "2147483647", "-2147483648", "2147483648", "+4", "x"]
            case .int8:
                ["0", "5", "-1", "9223372036854775807", "-9223372036854775808", "9223372036854775808"]
            case .float4: ["0", "-0", "1.5", "1e-45", "3.4e38", "1e39", "NaN", "Infinity", "-inf", "0.1"]
            case .float8:
                ["0", "-0", "0.1", "1e308", "1e309", "4.9e-324", "1e-400", "NaN", "-Infinity", "123456789.125"]
            case .numeric:
                ["0", "0.00", "1.50", "-2.5", "1e20", "0.000001", "NaN", "Infinity", "99999.995", "1e", "12345678901234567890.12"]
            case .text, .varchar, .char:
                ["", "a", "abc", "ABC ", " x", "äöü", "%_", "\\", "O'Neil", "12", "1.5", "true", "2000-01-01", "é"]
            case .date:
                ["2000-01-01", "2024-02-29", "1999-12-31", "0001-01-01", "4713-01-01 BC", "infinity", "-infinity", "5874897-12-31", "2023-02-29", "Jan 5 2001"]
            case .timestamp:
                ["2000-01-01 00:00:00", "2024-02-29 12:34:56.789", "infinity", "-infinity", "294276-12-31 23:59:59.999999", "2000-01-01", "2000-01-01 24:00"]
            case .timestamptz:
                ["2000-01-01 00:00:00+00", "2024-06-30 23:59:60+02", "1900-01-01 00:00+14", "infinity", "2000-01-01 12:00 UTC", "4713-01-01 00:00+00 BC"]
            case .bytea: ["\\x", "\\x00ff", "abc", "\\\\", "\\001", "\\x0", "\\xzz"]
            case .uuid:
                ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff", "{a0eebc999c0b4ef8bb6d6bb9bd380a11}", "123"]
            }
        }

        var column: String { "c_\(rawValue)" }
    }

    /// Drops and makes the tables, and fills them.
    static var setUp: [String] {
        let columns = Kind.allCases.map { kind in
            let type: String =
                switch kind {
                case .varchar: "varchar(5)"
                case .char: "char(3)"
                case .numeric: "numeric(12,3)"
                default: kind.rawValue
                }
            return "\(kind.column) \(type)"
        }
        return [
            "drop table if exists t", "drop table if exists p",
            "create table t (k int primary key, \(columns.joined(separator: ", ")))",
            "create table p (a int, b text, v numeric(6,2) default 1.5 not null, primary key (a, b))",
            "insert into t (k) values (0)",
            "insert into t values (1, true, 1, 1, 1, 1, 1, 1, 'a', 'a', 'a', '2000-01-01', "
                + "'2000-01-01', '2000-01-01', 'a', '00000000-0000-0000-0000-000000000001')",
            "insert into t values (2, false, -32768, -2147483648, -9223372036854775808, "
                + "'-Infinity', 'NaN', -999999999.999, '', '', '', '-infinity', 'infinity', "
                + "'4713-01-01 BC', '', 'ffffffff-ffff-ffff-ffff-ffffffffffff')",
            "insert into t values (3, true, 32767, 2147483647, 9223372036854775807, 0.1, 0.1, "
                + "0.005, 'äbc', 'x y', 'b', '2024-02-29', '2024-02-29 12:34:56.5', "
                + "'2024-02-29 12:34:56.5+05', '\\x00ff', null)",
            "insert into p values (1, 'a', 0), (1, 'b', 2), (2, 'a', -3.333)",
        ]
    }

    private var random: SeededRandom
    private var readsTable = false
    private var parameters: [Statement.Parameter] = []
    private var takesParameters = false

    init(seed: UInt64) { random = SeededRandom(seed: seed) }

    private mutating func pick<Value>(_ values: [Value]) -> Value {
        values[Int(random.below(UInt64(values.count)))]
    }

    private mutating func kind() -> Kind { pick(Kind.allCases) }

    private static func quoted(_ text: String) -> String {
        "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''") + "'"
    }

    // MARK: Statements

    mutating func next() -> Statement {
        parameters = []
        takesParameters = random.oneIn(4)
        readsTable = false
        var statement: Statement
        switch random.below(20) {
        case 0..<8: statement = Statement(text: "select \(list(1...3) { $0.expression(3) })")
        case 8..<11: statement = query()
        case 11..<13: statement = grouped()
        case 13: statement = values()
        case 14: statement = cast()
        case 15: statement = update()
        case 16: statement = delete()
        case 17: statement = insert()
        case 18 where random.oneIn(3): statement = groupedByKey()
        default: statement = Statement(text: "select \(expression(5))")
        }
        statement.parameters = parameters
        return statement
    }

    private mutating func list(
        _ counts: ClosedRange<UInt64>, _ item: (inout StatementGenerator) -> String
    ) -> String {
        let count = random.uniform(counts)
        return (0..<count).map { _ in item(&self) }.joined(separator: ", ")
    }

    private mutating func query() -> Statement {
        readsTable = true
        let columns = random.oneIn(8) ? "*" : list(1...3) { $0.expression(2) }
        var text = "select \(random.oneIn(8) ? "distinct " : "")\(columns) from t"
        if !random.oneIn(3) { text += " where \(expression(3, .bool))" }
        if random.oneIn(3) {
            text += " order by \(expression(1)) \(pick(["", "asc", "desc", "nulls first"])), k"
            if random.oneIn(2) { text += " limit \(random.below(4))" }
            if random.oneIn(3) { text += " offset \(random.below(3))" }
            return Statement(text: text)
        }
        return Statement(text: text, isUnordered: true)
    }

    private mutating func aggregate() -> String {
        let argument = expression(1)
        return switch random.below(10) {
        case 0: "count(*)"
        case 1: "count(\(random.oneIn(3) ? "distinct " : "")\(argument))"
        case 2: "min(\(argument))"
        case 3: "max(\(argument))"
        case 4: "sum(\(expression(1, number())))"
        case 5: "avg(\(expression(1, number())))"
        case 6: "bool_and(\(expression(1, .bool)))"
        case 7: "every(\(expression(1, .bool)))"
        case 8: "string_agg(distinct k::text, ',')"
        default: "\(pick(["stddev", "variance", "var_pop", "stddev_pop"]))(\(expression(1, number())))"
        }
    }

    private mutating func grouped() -> Statement {
        readsTable = true
        // The order in which rows come to an aggregate is nobody's, so floating point is left out.
        if random.oneIn(2) {
            return Statement(text: "select \(list(1...3) { $0.aggregate() }) from t")
        }
        let key = expression(1)
        return Statement(
            text: "select \(key), \(list(1...2) { $0.aggregate() }) from t group by \(key)"
                + (random.oneIn(3) ? " having count(*) > 0" : ""), isUnordered: true)
    }

    private mutating func values() -> Statement {
        let kinds = (0..<random.uniform(1...2)).map { _ in kind() }
        let rows = (0..<random.uniform(1...3)).map { _ in
            "(" + kinds.map { expression(1, $0) }.joined(separator: ", ") + ")"
        }
        return Statement(text: "values \(rows.joined(separator: ", "))")
    }

    private mutating func cast() -> Statement {
        let from = kind()
        let to = kind()
        let text = Self.quoted(pick(from.texts))
        return Statement(text: "select \(text)::\(from.name(&random))::\(to.name(&random))")
    }

    private mutating func update() -> Statement {
        readsTable = true
        let kind = kind()
        return Statement(
            text: "update t set \(kind.column) = \(expression(2, kind)) where \(expression(2, .bool))"
                + (random.oneIn(2) ? " returning k, \(kind.column)" : ""), isUnordered: true)
    }

    private mutating func delete() -> Statement {
        readsTable = true
        return Statement(
            text: "delete from t where \(expression(2, .bool)) and k > \(random.below(5)) returning k",
            isUnordered: true)
    }

    private mutating func insert() -> Statement {
        let kind = kind()
        var text = "insert into t (k, \(kind.column)) "
        switch random.below(4) {
        case 0: text += "select \(insertKey()), \(expression(2, kind))"
        case 1:
            readsTable = true
            text += "select k + \(random.below(6)), \(expression(2, kind)) from t"
            readsTable = false
        default:
            text += "values (\(insertKey()), \(expression(2, kind)))"
            if random.oneIn(3) { text += ", (\(insertKey()), \(expression(1, kind)))" }
        }
        switch random.below(6) {
        case 0: text += " on conflict do nothing"
        case 1: text += " on conflict (k) do update set \(kind.column) = excluded.\(kind.column)"
        case 2:
            text += " on conflict (k) do update set \(kind.column) = "
                + "coalesce(\(pick(["t.", "excluded.", ""]))\(kind.column), excluded.\(kind.column)) "
                + "where \(pick(["t.k > 1", "k > 1", "false"]))"
        default: break
        }
        return Statement(text: text + " returning *", isUnordered: true)
    }

    private mutating func insertKey() -> String { random.oneIn(10) ? "null" : "\(random.below(8))" }

    private mutating func groupedByKey() -> Statement {
        readsTable = true
        return Statement(
            text: "select \(list(1...2) { $0.expression(1) }), \(aggregate()) from t group by k",
            isUnordered: true)
    }

    // MARK: Expressions

    private mutating func number() -> Kind {
        pick([.int2, .int4, .int8, .float8, .numeric, .numeric])
    }

    private mutating func textual() -> Kind { pick([.text, .text, .varchar, .char]) }

    private mutating func time() -> Kind { pick([.date, .timestamp, .timestamptz]) }

    private mutating func expression(_ depth: Int) -> String { expression(depth, kind()) }

    /// An expression mostly of a kind.
    private mutating func expression(_ depth: Int, _ wanted: Kind) -> String {
        let kind = random.oneIn(40) ? self.kind() : wanted
        if depth == 0 || random.oneIn(5) { return leaf(kind) }
        switch random.below(12) {
        case 0: return "(\(expression(depth - 1)))::\(kind.name(&random))"
        case 1: return "cast(\(expression(depth - 1)) as \(kind.name(&random)))"
        case 2:
            return "case when \(expression(depth - 1, .bool)) then \(expression(depth - 1, kind)) "
                + "else \(expression(depth - 1, kind)) end"
        case 3: return "coalesce(\(expression(depth - 1, kind)), \(expression(depth - 1, kind)))"
        case 4: return "nullif(\(expression(depth - 1, kind)), \(expression(depth - 1, kind)))"
        case 5:
            return "\(pick(["greatest", "least"]))(\(expression(depth - 1, kind)), "
                + "\(expression(depth - 1, kind)))"
        default: return specific(depth, kind)
        }
    }

    private mutating func leaf(_ kind: Kind) -> String {
        if readsTable, random.oneIn(2) { return kind.column }
        if takesParameters, parameters.count < 3, random.oneIn(2) { return parameter(kind) }
        let text = Self.quoted(pick(kind.texts))
        switch random.below(10) {
        case 0: return "null"
        case 1: return text
        case 2, 3:
            switch kind {
            case .bool: return pick(["true", "false", "null::bool"])
            case .int2, .int4, .int8:
                return pick(["0", "1", "-1", "7", "2147483647", "2147483648", "9223372036854775807"])
            case .float4, .float8, .numeric: return pick(["0.5", "1.50", "1e3", ".1", "-0.0", "100"])
            default: return "\(text)::\(kind.rawValue)"
            }
        default: return "\(text)::\(kind.name(&random))"
        }
    }

    private static let oids: [Kind: Int] = [
        .bool: 16, .int2: 21, .int4: 23, .int8: 20, .float4: 700, .float8: 701, .numeric: 1_700,
        .text: 25, .varchar: 1_043, .char: 1_042, .date: 1_082, .timestamp: 1_114,
        .timestamptz: 1_184, .bytea: 17, .uuid: 2_950,
    ]

    private static let binaries: [Kind: [[UInt8]]] = [
        .bool: [[0], [1]], .int2: [[0, 7], [0x80, 0], [0x7F, 0xFF], [1]],
        .int4: [[0, 0, 0, 5], [0x80, 0, 0, 0], [0xFF, 0xFF, 0xFF, 0xFF]],
        .int8: [[0, 0, 0, 0, 0, 0, 0, 9], [0x80, 0, 0, 0, 0, 0, 0, 0]],
        .float4: [[0x3F, 0xC0, 0, 0], [0x7F, 0xC0, 0, 0], [0x80, 0, 0, 0]],
        .float8: [[0x3F, 0xF8, 0, 0, 0, 0, 0, 0], [0xFF, 0xF0, 0, 0, 0, 0, 0, 0]],
        .numeric: [
            [0, 1, 0, 0, 0, 0, 0, 0, 0, 5], [0, 0, 0, 0, 0xC0, 0, 0, 0],
            [0, 2, 0, 0, 0x40, 0, 0, 2, 0, 1, 0x13, 0x88], [0, 1, 0, 0, 0, 0, 0, 0, 0x27, 0x10],
        ],
        .text: [[], [0x61], [0xC3, 0xA4], [0xFF], [0x61, 0]], .varchar: [[0x61, 0x62, 0x63, 0x64]],
        .char: [[0x61, 0x20]], .date: [[0, 0, 0, 1], [0x7F, 0xFF, 0xFF, 0xFF], [0x80, 0, 0, 0]],
        .timestamp: [[0, 0, 0, 0, 0, 0, 0, 1], [0x7F, 255, 255, 255, 255, 255, 255, 255]],
        .timestamptz: [[255, 255, 255, 255, 255, 255, 255, 255], [0, 0]],
        .bytea: [[], [0, 255]], .uuid: [[UInt8](repeating: 0xAB, count: 16), [1, 2, 3]],
    ]

    private mutating func parameter(_ kind: Kind) -> String {
        let isTyped = random.oneIn(2)
        let isBinary = isTyped && random.oneIn(3)
        let bytes: [UInt8] =
            isBinary ? pick(Self.binaries[kind] ?? [[]]) : Array(pick(kind.texts).utf8)
        parameters.append(
            Statement.Parameter(
                type: isTyped ? Self.oids[kind] ?? 0 : 0, isBinary: isBinary,
                bytes: random.oneIn(8) ? nil : bytes))
        let name = "$\(parameters.count)"
        return isTyped || random.oneIn(3) ? name : "\(name)::\(kind.rawValue)"
    }

    private mutating func specific(_ depth: Int, _ kind: Kind) -> String {
        switch kind {
        case .bool: return condition(depth - 1)
        case .int2, .int4, .int8, .float4, .float8, .numeric: return calculation(depth - 1, kind)
        case .text, .varchar, .char: return words(depth - 1)
        case .date, .timestamp, .timestamptz: return moment(depth - 1, kind)
        case .bytea, .uuid: return leaf(kind)
        }
    }

    private mutating func condition(_ depth: Int) -> String {
        let kind = kind()
        let left = expression(depth, kind)
        switch random.below(14) {
        case 0: return "(\(expression(depth, .bool)) and \(expression(depth, .bool)))"
        case 1: return "(\(expression(depth, .bool)) or \(expression(depth, .bool)))"
        case 2: return "(not \(expression(depth, .bool)))"
        case 3: return "(\(left) is \(pick(["null", "not null"])))"
        case 4: return "(\(expression(depth, .bool)) is \(pick(["true", "not false", "unknown"])))"
        case 5: return "(\(left) is \(pick(["", "not "]))distinct from \(expression(depth, kind)))"
        case 6:
            let items = list(1...4) { $0.expression(max(0, depth - 1), kind) }
            return "(\(left) \(pick(["in", "not in"])) (\(items)))"
        case 7:
            return "(\(left) \(pick(["between", "not between", "between symmetric"])) "
                + "\(expression(depth, kind)) and \(expression(depth, kind)))"
        case 8:
            return "(\(expression(depth, textual())) \(pick(["like", "ilike", "not like"])) "
                + "\(pick(["'a%'", "'%_b'", "'%'", "'A\\%'", "'äb_'", "''"])))"
        default:
            let other = random.oneIn(4) && kind.isNumber ? number() : kind
            return "(\(left) \(pick(["=", "<>", "<", "<=", ">", ">="])) \(expression(depth, other)))"
        }
    }

    private mutating func calculation(_ depth: Int, _ kind: Kind) -> String {
        switch random.below(16) {
        case 0: return "(- \(expression(depth, kind)))"
        case 1: return "abs(\(expression(depth, kind)))"
        case 2: return "sign(\(expression(depth, kind)))"
        case 3: return "round(\(expression(depth, .numeric)), \(pick(["0", "2", "-1", "-3", "5"])))"
        case 4: return "trunc(\(expression(depth, kind)))"
        case 5: return "\(pick(["ceil", "floor", "round"]))(\(expression(depth, kind)))"
        case 6: return "length(\(expression(depth, textual())))"
        case 7: return "mod(\(expression(depth, .int4)), \(expression(depth, .int4)))"
        case 8: return "extract(\(pick(["year", "month", "day", "dow", "doy", "epoch", "hour", "quarter", "week"])) from \(expression(depth, time())))"
        case 9: return "position(\(expression(depth, .text)) in \(expression(depth, .text)))"
        case 10: return "sqrt(\(expression(depth, pick([.float8, .numeric]))))"
        case 11: return "(\(expression(depth, .date)) - \(expression(depth, .date)))"
        case 12: return "octet_length(\(expression(depth, pick([.text, .bytea, .char]))))"
        default:
            let other = random.oneIn(4) ? number() : kind
            return "(\(expression(depth, kind)) \(pick(["+", "-", "*", "/", "%"])) \(expression(depth, other)))"
        }
    }

    private mutating func words(_ depth: Int) -> String {
        let text = expression(depth, textual())
        switch random.below(18) {
        case 0: return "upper(\(text))"
        case 1: return "lower(\(text))"
        case 2: return "initcap(\(text))"
        case 3: return "reverse(\(text))"
        case 4: return "md5(\(text))"
        case 5: return "\(pick(["trim", "ltrim", "rtrim", "btrim"]))(\(text))"
        case 6: return "substring(\(text) from \(pick(["1", "2", "-1", "0"])) for \(pick(["1", "3", "0"])))"
        case 7: return "\(pick(["left", "right"]))(\(text), \(pick(["0", "1", "2", "-1", "-5"])))"
        case 8: return "\(pick(["lpad", "rpad"]))(\(text), \(pick(["0", "2", "6", "-1"]))\(pick(["", ", 'xy'", ", ''"])))"
        case 9: return "repeat(\(text), \(pick(["0", "2", "-1"])))"
        case 10: return "replace(\(text), \(expression(depth, .text)), \(expression(depth, .text)))"
        case 11: return "split_part(\(text), \(pick(["' '", "'b'", "''"])), \(pick(["1", "2", "-1", "0"])))"
        case 12: return "concat(\(text), \(expression(depth)))"
        case 13: return "concat_ws('-', \(text), \(expression(depth)))"
        case 14: return "to_hex(\(expression(depth, pick([.int4, .int8]))))"
        case 15: return "translate(\(text), 'abc', 'xy')"
        default: return "(\(text) || \(expression(depth, random.oneIn(4) ? kind() : textual())))"
        }
    }

    private mutating func moment(_ depth: Int, _ kind: Kind) -> String {
        switch random.below(6) {
        case 0: return "date_trunc(\(pick(["'year'", "'month'", "'day'", "'hour'", "'week'"])), \(expression(depth, pick([.timestamp, .timestamptz]))))"
        case 1: return "(\(expression(depth, .date)) + \(expression(depth, .int4)))"
        case 2: return "(\(expression(depth, .date)) - \(pick(["1", "30", "-400"])))"
        case 3: return "(\(expression(depth, pick([.timestamp, .timestamptz]))) at time zone \(pick(["'UTC'", "'Europe/Berlin'", "'+03'"])))"
        case 4: return "make_date(\(pick(["2024", "-1", "1999"])), \(pick(["2", "12", "13"])), \(pick(["29", "31", "1"])))"
        default: return leaf(kind)
        }
    }
}
