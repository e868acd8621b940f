/// The options of `COPY … FROM STDIN`, as PostgreSQL 15 has them.
struct CopyOptions {
    enum Encoding { case utf8, latin1 }

    enum Header { case none, skipped, matched }

    var isCSV = false
    var delimiter = UInt8(ascii: "\t")
    var null: [UInt8] = Array("\\N".utf8)
    var header = Header.none
    var quote = UInt8(ascii: "\"")
    var escape = UInt8(ascii: "\"")
    var encoding = Encoding.utf8
    /// Columns whose quoted values are null too if they read like it, by name.
    var forceNull: [String] = []
    /// Columns whose values are never null.
    var forceNotNull: [String] = []

    init(_ options: [CopySyntax.Option]) throws(SQLError) {
        var known: [String: CopySyntax.Option] = [:]
        for option in options {
            guard known.updateValue(option, forKey: option.name) == nil else {
                throw SQLError("42601", "conflicting or redundant options")
            }
        }
        switch known["format"]?.value ?? "text" {
        case "text": break
        case "csv":
            isCSV = true
            delimiter = UInt8(ascii: ",")
            null = []
        case "binary": throw .unsupported("COPY in binary format")
        case let format: throw SQLError("22023", "COPY format \"\(format)\" not recognized")
        }
        for option in options { try set(option) }
        if isCSV, known["quote"] != nil, known["escape"] == nil { escape = quote }
        try check()
    }

    private mutating func set(_ option: CopySyntax.Option) throws(SQLError) {
        let (name, value) = (option.name, option.value)
        switch name {
        case "format": break
        // All rows are visible by the same rule here, frozen or not.
        case "freeze": _ = try Self.truth(name, value)
        case "delimiter": delimiter = try Self.byte(name, value)
        case "null": null = Array((value ?? "").utf8)
        case "header":
            if value?.lowercased() == "match" {
                header = .matched
            } else {
                header = try Self.truth(name, value) ? .skipped : .none
            }
        case "quote", "escape":
            guard isCSV else { throw SQLError("0A000", "COPY \(name) available only in CSV mode") }
            if name == "quote" {
                quote = try Self.byte(name, value)
            } else {
                escape = try Self.byte(name, value)
            }
        case "encoding":
            switch ClientEncoding.name(value ?? "") {
            case "UTF8", "SQL_ASCII": encoding = .utf8
            case "LATIN1": encoding = .latin1
            case let name?: throw .unsupported("COPY with encoding \(name)")
            case nil:
                throw SQLError(
                    "22023", "argument to option \"encoding\" must be a valid encoding name")
            }
        case "force_null", "force_not_null":
            let columns = try columns(option)
            if name == "force_null" { forceNull = columns } else { forceNotNull = columns }
        case "force_quote":
            guard isCSV else {
                throw SQLError("0A000", "COPY force quote available only in CSV mode")
            }
            throw SQLError("0A000", "COPY force quote only available using COPY TO")
        default: throw SQLError("42601", "option \"\(name)\" not recognized")
        }
    }

    private func columns(_ option: CopySyntax.Option) throws(SQLError) -> [String] {
        guard let columns = option.list else {
            throw SQLError(
                "22023", "argument to option \"\(option.name)\" must be a list of column names")
        }
        guard isCSV else {
            let name = option.name.split(separator: "_").joined(separator: " ")
            throw SQLError("0A000", "COPY \(name) available only in CSV mode")
        }
        return columns
    }

    /// Options that do not go together.
    private func check() throws(SQLError) {
        let lineEnds: [UInt8] = [10, 13]
        guard !lineEnds.contains(delimiter) else {
            throw SQLError("22023", "COPY delimiter cannot be newline or carriage return")
        }
        guard !null.contains(where: lineEnds.contains) else {
            throw SQLError("22023", "COPY null representation cannot use newline or carriage return")
        }
        if !isCSV, Array("\\.abcdefghijklmnopqrstuvwxyz0123456789".utf8).contains(delimiter) {
            let shown = String(decoding: [delimiter], as: UTF8.self)
            throw SQLError("22023", "COPY delimiter cannot be \"\(shown)\"")
        }
        if isCSV, delimiter == quote {
            throw SQLError("22023", "COPY delimiter and quote must be different")
        }
        if null.contains(delimiter) {
            throw SQLError("0A000", "COPY delimiter must not appear in the NULL specification")
        }
        if isCSV, null.contains(quote) {
            throw SQLError("0A000", "CSV quote character must not appear in the NULL specification")
        }
    }

    private static func truth(_ name: String, _ value: String?) throws(SQLError) -> Bool {
        guard let value else { return true }
        guard let truth = ["on", "true", "1"].contains(value.lowercased())
            ? true : ["off", "false", "0"].contains(value.lowercased()) ? false : nil
        else {
            throw SQLError(
                "42601",
                name == "header"
                    ? "header requires a Boolean value or \"match\""
                    : "\(name) requires a Boolean value")
        }
        return truth
    }

    private static func byte(_ name: String, _ value: String?) throws(SQLError) -> UInt8 {
        let bytes = Array((value ?? "").utf8)
        guard bytes.count == 1 else {
            throw SQLError("0A000", "COPY \(name) must be a single one-byte character")
        }
        return bytes[0]
    }
}
