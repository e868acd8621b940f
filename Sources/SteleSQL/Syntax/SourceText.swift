/// The text of a statement, to turn offsets into the positions that errors carry.
struct SourceText: Sendable {
    let text: String

    init(_ text: String) { self.text = text }

    /// The position of a byte offset, counted in characters from 1; nil if it is unknown.
    func position(of offset: Int) -> Int? {
        guard offset >= 0, offset <= text.utf8.count else { return nil }
        let end = text.utf8.index(text.utf8.startIndex, offsetBy: offset)
        return text.unicodeScalars[..<end].count + 1
    }
}
