/// Upper and lower case as the C library has them, which PostgreSQL asks: one letter for one.
///
/// Unicode's full mappings, Swift's, make several letters of some: of ß, which stays here, and of a few
/// ligatures.
extension String {
    var inUpperCase: String {
        mapped(ascii: { $0.uppercased() }, one: { $0.properties.uppercaseMapping })
    }

    var inLowerCase: String {
        mapped(ascii: { $0.lowercased() }, one: { $0.properties.lowercaseMapping })
    }

    private func mapped(
        ascii: (String) -> String, one: (Unicode.Scalar) -> String
    ) -> String {
        if utf8.allSatisfy({ $0 < 0x80 }) { return ascii(self) }
        var result = String.UnicodeScalarView()
        for scalar in unicodeScalars {
            let mapped = one(scalar).unicodeScalars
            if let only = mapped.first, mapped.count == 1 {
                result.append(only)
            } else {
                // The capital I with a dot is the only one with a simple mapping beside its full one.
                result.append(scalar == "\u{130}" ? "i" : scalar)
            }
        }
        return String(result)
    }
}
