import SteleBase
import Testing

@testable import SteleSQL

/// Values against PostgreSQL's own answers.
///
/// A line is `operation | arguments… => answer|`, an error as its state, message, detail and hint.
@Suite
struct ValuesOracleTests {
    @Test(arguments: Answer.all(ValuesNumberAnswers.lines))
    func numbers(_ answer: Answer) throws { try check(answer) }

    @Test(arguments: Answer.all(ValuesDateAnswers.lines))
    func dates(_ answer: Answer) throws { try check(answer) }

    @Test(arguments: Answer.all(ValuesOtherAnswers.lines))
    func others(_ answer: Answer) throws { try check(answer) }

    struct Answer: Sendable, CustomTestStringConvertible {
        var operation: String
        var arguments: [String]
        var expected: String

        var testDescription: String { "\(operation) \(arguments)" }

        static func all(_ lines: String) -> [Answer] {
            lines.split(separator: "\n").compactMap { line in
                guard let arrow = line.range(of: " => ") else { return nil }
                var fields = line[..<arrow.lowerBound].parts(separator: " | ")
                let operation = fields.removeFirst()
                return Answer(
                    operation: operation, arguments: fields,
                    expected: String(line[arrow.upperBound...].dropLast()))
            }
        }
    }

    private func check(_ answer: Answer) throws {
        var result: String
        do {
            result = try run(answer.operation, answer.arguments)
        } catch let error as SQLError {
            result = "ERROR \(error.state): \(error.message)"
            for more in [error.detail, error.hint] {
                if let more { result += " | \(more)" }
            }
        }
        #expect(result == answer.expected)
    }

    private func run(_ operation: String, _ arguments: [String]) throws -> String {
        let first = arguments[0]
        let type = operation == "round" ? SQLType.numeric(nil) : try self.type(first)
        switch operation {
        case "parse": return try Datum.parse(text: arguments[1], as: type).text(as: type)
        case "cast":
            let target = try self.type(arguments[2])
            return try Datum.parse(text: arguments[1], as: type)
                .coerced(from: type, to: target, explicit: true).text(as: target)
        case "send":
            let value = try Datum.parse(text: arguments[1], as: type)
            try checkRoundTrips(value, type)
            var bytes: [UInt8] = []
            value.appendBinary(to: &bytes, as: type)
            return String(Datum.bytes(bytes).text(as: .bytea).dropFirst(2))
        case "arith":
            let operators: [String: ArithmeticOperator] = [
                "+": .add, "-": .subtract, "*": .multiply, "/": .divide, "%": .remainder,
            ]
            let left = try Datum.parse(text: arguments[2], as: type)
            let right = try Datum.parse(text: arguments[3], as: type)
            let symbol = try #require(operators[arguments[1]])
            return try Datum.arithmetic(symbol, left, right, as: type).text(as: type)
        case "cmp":
            let left = try Datum.parse(text: arguments[1], as: type)
            let right = try Datum.parse(text: arguments[2], as: type)
            try checkKeys(left, right)
            return "\(left.compare(right))"
        case "round":
            let value = try Numeric(Array(first.utf8)[...])
            let scale = try #require(Int(arguments[1]))
            let results = [
                value.rounded(toScale: scale), value.truncated(toScale: scale), value.floor,
                value.ceiling,
            ]
            return results.map(\.description).joined(separator: "|")
        default:
            Issue.record("no operation \(operation)")
            return ""
        }
    }

    /// Binary, row and key forms give the value back.
    private func checkRoundTrips(_ value: Datum, _ type: SQLType) throws {
        var bytes: [UInt8] = []
        value.appendBinary(to: &bytes, as: type)
        let received = try Datum.decode(binary: bytes[...], as: type)
        #expect(received == value)
        #expect(received.text(as: type) == value.text(as: type))
        var row: [UInt8] = []
        let coder = RowCoder(columns: [type, .int4, type])
        coder.encode([value, .null, value], into: &row)
        let read = try coder.decode(row[...])
        #expect(read == [value, .null, value])
        #expect(read[2].text(as: type) == value.text(as: type))
        for descending in [false, true] {
            var key: [UInt8] = []
            value.encodeKey(into: &key, descending: descending)
            var rest = key[...]
            #expect(
                try Datum.decodeKey(from: &rest, type: type, descending: descending) == value)
            #expect(rest.isEmpty)
        }
    }

    /// Keys sort as the values do, and equal values are equal in every respect.
    private func checkKeys(_ left: Datum, _ right: Datum) throws {
        var one: [UInt8] = []
        var two: [UInt8] = []
        left.encodeKey(into: &one)
        right.encodeKey(into: &two)
        let order = left.compare(right)
        #expect((one == two) == (order == 0))
        #expect(one.lexicographicallyPrecedes(two) == (order < 0))
        #expect((left == right) == (order == 0))
        if order == 0 { #expect(left.hashValue == right.hashValue) }
    }

    private func type(_ text: String) throws -> SQLType {
        let parts = text.split { "(,)".contains($0) }
        var type = try #require(SQLType(internalName: String(parts[0])))
        let numbers = parts.dropFirst().compactMap { Int($0) }
        guard let first = numbers.first else { return type }
        switch type {
        case .numeric:
            let scale = numbers.count > 1 ? numbers[1] : 0
            type = .numeric(try NumericModifier(precision: first, scale: scale))
        case .varchar: type = .varchar(first)
        default: type = .char(first)
        }
        return type
    }
}

extension StringProtocol where SubSequence == Substring {
    fileprivate func range(of needle: String) -> Range<Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(needle) {
                return start..<index(start, offsetBy: needle.count)
            }
            start = index(after: start)
        }
        return nil
    }

    fileprivate func parts(separator: String) -> [String] {
        var result: [String] = []
        var rest = self[...]
        while let found = rest.range(of: separator) {
            result.append(String(rest[..<found.lowerBound]))
            rest = rest[found.upperBound...]
        }
        return result + [String(rest)]
    }
}
