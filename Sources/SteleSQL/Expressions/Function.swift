/// The functions that expressions can call.
enum Function: Hashable, Sendable {
    // Text
    case lower, upper, length, byteLength, substring, byteSubstring, left, right, replace, position
    case trim, trimStart, trimEnd, padStart, padEnd, repeated, reversed, concat, startsWith
    case joined, digest, bitLength, firstCode, capitalized, field, translated, character
    case hex(SQLType)
    // Numbers
    case magnitude(SQLType), sign, round, truncate, ceiling, floor, remainder(SQLType)
    case double(DoubleFunction), power, arcTangent2, pi, squareRoot, random, randomUUID, quotient
    // Time
    case inZone, fromZone, makeDate, toTimestamp, startOfDay
    case cut(SQLType), extract(SQLType), datePart(SQLType)
    case transactionTimestamp, statementTimestamp, clockTimestamp, currentDate, localTimestamp
    // Session
    case version, currentSchema, currentDatabase, currentUser, processID, setting, isInRecovery
    case unlockAll, sleep, changeSetting

    /// One way to call a function.
    struct Signature: Sendable {
        var name: String
        var arguments: [SQLType]
        var result: SQLType
        /// Nil is what PostgreSQL has and this subset of it has not: a call that means it must not
        /// be taken for another.
        var function: Function?
    }

    /// Functions that take any number of arguments of any type, from a least number on.
    static let variadic: [String: (function: Function, result: SQLType, least: Int)] = [
        "concat": (.concat, .text, 1), "concat_ws": (.joined, .text, 2),
    ]

    /// All ways to call all functions, by name.
    static let signatures: [String: [Signature]] = Dictionary(grouping: list, by: \.name)

    private static let list: [Signature] =
        textFunctions + numericFunctions + timeFunctions + foreign + [
            of("version", [], .text, .version),
            of("current_schema", [], .name, .currentSchema),
            of("current_database", [], .name, .currentDatabase),
            of("pg_backend_pid", [], .int4, .processID),
            of("current_setting", [.text], .text, .setting),
            of("current_setting", [.text, .bool], .text, .setting),
            of("pg_is_in_recovery", [], .bool, .isInRecovery),
            of("pg_advisory_unlock_all", [], .text, .unlockAll),
            of("pg_sleep", [.float8], .text, .sleep),
            of("set_config", [.text, .text, .bool], .text, .changeSetting),
            of("gen_random_uuid", [], .uuid, .randomUUID),
        ]

    private static let foreign: [Signature] =
        ["btrim", "ltrim", "rtrim", "position"].map { of($0, [.bytea, .bytea], .bytea, nil) }
        + [
            of("substring", [.text, .text], .text, nil),
            of("substring", [.text, .text, .text], .text, nil),
            of("to_timestamp", [.text, .text], .timestamptz, nil),
            of("length", [.bytea, .name], .int4, nil),
            of("log", [.numeric(nil), .numeric(nil)], .numeric(nil), nil),
        ]

    private static let timeFunctions: [Signature] =
        [
            of("now", [], .timestamptz, .transactionTimestamp),
            of("transaction_timestamp", [], .timestamptz, .transactionTimestamp),
            of("statement_timestamp", [], .timestamptz, .statementTimestamp),
            of("clock_timestamp", [], .timestamptz, .clockTimestamp),
            of("timezone", [.text, .timestamptz], .timestamp, .inZone),
            of("timezone", [.text, .timestamp], .timestamptz, .fromZone),
            of("date_trunc", [.text, .timestamptz], .timestamptz, .cut(.timestamptz)),
            of("date_trunc", [.text, .timestamp], .timestamp, .cut(.timestamp)),
            of("date_trunc", [.text, .timestamptz, .text], .timestamptz, .cut(.timestamptz)),
            of("make_date", [.int4, .int4, .int4], .date, .makeDate),
            of("to_timestamp", [.float8], .timestamptz, .toTimestamp),
        ]
        + [SQLType.timestamptz, .timestamp, .date].flatMap { type in
            [
                of("extract", [.text, type], .numeric(nil), .extract(type)),
                of("date_part", [.text, type], .float8, .datePart(type)),
            ]
        }

    private static let textFunctions: [Signature] = [
        of("lower", [.text], .text, .lower),
        of("upper", [.text], .text, .upper),
        of("length", [.text], .int4, .length),
        of("length", [.bytea], .int4, .byteLength),
        of("char_length", [.text], .int4, .length),
        of("character_length", [.text], .int4, .length),
        of("octet_length", [.text], .int4, .byteLength),
        of("octet_length", [.bytea], .int4, .byteLength),
        of("substring", [.text, .int4], .text, .substring),
        of("substring", [.text, .int4, .int4], .text, .substring),
        of("substring", [.bytea, .int4], .bytea, .byteSubstring),
        of("substring", [.bytea, .int4, .int4], .bytea, .byteSubstring),
        of("substr", [.bytea, .int4], .bytea, .byteSubstring),
        of("substr", [.bytea, .int4, .int4], .bytea, .byteSubstring),
        of("substr", [.text, .int4], .text, .substring),
        of("substr", [.text, .int4, .int4], .text, .substring),
        of("left", [.text, .int4], .text, .left),
        of("right", [.text, .int4], .text, .right),
        of("replace", [.text, .text, .text], .text, .replace),
        of("position", [.text, .text], .int4, .position),
        of("strpos", [.text, .text], .int4, .position),
        of("btrim", [.text], .text, .trim),
        of("btrim", [.text, .text], .text, .trim),
        of("ltrim", [.text], .text, .trimStart),
        of("ltrim", [.text, .text], .text, .trimStart),
        of("rtrim", [.text], .text, .trimEnd),
        of("rtrim", [.text, .text], .text, .trimEnd),
        of("lpad", [.text, .int4], .text, .padStart),
        of("lpad", [.text, .int4, .text], .text, .padStart),
        of("rpad", [.text, .int4], .text, .padEnd),
        of("rpad", [.text, .int4, .text], .text, .padEnd),
        of("repeat", [.text, .int4], .text, .repeated),
        of("reverse", [.text], .text, .reversed),
        of("md5", [.text], .text, .digest),
        of("md5", [.bytea], .text, .digest),
        of("bit_length", [.text], .int4, .bitLength),
        of("bit_length", [.bytea], .int4, .bitLength),
        of("ascii", [.text], .int4, .firstCode),
        of("chr", [.int4], .text, .character),
        of("to_hex", [.int4], .text, .hex(.int4)),
        of("to_hex", [.int8], .text, .hex(.int8)),
        of("initcap", [.text], .text, .capitalized),
        of("split_part", [.text, .text, .int4], .text, .field),
        of("translate", [.text, .text, .text], .text, .translated),
        of("starts_with", [.text, .text], .bool, .startsWith),
    ]

    private static let numericFunctions: [Signature] =
        [SQLType.float8, .int4, .int2, .int8, .float4, .numeric(nil)].map {
            of("abs", [$0], $0, .magnitude($0))
        }
        + [SQLType.int4, .int2, .int8, .numeric(nil)].map {
            of("mod", [$0, $0], $0, .remainder($0))
        }
        + [SQLType.float8, .numeric(nil)].flatMap { type in
            [
                of("sign", [type], type, .sign), of("round", [type], type, .round),
                of("trunc", [type], type, .truncate), of("ceil", [type], type, .ceiling),
                of("ceiling", [type], type, .ceiling), of("floor", [type], type, .floor),
            ]
        }
        + DoubleFunction.allCases.map { of($0.rawValue, [.float8], .float8, .double($0)) }
        + ["pow", "power"].map { of($0, [.float8, .float8], .float8, .power) }
        + [
            of("atan2", [.float8, .float8], .float8, .arcTangent2), of("pi", [], .float8, .pi),
            of("sqrt", [.numeric(nil)], .numeric(nil), .squareRoot),
            of("div", [.numeric(nil), .numeric(nil)], .numeric(nil), .quotient),
            of("random", [], .float8, .random),
            of("round", [.numeric(nil), .int4], .numeric(nil), .round),
            of("trunc", [.numeric(nil), .int4], .numeric(nil), .truncate),
        ]

    private static func of(
        _ name: String, _ arguments: [SQLType], _ result: SQLType, _ function: Function?
    ) -> Signature {
        Signature(name: name, arguments: arguments, result: result, function: function)
    }
}
