import PostgresJudge

/// A statement and the values of its parameters.
struct Statement {
    struct Parameter {
        /// 0 leaves the type to the server.
        var type: Int
        var isBinary: Bool
        /// nil is null.
        var bytes: [UInt8]?
    }

    var text: String
    var parameters: [Parameter] = []
    var changesRows: Bool {
        ["insert ", "update ", "delete "].contains(where: text.hasPrefix)
    }

    /// Whether it reads values of char(n), whose blanks at the end are not held here.
    var mayShowBlanks: Bool {
        text.replacing("varchar", with: "").contains("char")
            || parameters.contains(where: { $0.type == 1_042 })
    }

    /// Whether what it computes may depend on such blanks.
    var mayCountBlanks: Bool {
        mayShowBlanks && ["length", "bytea", "concat", " like "].contains(where: text.contains)
    }

    /// Whether its rows come in no order of their own.
    var isUnordered = false

    /// The messages of the simple protocol, or with parameters of the extended one, up to where the
    /// server is ready.
    var messages: [UInt8] {
        typealias Client = PostgresClient
        guard !parameters.isEmpty else { return Client.message("Q", Client.text(text)) }
        let types = parameters.flatMap { Client.integer($0.type) }
        var bytes = Client.message(
            "P", [0] + Client.text(text) + Client.short(parameters.count) + types)
        let formats = parameters.flatMap { Client.short($0.isBinary ? 1 : 0) }
        let values = parameters.flatMap { parameter in
            parameter.bytes.map { Client.integer($0.count) + $0 } ?? Client.integer(-1)
        }
        bytes += Client.message("D", Array("S".utf8) + [0])
        bytes += Client.message(
            "B", [0, 0] + Client.short(parameters.count) + formats
                + Client.short(parameters.count) + values + Client.short(0))
        bytes += Client.message("E", [0] + Client.integer(0))
        return bytes + Client.message("S", [])
    }

    /// The statement as a person would type it.
    var shown: String {
        guard !parameters.isEmpty else { return text }
        let values = parameters.map { parameter in
            let value = parameter.bytes.map {
                parameter.isBinary ? "binary \($0)" : "'\(String(decoding: $0, as: UTF8.self))'"
            }
            return "\(value ?? "null")" + (parameter.type == 0 ? "" : " of type \(parameter.type)")
        }
        return "\(text) -- with \(values.joined(separator: ", "))"
    }
}
