/// Writes small JSON objects on one line.
enum JSONText {
    enum Value {
        /// Printed as text if it is valid UTF-8, else as an object with the bytes in hexadecimal.
        case bytes([UInt8])
    }

    static func object(_ members: [(String, Value)]) -> String {
        "{" + members.map { name, value in "\(string(name)):\(text(value))" }.joined(separator: ",")
            + "}"
    }

    private static func text(_ value: Value) -> String {
        switch value {
        case .bytes(let bytes):
            if let text = String(validating: bytes, as: UTF8.self) { return string(text) }
            let digits = bytes.map { byte in
                (byte < 16 ? "0" : "") + String(byte, radix: 16)
            }
            return "{\"hex\":\"\(digits.joined())\"}"
        }
    }

    private static func string(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\t": result += "\\t"
            default:
                // Those behind DEL move a terminal's cursor too.
                if scalar.properties.generalCategory == .control {
                    let digits = String(scalar.value, radix: 16)
                    result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
                } else {
                    result.unicodeScalars.append(scalar)
                }
            }
        }
        return result + "\""
    }
}
