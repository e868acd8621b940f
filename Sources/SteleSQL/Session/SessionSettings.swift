import SteleBase

/// The settings of a session: what `SET` changes and `SHOW` tells.
///
/// A value type, so that a transaction or savepoint that is rolled back puts the old one back.
struct SessionSettings: Sendable {
    private var values: [String: String] = [:]
    private var transactionModes: (isolation: String, isReadOnly: Bool)?
    private let zones: ZoneDatabase
    private(set) var zone = TimeZone.utc
    private(set) var dateOrder = DateOrder.monthFirst
    /// In milliseconds; 0 waits for ever.
    private(set) var lockTimeout = 0
    /// In milliseconds; 0 lets a statement run for ever.
    private(set) var statementTimeout = 0
    /// In milliseconds; 0 lets a client be idle for ever, within a transaction and outside of one.
    private(set) var idleInTransactionTimeout = 0
    private(set) var idleTimeout = 0
    private(set) var messageLevel = MessageLevel.notice
    private(set) var isolation = "read committed"
    private(set) var isReadOnly = false

    /// Those that a client is told of at the start and after each change, in this order.
    static let reported = [
        "server_version", "server_encoding", "client_encoding", "application_name", "DateStyle",
        "IntervalStyle", "is_superuser", "TimeZone", "integer_datetimes",
        "standard_conforming_strings", "session_authorization", "default_transaction_read_only",
        "in_hot_standby",
    ]

    static let isolationLevels = [
        "serializable", "repeatable read", "read committed", "read uncommitted",
    ]

    /// A name as clients know it.
    static func displayName(_ name: String) -> String {
        SettingDefinition.all[name.lowercased()]?.name ?? name
    }

    init(_ environment: SQLEnvironment) {
        zones = environment.zones
        values["server_version"] = environment.serverVersion
        values["session_authorization"] = environment.user
    }

    /// Notes the modes of the open transaction, which are settings too.
    ///
    /// They are no part of the values, so that a statement need not change those.
    mutating func note(isolation: String, isReadOnly: Bool) {
        transactionModes = (isolation, isReadOnly)
    }

    /// The value of a setting.
    func value(of name: String) throws(SQLError) -> String {
        let key = name.lowercased()
        if let value = values[key] { return value }
        switch key {
        case "transaction_isolation": return transactionModes?.isolation ?? isolation
        case "transaction_read_only":
            return transactionModes?.isReadOnly ?? isReadOnly ? "on" : "off"
        default: break
        }
        if let definition = SettingDefinition.all[key] { return definition.initial }
        throw Self.unknown(name)
    }

    /// What reading and writing of times depends on, at a time in microseconds since 2000.
    func time(at now: Int64) -> TimeContext {
        TimeContext(now: now, zone: zone, zones: zones, order: dateOrder)
    }

    /// Sets what a client asks for at the start.
    ///
    /// What PostgreSQL would take and is not supported does not keep the client out: the setting
    /// stays as it is.
    ///
    /// - Returns: what the client is told then.
    mutating func begin(_ name: String, _ value: String) throws(SQLError) -> SQLError? {
        do {
            try set(name, [value], defaults: self)
            return nil
        } catch {
            guard error.state == "0A000" else { throw error }
            return error
        }
    }

    /// Those whose values are lists of names, which are quoted where they have to be.
    private static let identifierLists: Set = ["search_path", "temp_tablespaces"]

    /// Sets a setting; nil is its default, which is that of `defaults`.
    ///
    /// - Parameter isList: what was written are the items of a list, not yet the value itself.
    mutating func set(
        _ name: String, _ written: [String]?, defaults: SessionSettings, isList: Bool = false
    ) throws(SQLError) {
        let key = Self.synonym(name.lowercased())
        let written = isList && Self.identifierLists.contains(key) ? written?.map(\.asIdentifier) : written
        let length = written?.reduce(key.utf8.count) { $0 + 2 + $1.utf8.count } ?? 0
        let isNew = values[key] == nil
        guard length <= Limits.settingBytes, !isNew || values.count < Limits.settings else {
            throw SQLError(
                "54000", "the settings of a session are at most \(Limits.settings), of "
                    + "\(Limits.settingBytes >> 10) KiB each")
        }
        guard let definition = SettingDefinition.all[key] else {
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
        _ text: String, for definition: SettingDefinition
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
            let milliseconds = try SettingDuration.milliseconds(text, of: definition.name)
            switch definition.name {
            case "lock_timeout": lockTimeout = milliseconds
            case "idle_in_transaction_session_timeout": idleInTransactionTimeout = milliseconds
            case "idle_session_timeout": idleTimeout = milliseconds
            default: statementTimeout = milliseconds
            }
            return SettingDuration.text(milliseconds)
        case .messageLevel:
            guard let level = MessageLevel(text) else {
                let levels = "debug5, debug4, debug3, debug2, debug1, log, notice, warning, error"
                var error = Self.invalid(text, definition)
                error.hint = "Available values: \(levels)."
                throw error
            }
            messageLevel = level
            return text.lowercased()
        case .isolation:
            let level = text.lowercased()
            guard Self.isolationLevels.contains(level) else {
                throw Self.invalid(text, definition)
            }
            isolation = level
            return level
        case .zone:
            let isLocal = ["local", "default"].contains(text.lowercased())
            let (name, zone) = try zones.setting(isLocal ? "UTC" : text)
            self.zone = zone
            return name
        case .encoding:
            guard let name = ClientEncoding.name(text) else {
                throw Self.invalid(text, definition)
            }
            guard ["UTF8", "SQL_ASCII"].contains(name) else {
                throw .unsupported(
                    "client_encoding \(name)", hint: "The encoding stays as it is; use UTF8.")
            }
            return name
        case .dateStyle: return try dateStyle(text, definition)
        case .one(let supported):
            guard supported.contains(text.lowercased()) else {
                throw .unsupported(
                    "\"\(text)\" as the value of \"\(definition.name)\"",
                    hint: "Supported: \(supported.joined(separator: "; ")).")
            }
            return definition.name == "standard_conforming_strings" ? definition.initial : text
        }
    }

    /// A style, an order of the parts, or both.
    private mutating func dateStyle(
        _ text: String, _ definition: SettingDefinition
    ) throws(SQLError) -> String {
        var order = dateOrder
        for word in text.split(whereSeparator: { $0 == "," || $0 == " " }) {
            switch word.lowercased() {
            case "iso": break
            case "default", "mdy", "us", "noneuropean", "noneuro": order = .monthFirst
            case "dmy", "euro", "european": order = .dayFirst
            case "ymd": order = .yearFirst
            case "sql", "postgres", "german":
                throw .unsupported("DateStyle \(word)", hint: "Dates are shown in ISO form.")
            default:
                throw SQLError(
                    "22023", "invalid value for parameter \"DateStyle\": \"\(text)\"",
                    detail: "Unrecognized key word: \"\(word)\".")
            }
        }
        dateOrder = order
        return switch order {
        case .monthFirst: "ISO, MDY"
        case .dayFirst: "ISO, DMY"
        case .yearFirst: "ISO, YMD"
        }
    }

    static func truth(_ text: String) -> Bool? {
        switch text.lowercased() {
        case "on", "true", "yes", "1", "t", "y": true
        case "off", "false", "no", "0", "f", "n": false
        default: nil
        }
    }

    private static func invalid(_ text: String, _ definition: SettingDefinition) -> SQLError {
        SQLError("22023", "invalid value for parameter \"\(definition.name)\": \"\(text)\"")
    }

    private static func unknown(_ name: String) -> SQLError {
        if SettingDefinition.isForeign(name.lowercased()) {
            return .unsupported("setting \"\(name)\"")
        }
        return SQLError("42704", "unrecognized configuration parameter \"\(name)\"")
    }
}
