// Reads what the server sends into lines such as "D 1|two|" or "E ERROR 08P01 …", which tests
// compare as a transcript. Written apart from the writer, so that it checks the layout.

/// Cuts the backend's bytes into messages.
struct ServerMessages {
    private(set) var lines: [String] = []
    private(set) var rest: ArraySlice<UInt8>

    /// - Parameter answers: how many one-byte answers to encryption requests come first.
    init(_ bytes: [UInt8], answers: Int = 0) {
        rest = bytes[...]
        for _ in 0..<answers { lines.append(text(rest.prefix(1)) + "?"); rest = rest.dropFirst() }
        while rest.count >= 5 {
            let length = Int(integer(rest.dropFirst().prefix(4)))
            guard length >= 4, rest.count > length else { break }
            let kind = text(rest.prefix(1))
            lines.append(line(kind, rest.dropFirst(5).prefix(length - 4)))
            rest = rest.dropFirst(length + 1)
        }
    }

    private func line(_ kind: String, _ body: ArraySlice<UInt8>) -> String {
        switch kind {
        case "D": "D " + row(body).joined(separator: "|")
        case "T": "T " + columns(body).joined(separator: "|")
        case "E", "N": "\(kind) " + fields(body).joined(separator: " ")
        case "S": "S " + strings(body).joined(separator: "=")
        case "C": "C " + text(body.dropLast())
        case "Z": "Z " + text(body)
        case "K", "R", "t", "v", "G":
            "\(kind) " + body.map { String($0) }.joined(separator: ",")
        default: kind + text(body)
        }
    }

    private func row(_ body: ArraySlice<UInt8>) -> [String] {
        var rest = body.dropFirst(2)
        var values: [String] = []
        while !rest.isEmpty {
            let length = Int(integer(rest.prefix(4)))
            rest = rest.dropFirst(4)
            values.append(length < 0 ? "NULL" : text(rest.prefix(length)))
            rest = rest.dropFirst(max(0, length))
        }
        return values
    }

    /// Each column as name:type/format.
    private func columns(_ body: ArraySlice<UInt8>) -> [String] {
        var rest = body.dropFirst(2)
        var columns: [String] = []
        while !rest.isEmpty {
            let name = text(rest.prefix { $0 != 0 })
            rest = rest.dropFirst(name.utf8.count + 1)
            let type = integer(rest.dropFirst(6).prefix(4))
            columns.append("\(name):\(type)/\(integer(rest.dropFirst(16).prefix(2)))")
            rest = rest.dropFirst(18)
        }
        return columns
    }

    /// Severity, SQLSTATE, message, and the other fields with their tags.
    private func fields(_ body: ArraySlice<UInt8>) -> [String] {
        strings(body).filter { !$0.hasPrefix("V") }.map {
            "SCM".contains($0.first ?? " ") ? String($0.dropFirst()) : $0
        }
    }

    private func strings(_ body: ArraySlice<UInt8>) -> [String] {
        body.split(separator: 0).map { text($0) }
    }

    private func integer(_ bytes: ArraySlice<UInt8>) -> Int32 {
        Int32(bitPattern: bytes.reduce(0) { $0 << 8 | UInt32($1) })
    }

    private func text(_ bytes: ArraySlice<UInt8>) -> String {
        String(decoding: bytes, as: UTF8.self)
    }
}
