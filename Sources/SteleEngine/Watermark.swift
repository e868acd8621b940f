import SteleBase
import SteleClock

/// Up to where a tablet's old versions are collected: of each key's versions at or below it, only
/// the newest is kept, and nothing is read below it.
///
/// A deletion that is the newest one stays too, however old, until
/// ``MutationList/dropVersions(of:upTo:)`` drops it: a compaction cannot know that nothing older is
/// left elsewhere. A watermark is raised by a mutation, hence on every replica at the same index,
/// and never goes back.
///
/// Invariant: nothing is written at or below a watermark, nor below versions that a clear of a range
/// dropped, unless the whole range is replaced by a later state of the same history. Compactions
/// count on it: one that meets cleared versions cannot tell them from others, and would drop what
/// they hide. Engines in memory refuse such writes unless they are told not to, and engines on
/// RocksDB if they are told to, by `checksHistory`.
///
/// Format, in the family `local`: version (1 byte, 1), timestamp (8), start length (4), end length
/// (4), start, end. Integers are little-endian.
package struct Watermark: Hashable, Sendable {
    package var timestamp: Timestamp
    package var range: KeyRange

    package init(timestamp: Timestamp, range: KeyRange) {
        self.timestamp = timestamp
        self.range = range
    }

    package static let version: UInt8 = 1

    package var encoded: [UInt8] {
        var writer = ByteWriter(reserving: 17 + range.start.count + range.end.count)
        writer.write(Self.version)
        writer.write(timestamp.rawValue)
        writer.write(UInt32(range.start.count))
        writer.write(UInt32(range.end.count))
        writer.writeRaw(range.start)
        writer.writeRaw(range.end)
        return writer.bytes
    }

    package init(_ encoded: [UInt8]) throws(DecodingError) {
        var reader = ByteReader(encoded)
        guard try reader.read(UInt8.self) == Self.version else {
            throw DecodingError("a watermark of an unknown version")
        }
        timestamp = Timestamp(rawValue: try reader.read(UInt64.self))
        let startCount = Int(try reader.read(UInt32.self))
        let endCount = Int(try reader.read(UInt32.self))
        range = KeyRange(
            start: Array(try reader.readRaw(startCount)), end: Array(try reader.readRaw(endCount)))
        try reader.expectEnd()
    }
}
