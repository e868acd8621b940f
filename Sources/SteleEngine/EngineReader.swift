import SteleBase
import SteleClock

/// Reads of one state of a store: the latest one, or that of a snapshot.
///
/// Below the watermark of a tablet (see ``Watermark``) versions may be missing, so every read at a
/// timestamp below it is refused with ``EngineError/Code/belowWatermark``.
package protocol EngineReader: AnyObject, Sendable {
    /// Reads one key; a value is appended to `buffer`.
    ///
    /// If that has room, and the key was read since it was written last, nothing is allocated.
    /// Otherwise the engine on RocksDB allocates 32 bytes for each block that is looked up in the
    /// cache, and keeps the newest version for the next read.
    func read(
        _ key: KeyBytes, at point: ReadPoint, into buffer: inout [UInt8]
    ) throws(EngineError) -> ReadOutcome

    /// Reads several keys of one state, whose values are appended to `buffer` in their order.
    func read(
        _ keys: [KeyBytes], at point: ReadPoint, into buffer: inout [UInt8]
    ) throws(EngineError) -> [ReadOutcome]

    /// The newest version of `key` at or below `timestamp`, deletions included. Sees no intents.
    func newestVersion(
        of key: KeyBytes, at timestamp: Timestamp
    ) throws(EngineError) -> Version?

    /// The versions of `key` above `timestamp`, newest first, at most `limit`. Sees no intents.
    func versions(
        of key: KeyBytes, above timestamp: Timestamp, limit: Int
    ) throws(EngineError) -> [Version]

    /// Appends to `page` the rows of `range` visible at `point`, ascending or descending.
    ///
    /// The limits count what this call appends. The page's resume key, conflicts and count of
    /// visited keys are set or cleared; after a conflict no rows follow, and the resume key is that of the first conflict.
    /// Else it is the next key of the range with versions or an intent, visible or not.
    func scan(
        _ range: KeyRange, at point: ReadPoint, limits: ScanLimits, reverse: Bool,
        into page: inout ScanPage
    ) throws(EngineError)

    /// Looks for a version above `timestamp` at the first `keys` keys of a range, ascending.
    func firstChange(
        in range: KeyRange, above timestamp: Timestamp, keys: Int
    ) throws(EngineError) -> ChangeSearch

    /// Which of the first `keys` keys of a range have a deletion at or below `timestamp` as their
    /// newest version: with all that is older, it can be dropped once the watermark is there.
    func obsoleteDeletions(
        in range: KeyRange, upTo timestamp: Timestamp, keys: Int
    ) throws(EngineError) -> ObsoleteDeletions

    /// The value of a key in a family that holds no versions.
    func value(of key: [UInt8], in family: PlainFamily) throws(EngineError) -> [UInt8]?

    /// The pairs of a key range in a family that holds no versions, ascending, up to a limit.
    func pairs(
        of range: KeyRange, in family: PlainFamily, limits: PairLimits
    ) throws(EngineError) -> PairPage
}

/// What a search for changes in a range came to.
package struct ChangeSearch: Hashable, Sendable {
    /// The first key that changed; nil if none was found.
    package var changedKey: KeyBytes?
    /// Where to go on if nothing was found so far; nil at the end of the range.
    package var resumeKey: KeyBytes?
    /// Keys that were looked at: what the search cost.
    package var visited = 0

    package init() {}
}

/// Deletions that hide nothing that can still be read.
package struct ObsoleteDeletions: Hashable, Sendable {
    package struct Deletion: Hashable, Sendable {
        package var key: KeyBytes
        package var timestamp: Timestamp

        package init(key: KeyBytes, timestamp: Timestamp) {
            self.key = key
            self.timestamp = timestamp
        }
    }

    package var deletions: [Deletion] = []
    /// Where to go on; nil at the end of the range.
    package var resumeKey: KeyBytes?

    package init() {}
}

extension EngineReader {
    /// A scan that takes everything at or below `timestamp` for certain.
    package func scan(
        _ range: KeyRange, at timestamp: Timestamp, limits: ScanLimits, reverse: Bool,
        into page: inout ScanPage
    ) throws(EngineError) {
        try scan(range, at: ReadPoint(timestamp), limits: limits, reverse: reverse, into: &page)
    }
}
