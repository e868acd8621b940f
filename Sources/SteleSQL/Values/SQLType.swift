/// The type of a column, a parameter or an expression.
///
/// Object identifiers, lengths and modifiers are PostgreSQL's: clients know the built-in types by
/// these numbers. What one value of a type looks like is ``Datum``.
package enum SQLType: Hashable, Sendable {
    case bool
    case int2
    case int4
    case int8
    case float4
    case float8
    /// Exact decimal; nil takes any precision and keeps each value's own scale.
    case numeric(NumericModifier?)
    case text
    /// At most so many characters; nil means no limit.
    case varchar(Int?)
    /// Padded with blanks that do not count to so many characters; nil (`bpchar`) never pads.
    case char(Int?)
    case timestamp
    case timestamptz
    case date
    case bytea
    case uuid
    case oid
    case name
    /// A literal or parameter whose type has not been inferred.
    case unknown

    /// Every type once, without modifiers, in the order of their identifiers.
    package static let all: [SQLType] = [
        .bool, .bytea, .name, .int8, .int2, .int4, .text, .oid, .float4, .float8, .unknown,
        .char(nil), .varchar(nil), .date, .timestamp, .timestamptz, .numeric(nil), .uuid,
    ]

    /// The type with an identifier of PostgreSQL's and the type modifier `modifier`.
    package init?(oid: UInt32, modifier: Int32 = -1) {
        guard let type = Self.all.first(where: { $0.oid == oid }) else { return nil }
        self = type.with(modifier: modifier)
    }

    /// The type that `pg_type.typname` calls `internalName`: `int4`, `bpchar`.
    package init?(internalName: String, modifier: Int32 = -1) {
        guard let type = Self.all.first(where: { $0.internalName == internalName }) else {
            return nil
        }
        self = type.with(modifier: modifier)
    }

    /// PostgreSQL's identifier, `pg_type.oid`.
    package var oid: UInt32 {
        switch self {
        case .bool: 16
        case .bytea: 17
        case .name: 19
        case .int8: 20
        case .int2: 21
        case .int4: 23
        case .text: 25
        case .oid: 26
        case .float4: 700
        case .float8: 701
        case .unknown: 705
        case .char: 1042
        case .varchar: 1043
        case .date: 1082
        case .timestamp: 1114
        case .timestamptz: 1184
        case .numeric: 1700
        case .uuid: 2950
        }
    }

    /// The length of a value, `pg_type.typlen`: -1 when it varies, -2 for a C string.
    package var size: Int16 {
        switch self {
        case .bool: 1
        case .int2: 2
        case .int4, .float4, .date, .oid: 4
        case .int8, .float8, .timestamp, .timestamptz: 8
        case .uuid: 16
        case .name: 64
        case .unknown: -2
        case .bytea, .text, .char, .varchar, .numeric: -1
        }
    }

    /// PostgreSQL's type modifier, `pg_attribute.atttypmod`; -1 means none.
    package var modifier: Int32 {
        switch self {
        case .varchar(let limit?), .char(let limit?): Int32(truncatingIfNeeded: limit) &+ 4
        case .numeric(let modifier?): modifier.encoded
        default: -1
        }
    }

    /// The name in `pg_type.typname`.
    package var internalName: String {
        switch self {
        case .bool: "bool"
        case .bytea: "bytea"
        case .name: "name"
        case .int8: "int8"
        case .int2: "int2"
        case .int4: "int4"
        case .text: "text"
        case .oid: "oid"
        case .float4: "float4"
        case .float8: "float8"
        case .unknown: "unknown"
        case .char: "bpchar"
        case .varchar: "varchar"
        case .date: "date"
        case .timestamp: "timestamp"
        case .timestamptz: "timestamptz"
        case .numeric: "numeric"
        case .uuid: "uuid"
        }
    }

    /// The name as `format_type` prints it, with the modifier: `character varying(10)`.
    package var name: String {
        switch self {
        case .varchar(let limit?): "character varying(\(limit))"
        case .char(let limit?): "character(\(limit))"
        case .char(nil): "bpchar"
        case .numeric(let modifier?): "numeric(\(modifier.precision),\(modifier.scale))"
        default: plainName
        }
    }

    /// The name without a modifier, as errors mention it: `character varying`.
    package var plainName: String {
        switch self {
        case .bool: "boolean"
        case .int2: "smallint"
        case .int4: "integer"
        case .int8: "bigint"
        case .float4: "real"
        case .float8: "double precision"
        case .char: "character"
        case .varchar: "character varying"
        case .timestamp: "timestamp without time zone"
        case .timestamptz: "timestamp with time zone"
        default: internalName
        }
    }

    /// The same type without its modifier.
    package var withoutModifier: SQLType {
        switch self {
        case .varchar: .varchar(nil)
        case .char: .char(nil)
        case .numeric: .numeric(nil)
        default: self
        }
    }

    private func with(modifier: Int32) -> SQLType {
        switch self {
        case .varchar where modifier >= 4: .varchar(Int(modifier) - 4)
        case .char where modifier >= 4: .char(Int(modifier) - 4)
        case .numeric: .numeric(NumericModifier(encoded: modifier))
        default: self
        }
    }
}

/// The declared precision and scale of a `numeric` column.
package struct NumericModifier: Hashable, Sendable {
    /// Decimal digits in all, 1 to 1000.
    package let precision: Int
    /// Digits after the point, -1000 to 1000; below 0, digits before it that are rounded away.
    package let scale: Int

    package init(precision: Int, scale: Int) throws(SQLError) {
        guard (1...1000).contains(precision) else {
            throw SQLError(
                "22023", "NUMERIC precision \(precision) must be between 1 and 1000")
        }
        guard (-1000...1000).contains(scale) else {
            throw SQLError("22023", "NUMERIC scale \(scale) must be between -1000 and 1000")
        }
        self.precision = precision
        self.scale = scale
    }

    init?(encoded: Int32) {
        guard encoded >= 4 else { return nil }
        let value = encoded - 4
        precision = Int(value >> 16) & 0xFFFF
        // Eleven bits in two's complement.
        scale = Int((value & 0x7FF) ^ 1024) - 1024
    }

    var encoded: Int32 { Int32(precision << 16 | scale & 0x7FF) + 4 }
}
