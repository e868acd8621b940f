import Foundation
import Testing

/// Finds `@inlinable` where the compiler ignores it, see KD-0017.
@Suite struct InliningTests {
    @Test func `what is inlinable belongs to a type that is usable from inline`() throws {
        var here = URL(filePath: #filePath)
        for _ in 0..<3 { here.deleteLastPathComponent() }
        let files = try #require(
            FileManager.default.enumerator(
                at: here.appending(path: "Sources"), includingPropertiesForKeys: nil))
        let sources = try files.compactMap { $0 as? URL }
            .filter { $0.pathExtension == "swift" }
            .map { try String(contentsOf: $0, encoding: .utf8) }
        let found = InlinableMembers(of: sources)
        #expect(sources.count > 100)
        #expect(found.count > 50)
        #expect(found.ignored.isEmpty)
    }

    @Test func `a member of an unmarked package type is found`() {
        let member = "    @inlinable package func f() {}\n}\n"
        func ignored(_ sources: String...) -> [String] { InlinableMembers(of: sources).ignored }
        #expect(ignored("@usableFromInline\npackage struct A {\n" + member) == [])
        #expect(ignored("public struct A {\n" + member) == [])
        #expect(ignored("package struct A {\n" + member) == ["A"])
        #expect(ignored("extension A {\n" + member, "package protocol A {\n}") == ["A"])
        #expect(ignored("extension Array {\n" + member) == [])
        let nested = "public enum A {\n    package enum B {\n    " + member + "}"
        #expect(ignored(nested) == ["A.B"])
        #expect(ignored("package struct A {\n}\n@inlinable\npackage func f() {}") == [])
    }
}

/// Inlinable members, found by words and by indentation, which is four spaces a level.
private struct InlinableMembers {
    /// How many there are in types.
    private(set) var count = 0
    /// The types, one for each member, in which the attribute is ignored.
    private(set) var ignored: [String] = []

    init(of sources: [String]) {
        var owners: [String] = []
        var unusable: Set<String> = []
        for source in sources {
            var open: [String] = []
            var before: [Substring] = []
            for line in source.split(separator: "\n") {
                let depth = line.prefix { $0 == " " }.count / 4
                let words = line.split(separator: " ")
                open.removeLast(max(0, open.count - depth))
                if words.first == "@inlinable", let owner = open.last { owners.append(owner) }
                if let type = Self.type(words), open.count == depth {
                    let name = (open.suffix(1) + [type]).joined(separator: ".")
                    open.append(name)
                    if words.contains("package"), !(before + words).contains("@usableFromInline") {
                        unusable.insert(name)
                    }
                }
                before = words
            }
        }
        count = owners.count
        ignored = owners.filter(unusable.contains)
    }

    /// The name of the type that a line declares or extends.
    private static func type(_ words: [Substring]) -> String? {
        let keywords: Set<Substring> = ["struct", "enum", "class", "protocol", "extension"]
        guard let keyword = words.prefix(4).firstIndex(where: keywords.contains),
            keyword + 1 < words.count
        else { return nil }
        return String(words[keyword + 1].prefix { $0.isLetter || $0.isNumber || $0 == "." })
    }
}
