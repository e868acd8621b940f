import SteleBase

/// An aggregate function over the rows of a group.
struct Aggregate: Hashable, Sendable {
    enum Kind: Hashable, Sendable {
        case count, sum, minimum, maximum, average, every, some
        /// `string_agg`.
        case joined
        case variance(isSample: Bool), deviation(isSample: Bool)

        init?(name: String) {
            switch name {
            case "count": self = .count
            case "sum": self = .sum
            case "min": self = .minimum
            case "max": self = .maximum
            case "avg": self = .average
            case "bool_and", "every": self = .every
            case "bool_or": self = .some
            case "string_agg": self = .joined
            case "variance", "var_samp": self = .variance(isSample: true)
            case "var_pop": self = .variance(isSample: false)
            case "stddev", "stddev_samp": self = .deviation(isSample: true)
            case "stddev_pop": self = .deviation(isSample: false)
            default: return nil
            }
        }

        var argumentCount: Int { self == .joined ? 2 : 1 }

        /// Whether it measures how far numbers are from their average.
        var isSpread: Bool {
            switch self {
            case .variance, .deviation: true
            default: false
            }
        }

        var isNumeric: Bool { self == .sum || self == .average || isSpread }

        /// The result's type for an argument's; nil if there is no such function.
        func result(of type: SQLType) -> SQLType? {
            switch (self, type) {
            case (.count, _): .int8
            case (.sum, .int2), (.sum, .int4): .int8
            case (.sum, .int8), (.sum, .numeric): .numeric(nil)
            case (.sum, .float4), (.sum, .float8): type
            case (.average, .int2), (.average, .int4), (.average, .int8), (.average, .numeric):
                .numeric(nil)
            case (.average, .float4), (.average, .float8): .float8
            case (.every, .bool), (.some, .bool): .bool
            case (.joined, .text), (.joined, .varchar), (.joined, .char), (.joined, .name): .text
            case (.variance, .float4), (.variance, .float8), (.deviation, .float4),
                (.deviation, .float8):
                .float8
            case (.variance, .int2), (.variance, .int4), (.variance, .int8),
                (.variance, .numeric), (.deviation, .int2), (.deviation, .int4),
                (.deviation, .int8), (.deviation, .numeric):
                .numeric(nil)
            case (.minimum, .bool), (.maximum, .bool), (.minimum, .uuid), (.maximum, .uuid),
                (.minimum, .bytea), (.maximum, .bytea):
                nil
            case (.minimum, .varchar), (.maximum, .varchar), (.minimum, .name), (.maximum, .name):
                .text
            case (.minimum, _), (.maximum, _): type.withoutModifier
            default: nil
            }
        }
    }

    var kind: Kind
    /// nil counts rows.
    var argument: BoundExpression?
    /// What is put before each text but the first.
    var delimiter: BoundExpression?
    var isDistinct: Bool
    /// The type of the result.
    var type: SQLType = .int8

    /// What one row gives it: the argument, and the delimiter if there is one.
    struct Input {
        var argument: Datum
        var delimiter: Datum?
    }

    func input(_ row: [Datum], _ context: StatementContext) throws(SQLError) -> Input {
        guard let argument else { return Input(argument: .bool(true)) }
        let value = try argument.evaluate(row, context)
        guard kind == .joined, !value.isNull else { return Input(argument: value) }
        return Input(argument: value, delimiter: try delimiter?.evaluate(row, context))
    }

    /// About what it takes to take in a value, in nanoseconds.
    func cost(of datum: Datum) -> Int {
        guard case .numeric(let number) = datum else { return datum.outsideBytes }
        return kind.isSpread
            ? Numeric.cost(of: .multiply, number, number) : 4 * datum.outsideBytes
    }

    /// What has been gathered of one group.
    struct State {
        private var count: Int64 = 0
        private var value = Datum.null
        private var integers: Int64 = 0
        private var seen: Set<Datum> = []
        private var spread = Spread()
        private var text = ""
        /// What is joined if each text counts once; PostgreSQL sorts it then.
        private var parts: [String] = []
        private var delimiter = ""

        /// Takes in one row.
        mutating func add(
            _ aggregate: Aggregate, _ input: Input, _ memory: inout MemoryMeter
        ) throws(SQLError) {
            let datum = input.argument
            if datum.isNull { return }
            if aggregate.isDistinct {
                guard seen.insert(datum).inserted else { return }
                try memory.add([datum])
            }
            count += 1
            let before = value.outsideBytes + text.utf8.count
            try take(datum, input.delimiter, aggregate)
            try memory.add(bytes: value.outsideBytes + text.utf8.count - before)
        }

        private mutating func take(
            _ datum: Datum, _ delimiter: Datum?, _ aggregate: Aggregate
        ) throws(SQLError) {
            switch aggregate.kind {
            case .count: break
            // Of equal values, such as 1.0 and 1.00, the last one.
            case .minimum: if value.isNull || datum.compare(value) <= 0 { value = datum }
            case .maximum: if value.isNull || datum.compare(value) >= 0 { value = datum }
            case .every, .some:
                guard case .bool(let new) = datum else { return }
                if case .bool(let old) = value {
                    value = .bool(aggregate.kind == .every ? old && new : old || new)
                } else {
                    value = datum
                }
            case .average:
                if case .double = datum { try spread.add(datum) } else {
                    try addNumber(datum, aggregate.type)
                }
            case .sum: try addNumber(datum, aggregate.type)
            case .variance, .deviation: try spread.add(datum)
            case .joined:
                guard case .text(let part) = datum else { return }
                try join(part, delimiter, aggregate.isDistinct)
            }
        }

        private static var tooLong: SQLError {
            SQLError("54000", "the result of string_agg is too long")
        }

        private mutating func join(
            _ part: String, _ delimiter: Datum?, _ isDistinct: Bool
        ) throws(SQLError) {
            var between = ""
            if case .text(let delimiter) = delimiter { between = delimiter }
            if isDistinct {
                parts.append(part)
                self.delimiter = between
            }
            text += count > 1 ? between + part : part
            guard text.utf8.count <= Limits.textBytes else { throw Self.tooLong }
        }

        private func joined() throws(SQLError) -> String {
            guard !parts.isEmpty else { return text }
            // The last delimiter stands between all of them.
            let between = WorkMeter.product(parts.count - 1, delimiter.utf8.count)
            guard between + parts.reduce(0, { $0 + $1.utf8.count }) <= Limits.textBytes else {
                throw Self.tooLong
            }
            return parts.sorted { compareUTF8($0, $1) < 0 }.joined(separator: delimiter)
        }

        /// Integers are summed as such as long as they fit.
        private mutating func addNumber(_ datum: Datum, _ type: SQLType) throws(SQLError) {
            switch (datum, type) {
            case (.int(let number), _):
                let (sum, overflow) = integers.addingReportingOverflow(number)
                if overflow {
                    value = .numeric(try total().adding(Numeric(number)))
                    integers = 0
                } else {
                    integers = sum
                }
            case (.double, _), (.numeric, _):
                value =
                    value.isNull ? datum : try Datum.arithmetic(.add, value, datum, as: type)
            default: break
            }
        }

        /// The exact sum of integers and decimals.
        private func total() throws(SQLError) -> Numeric {
            guard case .numeric(let sum) = value else { return Numeric(integers) }
            return integers == 0 ? sum : try sum.adding(Numeric(integers))
        }

        /// About what ``result(_:)`` takes, in nanoseconds.
        var resultCost: Int { spread.resultCost }

        func result(_ aggregate: Aggregate) throws(SQLError) -> Datum {
            switch aggregate.kind {
            case .count: return .int(count)
            case .joined: return count == 0 ? .null : .text(try joined())
            case .variance(let isSample): return try spread.variance(isSample: isSample)
            case .deviation(let isSample): return try spread.deviation(isSample: isSample)
            case .minimum, .maximum, .every, .some: return value
            case .sum:
                if count == 0 { return .null }
                if case .double = value { return value }
                guard aggregate.type == .int8 else { return .numeric(try total()) }
                return .int(try Self.integer(total()))
            case .average:
                if count == 0 { return .null }
                if aggregate.type == .float8 { return .double(spread.average) }
                return .numeric(try total().divided(by: Numeric(count)))
            }
        }

        private static func integer(_ value: Numeric) throws(SQLError) -> Int64 {
            guard let integer = value.integerValue else {
                throw SQLError("22003", "bigint out of range")
            }
            return integer
        }
    }
}
