import SteleBase

/// One SQL value.
///
/// A datum does not carry its SQL type: several types share a case, and whatever depends on the
/// type (range, padding, text form) takes it as an argument. `char(n)` values are held without
/// their trailing blanks, which are not significant, and padded on output.
///
/// `==` and hashing follow SQL's notion of equal values as `GROUP BY` and unique keys need it:
/// NaN equals NaN, 1.0 equals 1.00, strings are equal byte by byte, and null equals null. Values of
/// different cases are never equal; ``compare(_:)`` compares numbers of different cases.
package enum Datum: Sendable {
    case null
    case bool(Bool)
    /// `int2`, `int4`, `int8`, `oid`.
    case int(Int64)
    /// `float4` (rounded to it), `float8`.
    case double(Double)
    case numeric(Numeric)
    /// `text`, `varchar`, `char`, `name` and `unknown`.
    case text(String)
    /// Microseconds since 2000-01-01; `Int64.min` and `max` are the infinities. With a time zone
    /// it is a moment counted in UTC, without one it is what a clock on the wall shows.
    case timestamp(Int64)
    /// Days since 2000-01-01; `Int32.min` and `max` are the infinities.
    case date(Int32)
    case bytes([UInt8])
    case uuid(UniqueID)

    /// Whether this is SQL's null.
    package var isNull: Bool {
        if case .null = self { return true }
        return false
    }
}

extension Datum: Hashable {
    package static func == (left: Datum, right: Datum) -> Bool {
        switch (left, right) {
        case (.int(let left), .int(let right)): left == right
        case (.text(let left), .text(let right)): compareUTF8(left, right) == 0
        case (.null, .null): true
        case (.bool(let left), .bool(let right)): left == right
        case (.double(let left), .double(let right)):
            left == right || (left.isNaN && right.isNaN)
        case (.numeric(let left), .numeric(let right)): left == right
        case (.timestamp(let left), .timestamp(let right)): left == right
        case (.date(let left), .date(let right)): left == right
        case (.bytes(let left), .bytes(let right)): left == right
        case (.uuid(let left), .uuid(let right)): left == right
        default: false
        }
    }

    package func hash(into hasher: inout Hasher) {
        switch self {
        case .null: hasher.combine(0 as UInt8)
        case .bool(let value): hasher.combine(value)
        case .int(let value): hasher.combine(value)
        case .double(let value): hasher.combine(value.isNaN ? .nan : value)
        case .numeric(let value): hasher.combine(value)
        case .text(let value):
            // Not the string itself: its hash is that of the normalised text, and slower.
            let whole: Void? = value.utf8.withContiguousStorageIfAvailable {
                hasher.combine(bytes: UnsafeRawBufferPointer($0))
            }
            if whole == nil { for byte in value.utf8 { hasher.combine(byte) } }
            hasher.combine(0xFF as UInt8)
        case .timestamp(let value): hasher.combine(value)
        case .date(let value): hasher.combine(value)
        case .bytes(let value): hasher.combine(value)
        case .uuid(let value): hasher.combine(value)
        }
    }
}

extension Datum {
    /// -1, 0 or 1 as this value sorts before, with or after `other`.
    ///
    /// Numbers compare with numbers of any kind and dates with timestamps; NaN sorts above every
    /// number; strings compare byte by byte. The planner brings other operands to one type first;
    /// if it did not, the order is that of the cases. Nulls sort last.
    package func compare(_ other: Datum) -> Int {
        switch (self, other) {
        case (.int(let left), .int(let right)): order(left, right)
        case (.text(let left), .text(let right)): compareUTF8(left, right)
        case (.double(let left), .double(let right)): Self.compare(left, right)
        case (.numeric(let left), .numeric(let right)): left.compare(right)
        case (.timestamp(let left), .timestamp(let right)): order(left, right)
        case (.date(let left), .date(let right)): order(left, right)
        case (.bool(let left), .bool(let right)): order(left ? 1 : 0, right ? 1 : 0)
        case (.bytes(let left), .bytes(let right)):
            left.withUnsafeBytes { left in right.withUnsafeBytes { compareBytes(left, $0) } }
        case (.uuid(let left), .uuid(let right)):
            left.high == right.high
                ? order(left.low, right.low) : order(left.high, right.high)
        case (.int(let left), .double(let right)): Self.compare(Double(left), right)
        case (.double(let left), .int(let right)): Self.compare(left, Double(right))
        case (.int(let left), .numeric(let right)): Numeric(left).compare(right)
        case (.numeric(let left), .int(let right)): left.compare(Numeric(right))
        case (.double(let left), .numeric(let right)): Self.compare(left, right.doubleValue)
        case (.numeric(let left), .double(let right)): Self.compare(left.doubleValue, right)
        case (.date(let left), .timestamp(let right)): CivilCalendar.compare(left, right)
        case (.timestamp(let left), .date(let right)): -CivilCalendar.compare(right, left)
        default: order(caseRank, other.caseRank)
        }
    }

    private static func compare(_ left: Double, _ right: Double) -> Int {
        if left < right { return -1 }
        if left > right { return 1 }
        if left == right { return 0 }
        return order(left.isNaN ? 1 : 0, right.isNaN ? 1 : 0)
    }

    private var caseRank: Int {
        switch self {
        case .bool: 0
        case .int, .double, .numeric: 1
        case .text: 2
        case .timestamp, .date: 3
        case .bytes: 4
        case .uuid: 5
        case .null: 6
        }
    }
}

/// -1, 0 or 1 as `left` is below, equal to or above `right`.
@inline(__always)
func order<Value: Comparable>(_ left: Value, _ right: Value) -> Int {
    left < right ? -1 : left == right ? 0 : 1
}
