import SteleBase

/// How long the turns of a node's event loop took since it started.
///
/// Whatever takes long in one piece keeps heartbeats and all clients of the node waiting.
public struct TurnStatistics: Hashable, Sendable {
    /// How many pieces took less than 1 µs, 2 µs, 4 µs and so on; the last one counts all others.
    public private(set) var counts: [UInt64]
    /// How long the longest one took, in microseconds.
    public private(set) var longest: UInt64
    /// What ran in the longest one for the most part.
    public private(set) var longestWork: String

    private static let buckets = 32

    package init() {
        counts = Array(repeating: 0, count: Self.buckets)
        longest = 0
        longestWork = ""
    }

    /// Counts a piece of so many microseconds; `work` is asked for if none was longer.
    package mutating func add(_ microseconds: UInt64, _ work: @autoclosure () -> String) {
        let bucket = UInt64.bitWidth - microseconds.leadingZeroBitCount
        counts[min(bucket, counts.count - 1)] += 1
        if microseconds > longest {
            longest = microseconds
            longestWork = work()
        }
    }

    /// All pieces together.
    public var count: UInt64 { counts.reduce(0, &+) }

    /// The time below which this share of the pieces stayed, in microseconds and up to twice as
    /// much as it was; 0 if there are none.
    public func percentile(_ share: Double) -> UInt64 {
        var rest = Double(count) * share
        if rest == 0 { return 0 }
        for (bucket, number) in counts.enumerated() {
            rest -= Double(number)
            if rest <= 0 { return min(1 << UInt64(bucket), max(longest, 1)) }
        }
        return longest
    }
}

extension TurnStatistics {
    func encode(into writer: inout ByteWriter) {
        writer.writeVarint(UInt64(counts.count))
        for count in counts { writer.writeVarint(count) }
        writer.writeVarint(longest)
        writer.writeString(longestWork)
    }

    init(from reader: inout ByteReader) throws(DecodingError) {
        counts = []
        for _ in 0..<(try reader.readCount()) { counts.append(try reader.readVarint()) }
        longest = try reader.readVarint()
        longestWork = try reader.readString()
    }
}
