/// Takes the data of `COPY` apart, which comes cut anywhere, into rows of fields.
struct CopyDecoder {
    /// One field; nil is null.
    typealias Field = ArraySlice<UInt8>?

    /// How lines end: as the first one does.
    private enum LineEnd { case newline, carriageReturn, both }

    private let options: CopyOptions
    /// The columns that the data has, by name.
    private let columns: [String]
    /// For each of them, whether a quoted value may be null, and whether one without quotes may.
    private let quotedIsNull: [Bool]
    private let plainIsNull: [Bool]
    private var lineEnd: LineEnd?
    private var buffer: [UInt8] = []
    private var position = 0
    /// Where to go on looking for the end of the line.
    private var searched = 0
    private var isQuoted = false
    /// The mark `\.` of the end was met: what follows does not count.
    private(set) var isFinished = false
    private var isAtHeader: Bool
    /// How many lines were read, those within quotes included, but for the first row's.
    private(set) var lines = 0
    /// Where the line read last lies in the buffer, until more data comes.
    private var current = 0..<0

    /// The longest line.
    private static let lineLimit = 64 << 20
    private static let headerFields = 1 << 16

    init(_ options: CopyOptions, columns: [String]) {
        self.options = options
        self.columns = columns
        quotedIsNull = columns.map(Set(options.forceNull).contains)
        let notNull = Set(options.forceNotNull)
        plainIsNull = columns.map { !notNull.contains($0) }
        isAtHeader = options.header != .none
    }

    /// What came and was not read yet.
    var unreadBytes: Int { buffer.count - position }

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
        switch options.encoding {
        case .utf8: buffer.append(contentsOf: data)
        case .latin1:
            for byte in data {
                if byte < 0x80 { buffer.append(byte) } else {
                    buffer.append(0xC0 | byte >> 6)
                    buffer.append(0x80 | byte & 0x3F)
                }
            }
        }
    }

    /// The fields of the next line; nil if it is not complete yet, or at the end.
    mutating func next(isAtEnd: Bool) throws(SQLError) -> [Field]? {
        while !isFinished, let line = try nextLine(isAtEnd: isAtEnd) {
            if options.isCSV, line.elementsEqual(Self.mark), current.upperBound < position {
                isFinished = true
            }
            // In text the mark may stand behind a last row.
            if isFinished, options.isCSV || line.isEmpty { return nil }
            let isHeader = isAtHeader
            isAtHeader = false
            if isHeader, options.header == .skipped { continue }
            // One too many is an error, however many follow; that of a header names the number.
            let most = isHeader ? Self.headerFields : columns.count
            let fields =
                try options.isCSV
                ? fieldsOfCSV(line, atMost: most) : fieldsOfText(line, atMost: most)
            if !isHeader { return fields }
            try checkHeader(fields)
        }
        return nil
    }

    /// Checks that a header names the columns.
    private func checkHeader(_ fields: [Field]) throws(SQLError) {
        guard fields.count == columns.count else {
            throw SQLError(
                "22P04",
                "wrong number of fields in header line: got \(fields.count), expected "
                    + "\(columns.count)")
        }
        for (place, (field, column)) in zip(fields, columns).enumerated() {
            let name = field.map { String(decoding: $0, as: UTF8.self) }
            guard name != column else { continue }
            let shown =
                name.map { "\"\($0)\"" }
                ?? "null value (\"\(String(decoding: options.null, as: UTF8.self))\")"
            throw SQLError(
                "22P04",
                "column name mismatch in header line field \(place + 1): got \(shown), expected "
                    + "\"\(column)\"")
        }
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
            } else if byte == UInt8(ascii: "\\") {
                // What it escapes belongs to the value, an end of a line too.
                guard index + 1 < end || isAtEnd else { break }
                if index + 1 < end, buffer[index + 1] == Self.mark[1] {
                    guard index + 3 < end || isAtEnd else { break }
                    try checkMark(at: index)
                    isFinished = true
                    return lineRead(upTo: index, next: end)
                }
                index += 2
                continue
            }
            if isQuoted {
                // As PostgreSQL counts them, which expects returns as long as no line has ended.
                if byte == (lineEnd == .newline ? 10 : 13) { lines += 1 }
            } else if byte == 13 {
                // A newline may follow that has not come yet.
                guard index + 1 < end || isAtEnd else { break }
                let isPair = index + 1 < end && buffer[index + 1] == 10
                try take(isPair && lineEnd != .carriageReturn ? .both : .carriageReturn, at: index)
                return lineRead(upTo: index, next: index + (lineEnd == .both ? 2 : 1))
            } else if byte == 10 {
                try take(.newline, at: index)
                return lineRead(upTo: index, next: index + 1)
            }
            index += 1
        }
        searched = min(index, end)
        guard isAtEnd, position < end else { return nil }
        let line = lineRead(upTo: end, next: end)
        guard !isQuoted else { throw SQLError("22P04", "unterminated CSV quoted field") }
        return line
    }

    /// `\.`, which ends the data: in text at the end of any line, in CSV as a line of its own.
    private static let mark = Array("\\.".utf8)

    /// A mark is followed by the end of its line, as lines of this data end.
    private mutating func checkMark(at index: Int) throws(SQLError) {
        let next = buffer[(index + 2)...].prefix(2)
        let found: LineEnd? =
            switch (next.first, next.dropFirst().first) {
            case (10?, _): .newline
            case (13?, 10?) where lineEnd != .carriageReturn: .both
            case (13?, _) where lineEnd != .both: .carriageReturn
            default: nil
            }
        let isRight = found != nil && (lineEnd == nil || lineEnd == found)
        guard !isRight else { return }
        lines += 1
        current = position..<index
        throw SQLError(
            "22P04",
            found == nil
                ? "end-of-copy marker corrupt"
                : "end-of-copy marker does not match previous newline style")
    }

    private mutating func lineRead(upTo end: Int, next: Int) -> ArraySlice<UInt8> {
        lines += 1
        current = position..<end
        position = next
        searched = next
        return buffer[current]
    }

    /// All lines end as the first one does: what ends a line otherwise belongs to a value, where it
    /// must not stand as such.
    private mutating func take(_ end: LineEnd, at index: Int) throws(SQLError) {
        guard let lineEnd, lineEnd != end else { return self.lineEnd = end }
        lines += 1
        current = position..<index
        let kind = options.isCSV ? "unquoted" : "literal"
        let name = end == .newline ? "newline" : "carriage return"
        throw SQLError(
            "22P04", "\(kind) \(name) found in data",
            hint: options.isCSV
                ? "Use quoted CSV field to represent \(name)."
                : "Use \"\(end == .newline ? "\\n" : "\\r")\" to represent \(name).")
    }

    // MARK: Text

    /// No more than one above the limit.
    private func fieldsOfText(
        _ line: ArraySlice<UInt8>, atMost limit: Int
    ) throws(SQLError) -> [Field] {
        var fields: [Field] = []
        var start = line.startIndex
        var index = start
        var hasEscape = false
        while index < line.endIndex {
            let byte = line[index]
            if byte == options.delimiter {
                fields.append(field(line[start..<index], hasEscape))
                if fields.count > limit { return fields }
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

    /// No more than one above the limit.
    private func fieldsOfCSV(
        _ line: ArraySlice<UInt8>, atMost limit: Int
    ) throws(SQLError) -> [Field] {
        var fields: [Field] = []
        var value: [UInt8] = []
        var wasQuoted = false
        var isInside = false
        var index = line.startIndex
        func finish() {
            let column = fields.count
            let mayBeNull =
                column < columns.count
                ? (wasQuoted ? quotedIsNull[column] : plainIsNull[column]) : !wasQuoted
            let isNull = mayBeNull && value == options.null
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
                if fields.count > limit { return fields }
            } else {
                value.append(byte)
            }
            index += 1
        }
        finish()
        return fields
    }
}
