/// The functions that expressions can call.
enum Function: Hashable, Sendable {
    // Text
    case lower, upper, length, byteLength, substring, left, right, replace, position
    case trim, trimStart, trimEnd, padStart, padEnd, repeated, reversed, concat, startsWith
    // Numbers
    case magnitude(SQLType), sign, round, truncate, ceiling, floor, remainder(SQLType)
    // Time
    case inZone, fromZone
    case transactionTimestamp, statementTimestamp, clockTimestamp, currentDate, localTimestamp
    // Session
    case version, currentSchema, currentDatabase, currentUser, processID, setting, isInRecovery
    case unlockAll, sleep, changeSetting

    /// One way to call a function.
    struct Signature: Sendable {
        var name: String
        var arguments: [SQLType]
        var result: SQLType
        var function: Function
    }

    /// Functions that take any number of arguments of any type.
    static let variadic: [String: (function: Function, result: SQLType)] = [
        "concat": (.concat, .text)
    ]

    /// All ways to call all functions, by name.
    static let signatures: [String: [Signature]] = Dictionary(grouping: list, by: \.name)

    private static let list: [Signature] =
        textFunctions + numericFunctions + [
            of("now", [], .timestamptz, .transactionTimestamp),
            of("transaction_timestamp", [], .timestamptz, .transactionTimestamp),
            of("statement_timestamp", [], .timestamptz, .statementTimestamp),
            of("clock_timestamp", [], .timestamptz, .clockTimestamp),
            of("version", [], .text, .version),
            of("current_schema", [], .name, .currentSchema),
            of("current_database", [], .name, .currentDatabase),
            of("pg_backend_pid", [], .int4, .processID),
            of("current_setting", [.text], .text, .setting),
            of("pg_is_in_recovery", [], .bool, .isInRecovery),
            of("pg_advisory_unlock_all", [], .text, .unlockAll),
            of("pg_sleep", [.float8], .text, .sleep),
            of("set_config", [.text, .text, .bool], .text, .changeSetting),
            of("timezone", [.text, .timestamptz], .timestamp, .inZone),
            of("timezone", [.text, .timestamp], .timestamptz, .fromZone),
        ]

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
        + [
            of("round", [.numeric(nil), .int4], .numeric(nil), .round),
            of("trunc", [.numeric(nil), .int4], .numeric(nil), .truncate),
        ]

    private static func of(
        _ name: String, _ arguments: [SQLType], _ result: SQLType, _ function: Function
    ) -> Signature {
        Signature(name: name, arguments: arguments, result: result, function: function)
    }
}
