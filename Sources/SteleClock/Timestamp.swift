import SteleBase

/// A hybrid timestamp: 52 bits of microseconds since 1970 and 12 bits of a logical counter.
///
/// Kulkarni et al., "Logical Physical Clocks and Consistent Snapshots in Globally Distributed
/// Databases" (2014). Timestamps are compared as plain integers. 52 bits last until the year 2112.
public struct Timestamp: Hashable, Comparable, Sendable, CustomStringConvertible {
    public let rawValue: UInt64

    @inlinable
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// - Precondition: `microseconds` < 2^52.
    @inlinable
    package init(microseconds: UInt64, logical: UInt64 = 0) {
        invariant(
            microseconds < 1 << 52 && logical < 1 << 12,
            "\(microseconds) µs, \(logical) do not fit a hybrid timestamp")
        self.rawValue = microseconds << 12 | logical
    }

    /// Before everything that was ever written.
    public static let zero = Timestamp(rawValue: 0)

    /// After everything that will ever be written.
    public static let max = Timestamp(rawValue: .max)

    /// Microseconds since 1970 of the physical part.
    @inlinable
    public var microseconds: UInt64 { rawValue >> 12 }

    /// The logical part, 0 … 4095.
    @inlinable
    public var logical: UInt64 { rawValue & 0xFFF }

    /// The next timestamp there is.
    ///
    /// - Precondition: there is one; after what was ``checked()`` there are many.
    @inlinable
    public var next: Timestamp { Timestamp(rawValue: rawValue + 1) }

    /// The timestamp just before; of ``zero`` it is ``zero``.
    @inlinable
    public var previous: Timestamp { Timestamp(rawValue: rawValue == 0 ? 0 : rawValue - 1) }

    /// The same instant, `microseconds` later, with the logical part kept.
    @inlinable
    package func advanced(byMicroseconds microseconds: UInt64) -> Timestamp {
        Timestamp(rawValue: rawValue + microseconds << 12)
    }

    @inlinable
    public static func < (left: Timestamp, right: Timestamp) -> Bool {
        left.rawValue < right.rawValue
    }

    /// Seconds with six decimals, a comma, the logical part.
    public var description: String {
        let fraction = String(microseconds % 1_000_000)
        return "\(microseconds / 1_000_000)."
            + String(repeating: "0", count: 6 - fraction.count) + fraction + ",\(logical)"
    }
}
