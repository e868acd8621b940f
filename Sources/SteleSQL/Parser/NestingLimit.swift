import SteleBase

/// Bounds how deeply a statement can nest, and how many parts it has, before PostgreSQL's parser
/// sees it.
///
/// The parser's library walks its tree recursively without looking at the stack, and so do the
/// planner and the evaluation: too many levels would end the process. How deep a tree can get is
/// bounded by the tokens of the text: within one pair of parentheses a comma, `AND`, `OR` or `WHEN`
/// begins a part that does not nest in the one before, any other operator or word can add one
/// level, and what a `JOIN` or `UNION` adds stays. The `AND` of a `BETWEEN` begins no part, nor does
/// a word that is a name: after a dot or after `AS`. The tokens bound the size of the tree too,
/// which is held three times while it is read.
package enum NestingLimit {
    /// A worker's stack is as deep as they need; a tree of so many is let go within 8 MiB.
    package static let levels = 10_000
    /// On a thread with the usual stack of 8 MiB, which was seen to overflow above 500 levels in a
    /// build without optimisation.
    static let fewLevels = 400

    /// How many levels deep a text nests at most.
    ///
    /// - Throws: 54001 if that is too deep, or the text has too many parts.
    static func levels(of text: String) throws(SQLError) -> Int {
        var text = text
        let (deepest, tokens) = text.withUTF8 { $0.count <= fewLevels ? (0, 0) : bound($0) }
        guard tokens <= Limits.statementTokens else {
            throw SQLError(
                "54001", "statement too complex",
                detail: "It has more than \(Limits.statementTokens) words, numbers and signs.",
                hint: "Use parameters, several statements, or COPY.")
        }
        if deepest > levels { throw exceeded }
        return deepest
    }

    static let exceeded = SQLError(
        "54001", "stack depth limit exceeded",
        hint: "The statement nests more than \(levels) levels deep.")

    private struct Level {
        /// Whether a `CASE` opened it, so that `END` closes it; else a parenthesis.
        var isCase = false
        /// How many `BETWEEN` still have their `AND` to come.
        var betweens = 0
        /// Tokens of the current part.
        var part = 0
        /// What adds to every part that follows.
        var base = 0
        var total: Int { part + base }

        mutating func beginPart() {
            part = 0
            betweens = 0
        }
    }

    private static func bound(
        _ text: UnsafeBufferPointer<UInt8>
    ) -> (deepest: Int, tokens: Int) {
        var lexer = Lexer(text)
        var levels = [Level()]
        var enclosing = 0
        var deepest = 0
        func open(isCase: Bool) {
            enclosing += levels[levels.count - 1].total
            levels.append(Level(isCase: isCase))
        }
        func close() {
            levels.removeLast()
            enclosing -= levels[levels.count - 1].total
        }
        /// Closes a parenthesis, with each `CASE` in it that has no end.
        func closeParenthesis() {
            while levels.count > 1, levels[levels.count - 1].isCase { close() }
            if levels.count > 1 { close() }
        }
        var isName = false
        var tokens = 0
        while tokens <= Limits.statementTokens, let token = lexer.next() {
            tokens += 1
            let last = levels.count - 1
            let mustBeName = isName
            isName = false
            switch token.kind {
            case .symbol:
                let symbol = text[token.range.lowerBound]
                // A qualified name is one operand.
                isName = symbol == UInt8(ascii: ".")
                if !isName { levels[last].part += 1 }
                switch symbol {
                case UInt8(ascii: "("), UInt8(ascii: "["): open(isCase: false)
                case UInt8(ascii: ")"), UInt8(ascii: "]"): closeParenthesis()
                case UInt8(ascii: ","): levels[last].beginPart()
                case UInt8(ascii: ";"):
                    levels = [Level()]
                    enclosing = 0
                default: break
                }
            case .identifier:
                levels[last].part += 1
                switch mustBeName ? nil : keyword(text[token.range]) {
                case .and where levels[last].betweens > 0: levels[last].betweens -= 1
                case .and, .separator: levels[last].beginPart()
                case .between: levels[last].betweens += 1
                case .chain: levels[last].base += 1
                case .opening: open(isCase: true)
                case .closing: if levels[last].isCase { close() }
                case .naming: isName = true
                case nil: break
                }
            default: break
            }
            deepest = max(deepest, enclosing + levels[levels.count - 1].total)
        }
        return (deepest, tokens)
    }

    private enum Keyword { case and, between, separator, chain, opening, closing, naming }

    private static func keyword(_ word: Slice<UnsafeBufferPointer<UInt8>>) -> Keyword? {
        func `is`(_ name: StaticString) -> Bool {
            name.utf8CodeUnitCount == word.count
                && zip(word, UnsafeBufferPointer(start: name.utf8Start, count: word.count))
                    .allSatisfy { $0 | 0x20 == $1 }
        }
        switch word.count {
        case 2: return `is`("or") ? .separator : `is`("as") ? .naming : nil
        case 3: return `is`("and") ? .and : `is`("end") ? .closing : nil
        case 4:
            return `is`("when") ? .separator : `is`("case") ? .opening : `is`("join") ? .chain : nil
        case 5: return `is`("union") ? .chain : nil
        case 6: return `is`("except") ? .chain : nil
        case 7: return `is`("between") ? .between : nil
        case 9: return `is`("intersect") ? .chain : nil
        default: return nil
        }
    }
}
