import Foundation
import Testing

/// One directive of a script: a command, its arguments, its input, and what it should print.
struct Directive {
    struct Argument {
        var key: String
        var values: [String]
    }

    var line: Int
    /// Everything from the end of the directive before through the `----` of this one.
    var head: String
    var text: String
    var command: String
    var arguments: [Argument]
    var input: String
    var expected: String

    /// The arguments without `=`.
    var words: [String] { arguments.filter { $0.values.isEmpty }.map(\.key) }

    func values(_ key: String) -> [String] {
        arguments.filter { $0.key == key }.flatMap(\.values)
    }

    func value(_ key: String) -> String? { values(key).first }
}

/// A file of directives, each with what it should print.
struct Script: CustomTestStringConvertible, Sendable {
    let url: URL

    var testDescription: String { url.lastPathComponent }

    struct SyntaxError: Error, CustomStringConvertible {
        let description: String
    }

    func directives() throws -> [Directive] {
        var lines = try String(contentsOf: url, encoding: .utf8)
            .components(separatedBy: "\n")[...]
        var directives: [Directive] = []
        var number = 0
        var head = ""
        func next() -> String? {
            guard let line = lines.popFirst() else { return nil }
            number += 1
            head += line + "\n"
            return line
        }
        while let first = next() {
            let trimmed = first.trimmingCharacters(in: .whitespaces)
            if trimmed.isEmpty || trimmed.hasPrefix("#") { continue }
            let start = number
            var input: [String] = []
            var isComplete = false
            while let line = next() {
                if line == "----" {
                    isComplete = true
                    break
                }
                input.append(line)
            }
            guard isComplete else {
                throw SyntaxError(description: "line \(start): no ---- follows \(trimmed)")
            }
            let directiveHead = head
            var expected: [String] = []
            while let line = next() {
                if line.trimmingCharacters(in: .whitespaces).isEmpty { break }
                expected.append(line)
            }
            head = ""
            let (command, arguments) = try Script.parse(trimmed, line: start)
            directives.append(
                Directive(
                    line: start, head: directiveHead, text: trimmed, command: command,
                    arguments: arguments,
                    input: input.joined(separator: "\n"),
                    expected: expected.joined(separator: "\n")))
        }
        return directives
    }

    /// `command word key=value key=(value, value)`
    private static func parse(
        _ text: String, line: Int
    ) throws -> (String, [Directive.Argument]) {
        var words: [String] = []
        var word = ""
        var depth = 0
        for character in text {
            if character == "(" { depth += 1 }
            if character == ")" { depth -= 1 }
            if character == " ", depth == 0 {
                if !word.isEmpty { words.append(word) }
                word = ""
            } else {
                word.append(character)
            }
        }
        if !word.isEmpty { words.append(word) }
        guard depth == 0, let command = words.first else {
            throw SyntaxError(description: "line \(line): cannot parse \(text)")
        }
        let arguments = words.dropFirst().map { word in
            guard let equals = word.firstIndex(of: "=") else {
                return Directive.Argument(key: word, values: [])
            }
            var value = String(word[word.index(after: equals)...])
            if value.hasPrefix("("), value.hasSuffix(")") {
                value = String(value.dropFirst().dropLast())
            }
            let values = value.split(separator: ",").map {
                $0.trimmingCharacters(in: .whitespaces)
            }
            return Directive.Argument(key: String(word[..<equals]), values: values)
        }
        return (command, arguments)
    }

    // MARK: Where scripts are

    /// The folder of the tests, with links resolved.
    private static let tests = URL(filePath: #filePath).resolvingSymlinksInPath()
        .deletingLastPathComponent().deletingLastPathComponent()

    /// The scripts of this project: `Scripts/KIND/*.txt`.
    static func own(_ kind: String) -> [Script] {
        files(in: tests.appending(path: "Scripts").appending(path: kind))
    }

    /// The scripts beside the checkout, where they exist.
    static func shared(_ kind: String) -> [Script] {
        let checkout = tests.deletingLastPathComponent().deletingLastPathComponent()
        return files(
            in: checkout.deletingLastPathComponent().appending(path: "shared/raft-testdata")
                .appending(path: kind))
    }

    static func files(in folder: URL) -> [Script] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return names.filter { $0.hasSuffix(".txt") }.sorted()
            .map { Script(url: folder.appending(path: $0)) }
    }

    // MARK: Comparing

    /// Without what is drawn from logs; what prints nothing else prints `ok`.
    static func normalized(_ output: String) -> [String] {
        let levels = ["DEBUG ", "INFO ", "WARN ", "ERROR "]
        let lines = output.components(separatedBy: "\n").filter { line in
            let text = line.drop { $0 == " " }
            return !text.isEmpty && !levels.contains { text.hasPrefix($0) }
        }
        return lines.isEmpty ? ["ok"] : lines
    }

    /// Replaces what the script should print by what it does print, for a look at the difference.
    func rewrite(_ handle: (Directive) throws -> String) throws {
        let blocks = try directives().map { directive in
            let output = try handle(directive)
            return directive.head + (output.hasSuffix("\n") ? output : output + "\n")
        }
        try blocks.joined(separator: "\n").write(to: url, atomically: true, encoding: .utf8)
    }

    /// Runs the directives in order and reports the first whose output differs.
    func run(_ handle: (Directive) throws -> String) throws {
        for directive in try directives() {
            let actual = try handle(directive)
            if Script.normalized(actual) == Script.normalized(directive.expected) { continue }
            Issue.record(
                """
                \(url.lastPathComponent):\(directive.line): \(directive.text)
                expected:
                \(directive.expected)
                actual:
                \(actual)
                """)
            return
        }
    }
}
