/// The settings of a session: what `SET` changes and `SHOW` tells.
///
/// A value type, so that a transaction or savepoint that is rolled back puts the old one back.
struct SessionSettings: Sendable {
    private var values: [String: String] = [:]
    private(set) var zone = ZoneOffset.utc
    /// In milliseconds; 0 waits for ever.
    private(set) var lockTimeout = 0
    private(set) var isolation = "read committed"
    private(set) var isReadOnly = false

    /// What a setting may be set to.
    private enum Kind {
        case any
        case bool
        /// A time with an optional unit, in milliseconds.
        case duration
        case isolation
        case zone
        /// One of several, in lower case; others are not supported.
        case one([String])
        /// Cannot be set.
        case fixed
    }

    private struct Definition {
        /// As clients spell it.
        var name: String
        var initial: String
        var kind: Kind
    }

    private static let definitions: [String: Definition] = Dictionary(
        uniqueKeysWithValues: list.map { ($0.name.lowercased(), $0) })

    private static let list: [Definition] = [
        Definition(name: "application_name", initial: "", kind: .any),
        Definition(name: "bytea_output", initial: "hex", kind: .one(["hex"])),
        Definition(
            name: "client_encoding", initial: "UTF8", kind: .one(["utf8", "utf-8", "unicode"])),
        Definition(name: "client_min_messages", initial: "notice", kind: .any),
        Definition(name: "DateStyle", initial: "ISO, MDY", kind: .one(["iso", "iso, mdy"])),
        Definition(
            name: "default_transaction_isolation", initial: "read committed", kind: .isolation),
        Definition(name: "default_transaction_read_only", initial: "off", kind: .bool),
        Definition(name: "default_transaction_deferrable", initial: "off", kind: .bool),
        Definition(name: "extra_float_digits", initial: "1", kind: .one(["1", "2", "3"])),
        Definition(
            name: "idle_in_transaction_session_timeout", initial: "0", kind: .one(["0"])),
        Definition(name: "in_hot_standby", initial: "off", kind: .fixed),
        Definition(name: "integer_datetimes", initial: "on", kind: .fixed),
        Definition(
            name: "IntervalStyle", initial: "postgres", kind: .one(["postgres", "iso_8601"])),
        Definition(name: "is_superuser", initial: "on", kind: .fixed),
        Definition(name: "jit", initial: "off", kind: .bool),
        Definition(name: "lock_timeout", initial: "0", kind: .duration),
        Definition(name: "max_identifier_length", initial: "63", kind: .fixed),
        Definition(name: "row_security", initial: "on", kind: .bool),
        Definition(name: "search_path", initial: "\"$user\", public", kind: .any),
        Definition(name: "server_encoding", initial: "UTF8", kind: .fixed),
        Definition(name: "server_version", initial: "", kind: .fixed),
        Definition(name: "server_version_num", initial: "150000", kind: .fixed),
        Definition(name: "session_authorization", initial: "", kind: .fixed),
        Definition(
            name: "standard_conforming_strings", initial: "on",
            kind: .one(["on", "true", "yes", "1"])),
        Definition(name: "statement_timeout", initial: "0", kind: .one(["0"])),
        Definition(name: "synchronous_commit", initial: "on", kind: .any),
        Definition(name: "TimeZone", initial: "UTC", kind: .zone),
        Definition(name: "work_mem", initial: "4MB", kind: .any),
    ]

    /// Those that a client is told of at the start and after each change, in this order.
    static let reported = [
        "server_version", "server_encoding", "client_encoding", "application_name", "DateStyle",
        "IntervalStyle", "is_superuser", "TimeZone", "integer_datetimes",
        "standard_conforming_strings", "session_authorization", "default_transaction_read_only",
        "in_hot_standby",
    ]

    /// All names in alphabetical order.
    static let names = list.map(\.name).sorted { $0.lowercased() < $1.lowercased() }

    static let isolationLevels = [
        "serializable", "repeatable read", "read committed", "read uncommitted",
    ]

    /// A name as clients know it.
    static func displayName(_ name: String) -> String {
        definitions[name.lowercased()]?.name ?? name
    }

    init(_ environment: SQLEnvironment) {
        values["server_version"] = environment.serverVersion
        values["session_authorization"] = environment.user
    }

    /// The value of a setting.
    func value(of name: String) throws(SQLError) -> String {
        let key = name.lowercased()
        if let value = values[key] { return value }
        if let definition = Self.definitions[key] { return definition.initial }
        throw Self.unknown(name)
    }

    /// Sets a setting; nil is its default, which is that of `defaults`.
    mutating func set(
        _ name: String, _ written: [String]?, defaults: SessionSettings
    ) throws(SQLError) {
        let key = Self.synonym(name.lowercased())
        guard let definition = Self.definitions[key] else {
            // Names with a dot belong to whoever wants them.
            guard key.contains(".") else { throw Self.unknown(name) }
            values[key] = written?.joined(separator: ", ") ?? defaults.values[key] ?? ""
            return
        }
        if case .fixed = definition.kind {
            throw SQLError("55P02", "parameter \"\(definition.name)\" cannot be changed")
        }
        let text: String
        if let written { text = written.joined(separator: ", ") } else {
            text = try defaults.value(of: key)
        }
        values[key] = try accepted(text, for: definition)
    }

    private static func synonym(_ name: String) -> String {
        switch name {
        case "time zone": "timezone"
        case "names": "client_encoding"
        default: name
        }
    }

    /// The value as it is kept, if the setting takes it.
    private mutating func accepted(
        _ text: String, for definition: Definition
    ) throws(SQLError) -> String {
        switch definition.kind {
        case .any, .fixed: return text
        case .bool:
            guard let value = Self.truth(text) else {
                throw SQLError(
                    "22023", "parameter \"\(definition.name)\" requires a Boolean value")
            }
            if definition.name == "default_transaction_read_only" { isReadOnly = value }
            return value ? "on" : "off"
        case .duration:
            guard let milliseconds = Self.milliseconds(text) else {
                throw Self.invalid(text, definition)
            }
            lockTimeout = milliseconds
            return text
        case .isolation:
            let level = text.lowercased()
            guard Self.isolationLevels.contains(level) else {
                throw Self.invalid(text, definition)
            }
            isolation = level
            return level
        case .zone:
            let local = ["local", "default"].contains(text.lowercased())
            let (name, offset) = try ZoneOffset.named(local ? "UTC" : text)
            zone = offset
            return name
        case .one(let supported):
            guard supported.contains(text.lowercased()) else {
                throw SQLError(
                    "22023", "invalid value for parameter \"\(definition.name)\": \"\(text)\"",
                    hint: "Supported: \(supported.joined(separator: "; ")).")
            }
            switch definition.name {
            case "client_encoding", "DateStyle", "standard_conforming_strings":
                return definition.initial
            default: return text
            }
        }
    }

    static func truth(_ text: String) -> Bool? {
        switch text.lowercased() {
        case "on", "true", "yes", "1", "t", "y": true
        case "off", "false", "no", "0", "f", "n": false
        default: nil
        }
    }

    private static func milliseconds(_ text: String) -> Int? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        guard let number = Int(digits) else { return nil }
        let unit = text.dropFirst(digits.count).trimmingPrefix(while: { $0 == " " })
        let factors = ["": 1, "ms": 1, "s": 1_000, "min": 60_000, "h": 3_600_000]
        guard let factor = factors[String(unit)] else { return nil }
        let (result, overflow) = number.multipliedReportingOverflow(by: factor)
        return overflow || result > Int(Int32.max) ? nil : result
    }

    private static func invalid(_ text: String, _ definition: Definition) -> SQLError {
        SQLError("22023", "invalid value for parameter \"\(definition.name)\": \"\(text)\"")
    }

    private static func unknown(_ name: String) -> SQLError {
        SQLError("42704", "unrecognized configuration parameter \"\(name)\"")
    }
}
