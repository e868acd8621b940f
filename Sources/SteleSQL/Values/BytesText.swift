import SteleBase

/// Byte strings in PostgreSQL's hex form; the older escape form is read too.
enum BytesText {
    static func append(_ bytes: [UInt8], to out: inout [UInt8]) {
        SteleSQL.append("\\x", to: &out)
        out.reserveCapacity(out.count + 2 * bytes.count)
        for byte in bytes {
            out.append(hexDigit(byte >> 4))
            out.append(hexDigit(byte & 15))
        }
    }

    static func parse(_ text: ArraySlice<UInt8>) throws(SQLError) -> [UInt8] {
        if text.starts(with: [UInt8(ascii: "\\"), UInt8(ascii: "x")]) {
            return try parseHex(text.dropFirst(2))
        }
        guard text.contains(UInt8(ascii: "\\")) else { return Array(text) }
        return try parseEscaped(text)
    }

    /// Pairs of digits; blanks may stand between pairs.
    private static func parseHex(_ text: ArraySlice<UInt8>) throws(SQLError) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count / 2)
        var index = text.startIndex
        while index < text.endIndex {
            if text[index] == 0x20 || text[index] == 0x09 || text[index] == 0x0A
                || text[index] == 0x0D
            {
                index += 1
                continue
            }
            let high = try hexValue(text[index])
            guard index + 1 < text.endIndex else {
                throw SQLError("22023", "invalid hexadecimal data: odd number of digits")
            }
            bytes.append(high << 4 | (try hexValue(text[index + 1])))
            index += 2
        }
        return bytes
    }

    /// A backslash is doubled or stands before three octal digits.
    private static func parseEscaped(_ text: ArraySlice<UInt8>) throws(SQLError) -> [UInt8] {
        let backslash = UInt8(ascii: "\\")
        var bytes: [UInt8] = []
        var rest = text
        while let byte = rest.popFirst() {
            if byte != backslash {
                bytes.append(byte)
            } else if rest.first == backslash {
                rest.removeFirst()
                bytes.append(backslash)
            } else {
                let digits = rest.prefix(3).map { $0 &- UInt8(ascii: "0") }
                guard digits.count == 3, digits[0] <= 3, digits[1] <= 7, digits[2] <= 7 else {
                    throw SQLError("22P02", "invalid input syntax for type bytea")
                }
                bytes.append(digits[0] << 6 | digits[1] << 3 | digits[2])
                rest.removeFirst(3)
            }
        }
        return bytes
    }

    private static func hexValue(_ byte: UInt8) throws(SQLError) -> UInt8 {
        guard let value = hexDigitValue(byte) else {
            let character = String(decoding: [byte], as: UTF8.self)
            throw SQLError("22023", "invalid hexadecimal digit: \"\(character)\"")
        }
        return value
    }
}

/// UUIDs as `a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11`.
enum UUIDText {
    static func append(_ value: UniqueID, to out: inout [UInt8]) {
        for index in 0..<32 {
            if index == 8 || index == 12 || index == 16 || index == 20 {
                out.append(UInt8(ascii: "-"))
            }
            let half = index < 16 ? value.high : value.low
            out.append(hexDigit(UInt8(truncatingIfNeeded: half >> (60 - index % 16 * 4)) & 15))
        }
    }

    /// Braces around it are allowed, and a hyphen after any four digits.
    static func parse(_ text: ArraySlice<UInt8>) throws(SQLError) -> UniqueID {
        var rest = text
        let isBraced = rest.first == UInt8(ascii: "{")
        if isBraced { rest.removeFirst() }
        var high: UInt64 = 0
        var low: UInt64 = 0
        var count = 0
        while let byte = rest.first {
            if let digit = hexDigitValue(byte), count < 32 {
                high = high << 4 | low >> 60
                low = low << 4 | UInt64(digit)
                count += 1
            } else if byte != UInt8(ascii: "-") || count % 4 != 0 || count == 0 || count == 32
                || rest.dropFirst().first.flatMap(hexDigitValue) == nil
            {
                break
            }
            rest.removeFirst()
        }
        if isBraced, rest.first == UInt8(ascii: "}") {
            rest.removeFirst()
        } else if isBraced {
            count = 0
        }
        guard count == 32, rest.isEmpty else {
            throw SQLError("22P02", "invalid input syntax for type uuid: \(quoted(text))")
        }
        return UniqueID(high: high, low: low)
    }
}

@inline(__always)
private func hexDigit(_ value: UInt8) -> UInt8 {
    value < 10 ? UInt8(ascii: "0") &+ value : UInt8(ascii: "a") &+ value &- 10
}

@inline(__always)
private func hexDigitValue(_ byte: UInt8) -> UInt8? {
    if isDigit(byte) { return byte &- UInt8(ascii: "0") }
    let letter = (byte | 0x20) &- UInt8(ascii: "a")
    return letter < 6 ? letter + 10 : nil
}
