/// Which conversions between types exist, and when they may happen without being asked for.
///
/// The rules are PostgreSQL's `pg_cast` for these types, plus its conversion of anything to and
/// from text; the planner asks here, ``Datum/coerced(from:to:explicit:time:)`` carries it out.
package enum CastContext: Int, Comparable, Sendable {
    /// Anywhere in an expression.
    case implicit
    /// When a value is stored into a column, or written as a cast.
    case assignment
    /// Only when written as a cast.
    case explicit

    package static func < (left: CastContext, right: CastContext) -> Bool {
        left.rawValue < right.rawValue
    }
}

extension SQLType {
    /// The families within which PostgreSQL prefers one type, `pg_type.typcategory`.
    package enum Category: Hashable, Sendable {
        case bool, number, string, dateTime, other, unknown
    }

    /// The family this type belongs to.
    package var category: Category {
        switch self {
        case .bool: .bool
        case .int2, .int4, .int8, .float4, .float8, .numeric, .oid: .number
        case .text, .varchar, .char, .name: .string
        case .timestamp, .timestamptz, .date: .dateTime
        case .bytea, .uuid: .other
        case .unknown: .unknown
        }
    }

    /// Whether the family falls back to this type when nothing else decides.
    package var isPreferred: Bool {
        switch self {
        case .bool, .float8, .oid, .text, .timestamptz: true
        default: false
        }
    }

    /// The most liberal context in which `source` becomes `target`; nil when it never does.
    package static func castContext(from source: SQLType, to target: SQLType) -> CastContext? {
        if source.withoutModifier == target.withoutModifier { return .implicit }
        switch (source, target) {
        case (.unknown, _): return .implicit
        case (_, .unknown): return nil
        case (.text, .varchar), (.text, .char), (.varchar, .text), (.varchar, .char),
            (.char, .text), (.char, .varchar), (.text, .name), (.varchar, .name),
            (.char, .name), (.name, .text):
            return .implicit
        case (.int2, .oid), (.int4, .oid), (.int8, .oid): return .implicit
        case (.oid, .int4), (.oid, .int8): return .assignment
        case (.int4, .bool), (.bool, .int4): return .explicit
        case (.date, .timestamp), (.date, .timestamptz), (.timestamp, .timestamptz):
            return .implicit
        case (.timestamp, .date), (.timestamptz, .date), (.timestamptz, .timestamp):
            return .assignment
        default: break
        }
        if let from = source.numericRank, let into = target.numericRank {
            return from < into ? .implicit : .assignment
        }
        // Any value becomes a string, and any string is read as a value.
        if target.category == .string { return .assignment }
        if source.category == .string { return .explicit }
        return nil
    }

    /// A number converts implicitly to those of a higher rank.
    private var numericRank: Int? {
        switch self {
        case .int2: 0
        case .int4: 1
        case .int8: 2
        case .numeric: 3
        case .float4: 4
        case .float8: 5
        default: nil
        }
    }
}
