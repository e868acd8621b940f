import SteleBase

/// The settings of a session: what `SET` changes and `SHOW` tells.
///
/// A value type, so that a transaction or savepoint that is rolled back puts the old one back. Each
/// statement takes a copy and few change one, so what is kept is shared until it is changed.
struct SessionSettings: Sendable {
    /// What the settings are.
    ///
    /// Safety: changed only where a ``SessionSettings`` holds the only reference.
    private final class Storage: @unchecked Sendable {
        var values: [String: String] = [:]
        let zones: ZoneDatabase
        var zone = TimeZone.utc
        var dateOrder = DateOrder.monthFirst
        var lockTimeout = 0
        var statementTimeout = 0
        var idleInTransactionTimeout = 0
        var idleTimeout = 0
        var messageLevel = MessageLevel.notice
        var isolation = readCommitted
        var isReadOnly = false

        init(zones: ZoneDatabase) { self.zones = zones }

        init(_ other: Storage) {
            values = other.values
            zones = other.zones
            zone = other.zone
            dateOrder = other.dateOrder
            lockTimeout = other.lockTimeout
            statementTimeout = other.statementTimeout
            idleInTransactionTimeout = other.idleInTransactionTimeout
            idleTimeout = other.idleTimeout
            messageLevel = other.messageLevel
            isolation = other.isolation
            isReadOnly = other.isReadOnly
        }
    }

    private var storage: Storage
    private var transactionModes: (isolation: String, isReadOnly: Bool)?

    /// The kept settings to be changed, which nobody else has.
    private mutating func changed() -> Storage {
        if !isKnownUniquelyReferenced(&storage) { storage = Storage(storage) }
        return storage
    }

    /// Whether both are the same for not having been changed since one was copied from the other.
    func isCopy(of other: SessionSettings) -> Bool { storage === other.storage }

    var zone: TimeZone { storage.zone }
    /// In milliseconds; 0 waits for ever.
    var lockTimeout: Int { storage.lockTimeout }
    /// In milliseconds; 0 lets a statement run for ever.
    var statementTimeout: Int { storage.statementTimeout }
    /// In milliseconds; 0 lets a client be idle for ever, within a transaction and outside of one.
    var idleInTransactionTimeout: Int { storage.idleInTransactionTimeout }
    var idleTimeout: Int { storage.idleTimeout }
    var messageLevel: MessageLevel { storage.messageLevel }
    var isolation: String { storage.isolation }
    var isReadOnly: Bool { storage.isReadOnly }

    /// Those that a client is told of at the start and after each change, in this order.
    static let reported = [
        "server_version", "server_encoding", "client_encoding", "application_name", "DateStyle",
        "IntervalStyle", "is_superuser", "TimeZone", "integer_datetimes",
        "standard_conforming_strings", "session_authorization", "default_transaction_read_only",
        "in_hot_standby",
    ]

    static let readCommitted = "read committed"
    static let isolationLevels = [
        "serializable", "repeatable read", readCommitted, "read uncommitted",
    ]

    /// A name as clients know it.
    static func displayName(_ name: String) -> String {
        SettingDefinition.all[name.lowercased()]?.name ?? name
    }

    init(_ environment: SQLEnvironment) {
        storage = Storage(zones: environment.zones)
        storage.values["server_version"] = environment.serverVersion
        storage.values["session_authorization"] = environment.user
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
        if let value = storage.values[key] { return value }
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
        TimeContext(
            now: now, zone: storage.zone, zones: storage.zones, order: storage.dateOrder)
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
        let isNew = storage.values[key] == nil
        guard length <= Limits.settingBytes, !isNew || storage.values.count < Limits.settings else {
            throw SQLError(
                "54000", "the settings of a session are at most \(Limits.settings), of "
                    + "\(Limits.settingBytes >> 10) KiB each")
        }
        guard let definition = SettingDefinition.all[key] else {
            // Names with a dot belong to whoever wants them.
            guard key.contains(".") else { throw Self.unknown(name) }
            changed().values[key] =
                written?.joined(separator: ", ") ?? defaults.storage.values[key] ?? ""
            return
        }
        if case .fixed = definition.kind {
            throw SQLError("55P02", "parameter \"\(definition.name)\" cannot be changed")
        }
        let text: String
        if let written { text = written.joined(separator: ", ") } else {
            text = try defaults.value(of: key)
        }
        let value = try accepted(text, for: definition)
        changed().values[key] = value
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
            if definition.name == "default_transaction_read_only" { changed().isReadOnly = value }
            return value ? "on" : "off"
        case .duration:
            let milliseconds = try SettingDuration.milliseconds(text, of: definition.name)
            switch definition.name {
            case "lock_timeout": changed().lockTimeout = milliseconds
            case "idle_in_transaction_session_timeout": changed().idleInTransactionTimeout = milliseconds
            case "idle_session_timeout": changed().idleTimeout = milliseconds
            default: changed().statementTimeout = milliseconds
            }
            return SettingDuration.text(milliseconds)
        case .messageLevel:
            guard let level = MessageLevel(text) else {
                let levels = "debug5, debug4, debug3, debug2, debug1, log, notice, warning, error"
                var error = Self.invalid(text, definition)
                error.hint = "Available values: \(levels)."
                throw error
            }
            changed().messageLevel = level
            return text.lowercased()
        case .isolation:
            let level = text.lowercased()
            guard Self.isolationLevels.contains(level) else {
                throw Self.invalid(text, definition)
            }
            changed().isolation = level
            return level
        case .zone:
            let isLocal = ["local", "default"].contains(text.lowercased())
            let (name, zone) = try storage.zones.setting(isLocal ? "UTC" : text)
            changed().zone = zone
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
        var order = storage.dateOrder
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
        changed().dateOrder = order
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
