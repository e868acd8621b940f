/// Splits a statement into tokens by PostgreSQL's rules, as far as is needed without its grammar:
/// to bound how deeply a text may nest before the parser sees it, and to tell literals from the
/// rest of a statement.
///
/// What it cannot make sense of ends the scan with `invalid`; the parser then has the last word.
struct Lexer {
    enum Kind: Hashable {
        /// A word, quoted or not.
        case identifier, quotedIdentifier
        /// Digits only, that fit 32 bits; or any other number.
        case integer, number
        /// A plain `'…'` string.
        case string
        /// A string with a prefix or in dollar quotes.
        case otherString
        case parameter
        case symbol
        case invalid
    }

    struct Token {
        var kind: Kind
        var range: Range<Int>
    }

    private let text: UnsafeBufferPointer<UInt8>
    private var position = 0

    init(_ text: UnsafeBufferPointer<UInt8>) { self.text = text }

    /// The next token, nil at the end of the text.
    mutating func next() -> Token? {
        skipBlanks()
        guard position < text.count else { return nil }
        let start = position
        let kind = scan()
        return Token(kind: kind, range: start..<max(position, start + 1))
    }

    private func byte(_ offset: Int = 0) -> UInt8 {
        position + offset < text.count ? text[position + offset] : 0
    }

    private mutating func skipBlanks() {
        while position < text.count {
            switch text[position] {
            case UInt8(ascii: " "), 9...13:
                position += 1
            case UInt8(ascii: "-") where byte(1) == UInt8(ascii: "-"):
                while position < text.count, text[position] != 10, text[position] != 13 {
                    position += 1
                }
            case UInt8(ascii: "/") where byte(1) == UInt8(ascii: "*"):
                skipComment()
            default:
                return
            }
        }
    }

    /// Block comments nest.
    private mutating func skipComment() {
        var depth = 0
        while position < text.count {
            if byte() == UInt8(ascii: "/"), byte(1) == UInt8(ascii: "*") {
                depth += 1
                position += 2
            } else if byte() == UInt8(ascii: "*"), byte(1) == UInt8(ascii: "/") {
                depth -= 1
                position += 2
                if depth == 0 { return }
            } else {
                position += 1
            }
        }
    }

    private mutating func scan() -> Kind {
        let first = byte()
        switch first {
        case UInt8(ascii: "'"):
            return scanQuoted(UInt8(ascii: "'"), escapes: false) ? .string : .invalid
        case UInt8(ascii: "\""):
            return scanQuoted(first, escapes: false) ? .quotedIdentifier : .invalid
        case UInt8(ascii: "$"):
            return scanDollar()
        case _ where isDigit(first),
            UInt8(ascii: ".") where isDigit(byte(1)):
            return scanNumber()
        case _ where isWordStart(first):
            return scanWord()
        default:
            position += 1
            return .symbol
        }
    }

    private mutating func scanQuoted(_ quote: UInt8, escapes: Bool) -> Bool {
        position += 1
        while position < text.count {
            let byte = text[position]
            position += 1
            if byte == quote {
                guard self.byte() == quote else { return true }
                position += 1
            } else if escapes, byte == UInt8(ascii: "\\") {
                position += 1
            }
        }
        return false
    }

    /// An `E'…'`, whose escapes hold in what continues it on the next line too.
    private mutating func scanEscaped() -> Bool {
        let quote = UInt8(ascii: "'")
        guard scanQuoted(quote, escapes: true) else { return false }
        while true {
            let end = position
            skipBlanks()
            guard byte() == quote else {
                position = end
                return true
            }
            guard scanQuoted(quote, escapes: true) else { return false }
        }
    }

    private mutating func scanWord() -> Kind {
        let start = position
        while position < text.count, isWordPart(text[position]) { position += 1 }
        guard byte() == UInt8(ascii: "'") || byte() == UInt8(ascii: "&") else {
            return .identifier
        }
        let letter = text[start] | 0x20
        if position == start + 1, byte() == UInt8(ascii: "'") {
            switch letter {
            case UInt8(ascii: "e"):
                return scanEscaped() ? .otherString : .invalid
            case UInt8(ascii: "b"), UInt8(ascii: "x"), UInt8(ascii: "n"):
                return scanQuoted(byte(), escapes: false) ? .otherString : .invalid
            default: return .identifier
            }
        }
        if position == start + 1, letter == UInt8(ascii: "u"),
            byte(1) == UInt8(ascii: "'") || byte(1) == UInt8(ascii: "\"")
        {
            position += 1
            let isString = byte() == UInt8(ascii: "'")
            guard scanQuoted(byte(), escapes: false) else { return .invalid }
            return isString ? .otherString : .quotedIdentifier
        }
        return .identifier
    }

    private mutating func scanNumber() -> Kind {
        let start = position
        while isDigit(byte()) { position += 1 }
        var isInteger = position - start <= 9
        if byte() == UInt8(ascii: "."), byte(1) != UInt8(ascii: ".") {
            isInteger = false
            position += 1
            while isDigit(byte()) { position += 1 }
        }
        if byte() | 0x20 == UInt8(ascii: "e") {
            let sign = byte(1) == UInt8(ascii: "-") || byte(1) == UInt8(ascii: "+") ? 1 : 0
            if isDigit(byte(1 + sign)) {
                isInteger = false
                position += 1 + sign
                while isDigit(byte()) { position += 1 }
            }
        }
        // A letter that follows at once is an error that the parser words better.
        if isWordStart(byte()) { return .invalid }
        return isInteger ? .integer : .number
    }

    private mutating func scanDollar() -> Kind {
        position += 1
        if isDigit(byte()) {
            while isDigit(byte()) { position += 1 }
            return isWordStart(byte()) ? .invalid : .parameter
        }
        let start = position - 1
        while isWordPart(byte()), byte() != UInt8(ascii: "$") { position += 1 }
        guard byte() == UInt8(ascii: "$") else { return .invalid }
        position += 1
        let tag = start..<position
        while position + tag.count <= text.count {
            if text[position..<(position + tag.count)].elementsEqual(text[tag]) {
                position += tag.count
                return .otherString
            }
            position += 1
        }
        position = text.count
        return .invalid
    }

    private func isWordStart(_ byte: UInt8) -> Bool {
        isLetter(byte) || byte == UInt8(ascii: "_") || byte >= 0x80
    }

    private func isWordPart(_ byte: UInt8) -> Bool {
        isWordStart(byte) || isDigit(byte) || byte == UInt8(ascii: "$")
    }
}
