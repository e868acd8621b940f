import SteleBase

/// Bounds how deeply a statement can nest, and how many parts it has, before PostgreSQL's parser
/// sees it.
///
/// The parser's library walks its tree recursively without looking at the stack, and so do the
/// planner and the evaluation: too many levels would end the process. How deep a tree can get is
/// bounded by the tokens of the text: within one pair of parentheses a comma, `AND`, `OR` or `WHEN`
/// begins a part that does not nest in the one before, any other operator or word can add one
/// level, and what a `JOIN` or `UNION` adds stays. The tokens bound the size of the tree too, which
/// is held three times while it is read.
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
        if deepest > levels {
            throw SQLError(
                "54001", "stack depth limit exceeded",
                hint: "The statement nests more than \(levels) levels deep.")
        }
        return deepest
    }

    private struct Level {
        /// Tokens of the current part.
        var part = 0
        /// What adds to every part that follows.
        var base = 0
        var total: Int { part + base }
    }

    private static func bound(
        _ text: UnsafeBufferPointer<UInt8>
    ) -> (deepest: Int, tokens: Int) {
        var lexer = Lexer(text)
        var levels = [Level()]
        var enclosing = 0
        var deepest = 0
        func open() {
            enclosing += levels[levels.count - 1].total
            levels.append(Level())
        }
        func close() {
            guard levels.count > 1 else { return }
            levels.removeLast()
            enclosing -= levels[levels.count - 1].total
        }
        var tokens = 0
        while tokens <= Limits.statementTokens, let token = lexer.next() {
            tokens += 1
            let last = levels.count - 1
            switch token.kind {
            case .symbol:
                let symbol = text[token.range.lowerBound]
                // A qualified name is one operand.
                if symbol != UInt8(ascii: ".") { levels[last].part += 1 }
                switch symbol {
                case UInt8(ascii: "("), UInt8(ascii: "["): open()
                case UInt8(ascii: ")"), UInt8(ascii: "]"): close()
                case UInt8(ascii: ","): levels[last].part = 0
                case UInt8(ascii: ";"):
                    levels = [Level()]
                    enclosing = 0
                default: break
                }
            case .identifier:
                levels[last].part += 1
                switch keyword(text[token.range]) {
                case .separator: levels[last].part = 0
                case .chain: levels[last].base += 1
                case .opening: open()
                case .closing: close()
                case nil: break
                }
            default: break
            }
            deepest = max(deepest, enclosing + levels[levels.count - 1].total)
        }
        return (deepest, tokens)
    }

    private enum Keyword { case separator, chain, opening, closing }

    private static func keyword(_ word: Slice<UnsafeBufferPointer<UInt8>>) -> Keyword? {
        func `is`(_ name: StaticString) -> Bool {
            name.utf8CodeUnitCount == word.count
                && zip(word, UnsafeBufferPointer(start: name.utf8Start, count: word.count))
                    .allSatisfy { $0 | 0x20 == $1 }
        }
        switch word.count {
        case 2: return `is`("or") ? .separator : nil
        case 3: return `is`("and") ? .separator : `is`("end") ? .closing : nil
        case 4:
            return `is`("when") ? .separator : `is`("case") ? .opening : `is`("join") ? .chain : nil
        case 5: return `is`("union") ? .chain : nil
        case 6: return `is`("except") ? .chain : nil
        case 9: return `is`("intersect") ? .chain : nil
        default: return nil
        }
    }
}
