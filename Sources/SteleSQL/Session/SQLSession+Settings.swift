extension SQLSession {
    func perform(_ set: SetSyntax, _ sink: any ResultSink) throws(SQLError) -> String {
        switch set {
        case .value(let name, let values, let isLocal, let isReset):
            switch name.lowercased() {
            case "transaction_isolation", "transaction_read_only":
                try setTransaction(name.lowercased(), values?.joined(separator: ", "))
            default:
                if isLocal, !isInBlock {
                    sink.notice(
                        SQLError("25P01", "SET LOCAL can only be used in transaction blocks"))
                }
                try self.set(name, values, isLocal: isLocal, isList: true)
            }
            return isReset ? "RESET" : "SET"
        case .resetAll:
            _ = try openTransaction()
            settings = defaults
            lastingSettings = defaults
            return "RESET"
        case .transaction(let modes):
            if !isInBlock {
                sink.notice(
                    SQLError("25P01", "SET TRANSACTION can only be used in transaction blocks"))
            }
            try self.set(modes)
            return "SET"
        case .sessionCharacteristics(let modes):
            if let isolation = modes.isolation {
                try self.set(
                    "default_transaction_isolation", [isolation], isLocal: false)
            }
            if let isReadOnly = modes.isReadOnly {
                try self.set(
                    "default_transaction_read_only", [isReadOnly ? "on" : "off"], isLocal: false)
            }
            return "SET"
        case .constraints: return "SET CONSTRAINTS"
        }
    }

    /// Whether statements follow that belong to the same transaction, declared or not.
    private var isInBlock: Bool { isInSeries || transaction?.isExplicit == true }

    func set(
        _ name: String, _ values: [String]?, isLocal: Bool, isList: Bool = false
    ) throws(SQLError) {
        // A transaction remembers what to put back if it is rolled back.
        _ = try openTransaction()
        try settings.set(name, values, defaults: defaults, isList: isList)
        if !isLocal {
            try lastingSettings.set(name, values, defaults: defaults, isList: isList)
        }
    }

    private func setTransaction(_ name: String, _ value: String?) throws(SQLError) {
        var modes = TransactionModes()
        if name == "transaction_isolation" {
            modes.isolation = value?.lowercased() ?? settings.isolation
        } else {
            guard let isReadOnly = value.map(SessionSettings.truth) ?? settings.isReadOnly else {
                throw SQLError("22023", "parameter \"\(name)\" requires a Boolean value")
            }
            modes.isReadOnly = isReadOnly
        }
        try self.set(modes)
    }

    // MARK: SHOW

    func show(_ name: String?, _ portal: Portal) throws(SQLError) -> String {
        portal.columns = try portal.formatted(Self.columns(ofShow: name))
        if let name {
            portal.hold([[.text(try value(of: name))]])
        } else {
            var rows: [[Datum]] = []
            for name in SettingDefinition.names {
                rows.append([.text(name), .text(try value(of: name)), .text("")])
            }
            portal.hold(rows)
        }
        return "SHOW"
    }

    static func columns(ofShow name: String?) -> [ResultColumn] {
        guard let name else {
            return ["name", "setting", "description"].map { ResultColumn(name: $0, type: .text) }
        }
        return [ResultColumn(name: SessionSettings.displayName(name), type: .text)]
    }

    private func value(of name: String) throws(SQLError) -> String {
        var settings = settings
        if let transaction {
            settings.note(isolation: transaction.isolation, isReadOnly: transaction.isReadOnly)
        }
        return try settings.value(of: name)
    }
}
