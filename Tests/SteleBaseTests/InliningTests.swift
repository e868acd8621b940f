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
            .map { ($0.lastPathComponent, try String(contentsOf: $0, encoding: .utf8)) }
        let found = InlinableMembers(of: sources)
        #expect(sources.count > 100)
        #expect(found.count > 50)
        #expect(found.ignored == [])
    }

    @Test func `a member of an unmarked package type is found`() {
        let member = "    @inline(__always) @inlinable package static func f() {}\n}\n"
        func ignored(_ sources: String...) -> [String] {
            InlinableMembers(of: sources.map { ("F", $0) }).ignored
        }
        #expect(ignored("@usableFromInline\npackage struct A {\n" + member) == [])
        #expect(ignored("public struct A {\n" + member) == [])
        #expect(ignored("package final class A {\n" + member) == ["F:2 in A"])
        #expect(ignored("actor A {\n" + member) == ["F:2 in A"])
        #expect(ignored("extension A {\n" + member, "package protocol A {\n}") == ["F:2 in A"])
        #expect(ignored("extension Array {\n" + member) == [])
        #expect(ignored("  @usableFromInline let a = 1\n\nstruct A {\n" + member) == ["F:4 in A"])
        let nested = "    package enum B {\n    " + member + "}"
        #expect(ignored("public enum A {\n" + nested) == ["F:3 in A.B"])
        #expect(ignored("package enum A {\n    @usableFromInline\n" + nested) == ["F:4 in A.B"])
        #expect(ignored("package struct A {\n}\n@inlinable\npackage func f() {}") == [])
        #expect(ignored("package struct A\n{\n" + member) == ["F:3 in no type"])
    }
}

/// Inlinable members, found by words and by indentation, which is four spaces a level.
private struct InlinableMembers {
    private(set) var count = 0
    /// Where the attribute is ignored, or the type could not be told.
    private(set) var ignored: [String] = []

    init(of sources: [(name: String, text: String)]) {
        var members: [(place: String, type: String)] = []
        var unusable: Set<String> = ["no type"]
        for source in sources {
            /// The types around the line, outermost first, by their full names.
            var open: [String] = []
            var before: [Substring] = []
            let lines = source.text.split(separator: "\n", omittingEmptySubsequences: false)
            for (number, line) in lines.enumerated() where !line.allSatisfy(\.isWhitespace) {
                let depth = line.prefix { $0 == " " }.count / 4
                let words = line.split(separator: " ")
                open.removeLast(max(0, open.count - depth))
                if words.contains("@inlinable"), depth > 0 {
                    members.append(("\(source.name):\(number + 1)", open.last ?? "no type"))
                }
                if let type = Self.type(words), open.count == depth {
                    let outer = open.last
                    open.append((open.suffix(1) + [type.name]).joined(separator: "."))
                    let attributes = before.allSatisfy { $0.hasPrefix("@") } ? before : []
                    let isUsable =
                        type.isExtension || words.contains("public")
                        || (attributes + words).contains("@usableFromInline")
                    if !isUsable || outer.map(unusable.contains) == true {
                        unusable.insert(open[open.count - 1])
                    }
                }
                before = words
            }
        }
        count = members.count
        ignored = members.filter { unusable.contains($0.type) }.map { "\($0.place) in \($0.type)" }
    }

    /// The type that a line declares or extends.
    private static func type(_ words: [Substring]) -> (name: String, isExtension: Bool)? {
        let keywords: Set<Substring> = [
            "struct", "enum", "class", "actor", "protocol", "extension",
        ]
        guard let keyword = words.prefix(6).firstIndex(where: keywords.contains),
            keyword + 1 < words.count, words.last == "{" || words.last == "{}",
            words[..<keyword].allSatisfy({ !$0.hasPrefix("//") })
        else { return nil }
        let name = words[keyword + 1].prefix { $0.isLetter || $0.isNumber || $0 == "." }
        return (String(name), words[keyword] == "extension")
    }
}
