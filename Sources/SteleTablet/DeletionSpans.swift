import SteleBase

/// Where keys were deleted: a few ranges that cover them all, for whoever drops the deletions later.
///
/// Keys that are deleted next to each other, as those of a queue are, leave narrow ranges; keys from
/// everywhere soon leave the whole of them.
///
/// Invariant: ascending and disjoint.
struct DeletionSpans {
    private(set) var ranges: [KeyRange] = []
    /// With more ranges than this, each is merged with its neighbour.
    private static let most = 64

    init() {}

    init(_ range: KeyRange) { ranges = [range] }

    private init(_ ranges: ArraySlice<KeyRange>) { self.ranges = Array(ranges) }

    var isEmpty: Bool { ranges.isEmpty }

    mutating func insert(_ key: KeyBytes) { insert(KeyRange(start: key, end: key + [0])) }

    mutating func insert(_ range: KeyRange) {
        var low = 0
        var high = ranges.count
        while low < high {
            let middle = (low + high) / 2
            let isBefore = !ranges[middle].end.isEmpty && ranges[middle].end.precedes(range.start)
            if isBefore { low = middle + 1 } else { high = middle }
        }
        if low < ranges.count, ranges[low].contains(range) { return }
        var hull = DeletionSpans(range)
        high = low
        while high < ranges.count, range.end.isEmpty || !range.end.precedes(ranges[high].start) {
            high += 1
        }
        hull.merge(DeletionSpans(ranges[low..<high]))
        ranges.replaceSubrange(low..<high, with: hull.ranges)
        if ranges.count > Self.most { mergeNeighbours() }
    }

    /// One range instead, that covers those of `other` too.
    mutating func merge(_ other: DeletionSpans) {
        let all = ranges + other.ranges
        guard var hull = all.first else { return }
        for range in all.dropFirst() {
            if range.start.precedes(hull.start) { hull.start = range.start }
            if range.end.isEmpty || !hull.end.isEmpty && hull.end.precedes(range.end) {
                hull.end = range.end
            }
        }
        ranges = [hull]
    }

    private mutating func mergeNeighbours() {
        ranges = stride(from: 0, to: ranges.count, by: 2).map { first in
            let last = min(first + 1, ranges.count - 1)
            return KeyRange(start: ranges[first].start, end: ranges[last].end)
        }
    }
}
