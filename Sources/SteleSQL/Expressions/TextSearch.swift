/// Finds a text in another one, at places that do not overlap.
///
/// Knuth, Morris, Pratt, "Fast Pattern Matching in Strings" (1977): about as many steps as both
/// texts have bytes, whatever they are. Going back for each byte would let a statement of a few
/// bytes, which makes its texts itself, keep a node busy for days.
struct TextSearch {
    private let text: [UInt8]
    private let part: [UInt8]
    /// For each beginning of `part`, how long the longest shorter one is that ends it too.
    private var borders: [Int32]
    private var position = 0

    /// A search from the beginning of `text`. An empty part is found once, there.
    init(for part: String, in text: String) {
        self.part = Array(part.utf8)
        self.text = Array(text.utf8)
        borders = []
        guard self.part.count <= self.text.count else { return }
        borders = [Int32](repeating: 0, count: self.part.count)
        var length = 0
        for index in self.part.indices.dropFirst() {
            while length > 0, self.part[index] != self.part[length] {
                length = Int(borders[length - 1])
            }
            if self.part[index] == self.part[length] { length += 1 }
            borders[index] = Int32(length)
        }
    }

    /// Where it begins next, in bytes.
    mutating func next() -> Int? {
        guard !part.isEmpty else {
            defer { position = text.count + 1 }
            return position == 0 ? 0 : nil
        }
        guard part.count <= text.count else { return nil }
        var matched = 0
        while position < text.count {
            while matched > 0, text[position] != part[matched] {
                matched = Int(borders[matched - 1])
            }
            if text[position] == part[matched] { matched += 1 }
            position += 1
            if matched == part.count { return position - matched }
        }
        return nil
    }
}
