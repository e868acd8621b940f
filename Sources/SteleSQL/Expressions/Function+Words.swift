// Functions of text beyond the cutting and joining of Function+Apply.

extension Function {
    func words(_ values: [Datum]) throws(SQLError) -> Datum {
        if case .bytes(let bytes) = values[0], self == .digest { return .text(MD5.hex(bytes)) }
        if case .bytes(let bytes) = values[0] { return .int(Int64(bytes.count) * 8) }
        if case .int(let number) = values[0] { return try Self.text(of: number, self) }
        guard case .text(let text) = values[0] else { return .null }
        switch self {
        case .digest: return .text(MD5.hex(text.utf8))
        case .bitLength: return .int(Int64(text.utf8.count) * 8)
        case .firstCode: return .int(text.unicodeScalars.first.map { Int64($0.value) } ?? 0)
        case .capitalized: return .text(Self.capitalized(text))
        case .field: return try Self.field(text, values)
        case .translated: return Self.translated(text, values)
        default: return .null
        }
    }

    /// `concat_ws`: what is not null, with the first argument between.
    static func joined(_ values: [Datum]) throws(SQLError) -> Datum {
        guard case .text(let separator) = values[0] else { return .null }
        var parts: [String] = []
        var length = 0
        for case .text(let text) in values.dropFirst() {
            length += text.utf8.count + separator.utf8.count
            try checkLength(length)
            parts.append(text)
        }
        return .text(parts.joined(separator: separator))
    }

    private static func text(of number: Int64, _ function: Function) throws(SQLError) -> Datum {
        switch function {
        case .hex(let type):
            let bits =
                type == .int4
                ? UInt64(UInt32(truncatingIfNeeded: number)) : UInt64(bitPattern: number)
            return .text(String(bits, radix: 16))
        case .character:
            if number == 0 { throw SQLError("54000", "null character not permitted") }
            guard number > 0 else { throw SQLError("22023", "character number must be positive") }
            guard number <= 0x10_FFFF else {
                throw SQLError("54000", "requested character too large for encoding: \(number)")
            }
            guard let scalar = Unicode.Scalar(UInt32(number)) else {
                throw SQLError(
                    "54000", "requested character not valid for encoding: \(number)")
            }
            return .text(String(Character(scalar)))
        default: return .null
        }
    }

    /// A word is a series of letters and digits.
    private static func capitalized(_ text: String) -> String {
        var result = ""
        var isInWord = false
        for scalar in text.unicodeScalars {
            let character = String(Character(scalar))
            result += isInWord ? character.inLowerCase : character.inUpperCase
            isInWord = scalar.properties.isAlphabetic || scalar.properties.numericType != nil
        }
        return result
    }

    /// `split_part`: a part by its number, counted from the end if it is negative.
    private static func field(_ text: String, _ values: [Datum]) throws(SQLError) -> Datum {
        guard case .text(let separator) = values[1], case .int(let number) = values[2] else {
            return .null
        }
        guard number != 0 else { throw SQLError("22023", "field position must not be zero") }
        guard !text.isEmpty else { return .text("") }
        guard !separator.isEmpty else { return .text(number == 1 || number == -1 ? text : "") }
        var index = Int(number) - 1
        if number < 0 {
            var count = 1
            var search = TextSearch(for: separator, in: text)
            while search.next() != nil { count += 1 }
            index = count + Int(number)
        }
        guard index >= 0 else { return .text("") }
        var search = TextSearch(for: separator, in: text)
        var start = 0
        for _ in 0..<index {
            guard let found = search.next() else { return .text("") }
            start = found + separator.utf8.count
        }
        let end = search.next() ?? text.utf8.count
        return .text(String(decoding: Array(text.utf8)[start..<end], as: UTF8.self))
    }

    /// Each character of one set becomes that of the other, or nothing if there is none.
    private static func translated(_ text: String, _ values: [Datum]) -> Datum {
        guard case .text(let from) = values[1], case .text(let into) = values[2] else {
            return .null
        }
        var meaning: [Unicode.Scalar: Unicode.Scalar?] = [:]
        var replacements = into.unicodeScalars.makeIterator()
        for scalar in from.unicodeScalars {
            let replacement = replacements.next()
            if meaning[scalar] == nil { meaning[scalar] = .some(replacement) }
        }
        var result = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            switch meaning[scalar] {
            case nil: result.append(scalar)
            case .some(let replacement): if let replacement { result.append(replacement) }
            }
        }
        return .text(String(result))
    }
}
