/// Keeps the plans of statements of the simple protocol by their text with the literals left out,
/// so that a statement that comes again with other literals is not parsed again.
///
/// Integers become parameters of type integer and strings parameters of unknown type, which is how
/// PostgreSQL types them; so texts that differ in where they have which are kept apart. Whatever could mean something else than a value is left as it is:
/// literals after `ORDER` or `GROUP` may be column numbers. If the changed text cannot be planned, or a
/// literal does not fit, the statement goes the long way, whose errors have the right positions.
struct StatementCache {
    /// A statement's text with its literals taken out.
    struct Template {
        var text: String
        var literals: [Literal]

        /// What statements are kept by.
        fileprivate var key: Key { Key(text: text, areIntegers: literals.map(\.isInteger)) }
    }

    fileprivate struct Key: Hashable {
        var text: String
        var areIntegers: [Bool]
    }

    enum Literal: Hashable {
        case integer(Int64)
        case string(String)

        var isInteger: Bool { if case .integer = self { true } else { false } }
    }

    /// nil marks a text that cannot be treated like this.
    private var entries: [Key: PreparedStatement?] = [:]

    private static let capacity = 256
    /// Longer texts are seldom repeated.
    private static let textLimit = 2_048

    /// The statement that was prepared for a template: outer nil if it has not been met yet.
    func statement(_ template: Template) -> PreparedStatement?? { entries[template.key] }

    mutating func keep(_ statement: PreparedStatement?, for template: Template) {
        if entries.count >= Self.capacity { entries = [:] }
        entries[template.key] = .some(statement)
    }

    /// The template of a text; nil if it is not a single SELECT, INSERT, UPDATE or DELETE.
    static func template(_ text: String) -> Template? {
        guard text.utf8.count <= textLimit else { return nil }
        var text = text
        return text.withUTF8 { template($0) }
    }

    private static func template(_ text: UnsafeBufferPointer<UInt8>) -> Template? {
        var lexer = Lexer(text)
        guard let first = lexer.next(), first.kind == .identifier,
            ["select", "insert", "update", "delete"].contains(where: {
                word(text, first.range, is: $0)
            })
        else { return nil }
        var result: [UInt8] = []
        result.reserveCapacity(text.count)
        var literals: [Literal] = []
        var copied = 0
        var keepsLiterals = false
        while let token = lexer.next() {
            switch token.kind {
            case .invalid, .parameter: return nil
            case .symbol where text[token.range.lowerBound] == UInt8(ascii: ";"):
                // More than one statement.
                if lexer.next() != nil { return nil }
            case .identifier:
                if word(text, token.range, is: "order") || word(text, token.range, is: "group") {
                    keepsLiterals = true
                }
            case .integer where !keepsLiterals, .string where !keepsLiterals:
                guard let literal = literal(text, token) else { return nil }
                result.append(contentsOf: text[copied..<token.range.lowerBound])
                copied = token.range.upperBound
                literals.append(literal)
                result.append(UInt8(ascii: "$"))
                appendDecimal(Int64(literals.count), to: &result)
            default: break
            }
        }
        result.append(contentsOf: text[copied...])
        guard let template = String(validating: result, as: UTF8.self) else { return nil }
        return Template(text: template, literals: literals)
    }

    private static func literal(
        _ text: UnsafeBufferPointer<UInt8>, _ token: Lexer.Token
    ) -> Literal? {
        if token.kind == .integer {
            return .integer(text[token.range].reduce(0) { $0 * 10 + Int64($1 & 15) })
        }
        let quote = UInt8(ascii: "'")
        var bytes: [UInt8] = []
        var isSecond = false
        for byte in text[token.range].dropFirst().dropLast() {
            // A doubled quote stands for one.
            isSecond = byte == quote && !isSecond
            if !isSecond { bytes.append(byte) }
        }
        return String(validating: bytes, as: UTF8.self).map(Literal.string)
    }

    private static func word(
        _ text: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, is word: StaticString
    ) -> Bool {
        range.count == word.utf8CodeUnitCount
            && zip(text[range], UnsafeBufferPointer(start: word.utf8Start, count: range.count))
                .allSatisfy { $0 | 0x20 == $1 }
    }
}
