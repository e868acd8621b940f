import SteleBase
import SteleClock

/// How much of a commit has travelled: so many of its reads, locks and writes.
package struct CommitPlace: Sendable {
    var reads = 0
    var locks = 0
    var writes = 0

    package init() {}
}

/// A very large commit travels in parts: its reads of keys, its locks and its writes, in this order.
extension TabletRequest.CommitRequest {
    /// The next part, of a little more than so many bytes; nil if all of them have travelled.
    package func part(from place: inout CommitPlace, bytes: Int) -> Self? {
        var part = Self(writes: [])
        var rest = bytes
        func take<Element>(
            _ elements: [Element], _ place: inout Int, _ size: (Element) -> Int
        ) -> [Element] {
            let start = place
            while rest > 0, place < elements.count {
                rest -= size(elements[place])
                place += 1
            }
            return Array(elements[start..<place])
        }
        part.readKeys = take(readKeys, &place.reads) { 4 + $0.count }
        part.locks = take(locks, &place.locks) { 4 + $0.count }
        part.writes = take(writes, &place.writes) { 8 + $0.key.count + ($0.value?.count ?? 0) }
        guard rest < bytes else { return nil }
        part.sizeHint = bytes - rest
        return part
    }

    /// The rest of it.
    package var withoutParts: Self {
        Self(
            begun: begun, readTimestamp: readTimestamp, readRanges: readRanges, grant: grant,
            expected: expected, firstCommitterWins: firstCommitterWins)
    }

    /// The same with the parts that came before it.
    package func with(_ parts: Self) -> Self {
        var whole = self
        whole.readKeys = parts.readKeys
        whole.locks = parts.locks
        whole.writes = parts.writes
        whole.sizeHint += parts.sizeHint
        return whole
    }

    /// Adds the next part; false if it does not follow, or comes to more than a message may hold.
    package mutating func append(_ part: Self) -> Bool {
        func follows(_ next: KeyBytes?, _ last: KeyBytes?) -> Bool {
            guard let next, let last else { return true }
            return last.precedes(next)
        }
        guard follows(part.readKeys.first, readKeys.last),
            follows(part.writes.first?.key, writes.last?.key),
            sizeHint + part.sizeHint <= Limits.messageBytes
        else { return false }
        readKeys += part.readKeys
        locks += part.locks
        writes += part.writes
        sizeHint += part.sizeHint
        return true
    }

    private init(
        begun: Timestamp, readTimestamp: Timestamp, readRanges: [KeyRange], grant: LockGrant?,
        expected: [Write], firstCommitterWins: Bool
    ) {
        self.init(
            readTimestamp: readTimestamp, readRanges: readRanges, grant: grant,
            expected: expected, firstCommitterWins: firstCommitterWins, writes: [])
        self.begun = begun
    }
}
