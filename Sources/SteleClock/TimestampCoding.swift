import SteleBase

/// How timestamps come from elsewhere.
///
/// Everything that the clock does with a timestamp, the next one and some seconds more, must exist,
/// and a bound that was taken in is kept on disk. So times that no clock can show are refused where
/// they are decoded. How far ahead of this node's clock a time may be is not judged here.
extension Timestamp {
    /// The latest time that is believed to come from a clock: a hundred days before the end of all
    /// timestamps. No node works with a wall clock that is set so late.
    package static let latest = Timestamp(microseconds: 1 << 52 - 1 << 43)

    /// The timestamp itself, if some clock may have shown it.
    package func checked() throws(DecodingError) -> Timestamp {
        guard self <= .latest else {
            throw DecodingError("the timestamp \(rawValue) is later than any clock shows")
        }
        return self
    }
}

extension ByteReader {
    /// Eight bytes, little-endian.
    package mutating func readTimestamp() throws(DecodingError) -> Timestamp {
        try Timestamp(rawValue: try read(UInt64.self)).checked()
    }
}
