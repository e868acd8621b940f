/// Takes the data of `COPY` apart, which comes cut anywhere, into rows of fields.
struct CopyDecoder {
    /// One field; nil is null.
    typealias Field = ArraySlice<UInt8>?

    private let options: CopyOptions
    private var buffer: [UInt8] = []
    private var position = 0
    /// Where to go on looking for the end of the line.
    private var searched = 0
    private var isQuoted = false
    /// A line `\.` was met: what follows does not count.
    private(set) var isFinished = false
    private var skipsHeader: Bool
    /// How many lines were read, those within quotes included.
    private(set) var lines = 0
    /// Where the line read last lies in the buffer, until more data comes.
    private var current = 0..<0

    /// The longest line.
    private static let lineLimit = 64 << 20

    init(_ options: CopyOptions) {
        self.options = options
        skipsHeader = options.hasHeader
    }

    mutating func append(_ data: ArraySlice<UInt8>) throws(SQLError) {
        if position > 0 {
            buffer.removeFirst(position)
            searched -= position
            position = 0
            current = 0..<0
        }
        guard buffer.count + data.count <= Self.lineLimit else {
            throw SQLError("54000", "a line of COPY data exceeds \(Self.lineLimit >> 20) MiB")
        }
        buffer.append(contentsOf: data)
    }

    /// The fields of the next line; nil if it is not complete yet, or at the end.
    mutating func next(isAtEnd: Bool) throws(SQLError) -> [Field]? {
        while !isFinished, let line = try nextLine(isAtEnd: isAtEnd) {
            if line.elementsEqual([UInt8(ascii: "\\"), UInt8(ascii: ".")]) {
                isFinished = true
                return nil
            }
            if skipsHeader {
                skipsHeader = false
                continue
            }
            return try options.isCSV ? fieldsOfCSV(line) : fieldsOfText(line)
        }
        return nil
    }

    // MARK: Lines

    /// The line read last, as errors show it.
    var shownLine: String { Self.shown(buffer[current]) }

    /// The beginning of what a client sent, as errors show it.
    static func shown(_ bytes: ArraySlice<UInt8>) -> String {
        let text = String(decoding: bytes.prefix(400), as: UTF8.self)
        return text.count > 100 ? text.prefix(100) + "..." : text
    }

    private mutating func nextLine(isAtEnd: Bool) throws(SQLError) -> ArraySlice<UInt8>? {
        var index = max(searched, position)
        let end = buffer.count
        while index < end {
            let byte = buffer[index]
            if options.isCSV {
                if isQuoted, byte == options.escape, options.escape != options.quote {
                    // What it escapes may not have come yet.
                    guard index + 1 < end || isAtEnd else { break }
                    index += 2
                    continue
                }
                if byte == options.quote { isQuoted.toggle() }
            }
            if byte == 10 {
                lines += 1
                if !isQuoted {
                    defer {
                        position = index + 1
                        searched = position
                    }
                    return lineRead(upTo: index)
                }
            }
            index += 1
        }
        searched = min(index, end)
        guard isAtEnd, position < end else { return nil }
        guard !isQuoted else { throw SQLError("22P04", "unterminated CSV quoted field") }
        lines += 1
        defer { position = end }
        return lineRead(upTo: end)
    }

    private mutating func lineRead(upTo end: Int) -> ArraySlice<UInt8> {
        let isCut = end > position && buffer[end - 1] == 13
        current = position..<(isCut ? end - 1 : end)
        return buffer[current]
    }

    // MARK: Text

    private func fieldsOfText(_ line: ArraySlice<UInt8>) throws(SQLError) -> [Field] {
        var fields: [Field] = []
        var start = line.startIndex
        var index = start
        var hasEscape = false
        while index < line.endIndex {
            let byte = line[index]
            if byte == options.delimiter {
                fields.append(field(line[start..<index], hasEscape))
                start = index + 1
                hasEscape = false
            } else if byte == UInt8(ascii: "\\") {
                hasEscape = true
                index += 1
            }
            index += 1
        }
        fields.append(field(line[start..<line.endIndex], hasEscape))
        return fields
    }

    private func field(_ raw: ArraySlice<UInt8>, _ hasEscape: Bool) -> Field {
        if raw.elementsEqual(options.null) { return nil }
        return hasEscape ? Self.unescaped(raw) : raw
    }

    private static func unescaped(_ raw: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var result: [UInt8] = []
        result.reserveCapacity(raw.count)
        var rest = raw
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "\\"), let next = rest.popFirst() else {
                result.append(byte)
                continue
            }
            switch next {
            case UInt8(ascii: "b"): result.append(8)
            case UInt8(ascii: "f"): result.append(12)
            case UInt8(ascii: "n"): result.append(10)
            case UInt8(ascii: "r"): result.append(13)
            case UInt8(ascii: "t"): result.append(9)
            case UInt8(ascii: "v"): result.append(11)
            case UInt8(ascii: "0")...UInt8(ascii: "7"):
                var value = Int(next - UInt8(ascii: "0"))
                for _ in 0..<2 {
                    guard let digit = rest.first, (48...55).contains(digit) else { break }
                    value = value << 3 + Int(digit - 48)
                    rest.removeFirst()
                }
                result.append(UInt8(truncatingIfNeeded: value))
            case UInt8(ascii: "x"):
                var value: UInt8?
                for _ in 0..<2 {
                    guard let digit = rest.first, let bits = Self.hexDigit(digit) else { break }
                    value = (value ?? 0) << 4 | bits
                    rest.removeFirst()
                }
                result.append(value ?? next)
            default: result.append(next)
            }
        }
        return result[...]
    }

    private static func hexDigit(_ byte: UInt8) -> UInt8? {
        guard byte < 0x80, let value = Character(Unicode.Scalar(byte)).hexDigitValue else {
            return nil
        }
        return UInt8(value)
    }

    // MARK: CSV

    private func fieldsOfCSV(_ line: ArraySlice<UInt8>) throws(SQLError) -> [Field] {
        var fields: [Field] = []
        var value: [UInt8] = []
        var wasQuoted = false
        var isInside = false
        var index = line.startIndex
        func finish() {
            let isNull = !wasQuoted && value == options.null
            fields.append(isNull ? nil : value[...])
            value = []
            wasQuoted = false
        }
        while index < line.endIndex {
            let byte = line[index]
            if isInside {
                let next = index + 1 < line.endIndex ? line[index + 1] : 0
                if byte == options.escape, index + 1 < line.endIndex,
                    next == options.quote || next == options.escape
                {
                    value.append(next)
                    index += 1
                } else if byte == options.quote {
                    isInside = false
                } else {
                    value.append(byte)
                }
            } else if byte == options.quote {
                isInside = true
                wasQuoted = true
            } else if byte == options.delimiter {
                finish()
            } else {
                value.append(byte)
            }
            index += 1
        }
        finish()
        return fields
    }
}
