/// The options of `COPY … FROM STDIN`.
struct CopyOptions {
    var isCSV = false
    var delimiter = UInt8(ascii: "\t")
    var null: [UInt8] = Array("\\N".utf8)
    var hasHeader = false
    var quote = UInt8(ascii: "\"")
    var escape = UInt8(ascii: "\"")

    init(_ options: [CopySyntax.Option]) throws(SQLError) {
        var values: [String: String?] = [:]
        for option in options {
            guard values.updateValue(option.value, forKey: option.name) == nil else {
                throw SQLError("42601", "conflicting or redundant options")
            }
        }
        switch (values["format"] ?? nil)?.lowercased() ?? "text" {
        case "text": break
        case "csv":
            isCSV = true
            delimiter = UInt8(ascii: ",")
            null = []
        case "binary": throw .unsupported("COPY in binary format")
        case let format: throw SQLError("22023", "COPY format \"\(format)\" not recognized")
        }
        for (name, value) in values.sorted(by: { $0.key < $1.key }) {
            try set(name, value)
        }
        if isCSV, values["quote"] != nil, values["escape"] == nil { escape = quote }
    }

    private mutating func set(_ name: String, _ value: String?) throws(SQLError) {
        switch name {
        case "format": break
        // All rows are visible by the same rule here, frozen or not.
        case "freeze": _ = try Self.truth(name, value)
        case "delimiter": delimiter = try Self.byte(name, value)
        case "null": null = Array((value ?? "").utf8)
        case "header":
            if value?.lowercased() == "match" { throw .unsupported("COPY with HEADER MATCH") }
            hasHeader = try Self.truth(name, value)
        case "quote", "escape":
            guard isCSV else { throw SQLError("0A000", "COPY \(name) available only in CSV mode") }
            if name == "quote" {
                quote = try Self.byte(name, value)
            } else {
                escape = try Self.byte(name, value)
            }
        case "encoding":
            guard ["utf8", "utf-8", "unicode"].contains((value ?? "").lowercased()) else {
                throw .unsupported("COPY with an encoding other than UTF8")
            }
        case "force_null", "force_not_null", "force_quote":
            throw .unsupported("COPY with \(name.uppercased())")
        default: throw SQLError("42601", "option \"\(name)\" not recognized")
        }
    }

    private static func truth(_ name: String, _ value: String?) throws(SQLError) -> Bool {
        guard let value else { return true }
        guard let truth = SessionSettings.truth(value) else {
            throw SQLError("42601", "\(name) requires a Boolean value")
        }
        return truth
    }

    private static func byte(_ name: String, _ value: String?) throws(SQLError) -> UInt8 {
        let bytes = Array((value ?? "").utf8)
        guard bytes.count == 1, bytes[0] != 10, bytes[0] != 13, bytes[0] != UInt8(ascii: "\\")
        else {
            throw SQLError("0A000", "COPY \(name) must be a single one-byte character")
        }
        return bytes[0]
    }
}
