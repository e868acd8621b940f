import SteleRaft

/// A segment of the log that may still hold something live.
struct Segment: Sendable {
    var sequence: UInt64
    var salt: UInt64
    /// The log position of the file's first byte.
    var base: UInt64
    /// The position behind its last record; for the newest one, of what has been written.
    var end: UInt64
    var path: String
    var file: any File
    /// The file's length: what keeping it costs, however little of it is used.
    var fileBytes: Int
    var liveEntries = 0
    var liveBytes = 0
    /// Reads under way, which forbid using the file again for something else.
    var readers = 0
}

/// The segments of a log in ascending order, joined without gaps.
struct SegmentTable: Sendable {
    private(set) var segments: [Segment] = []

    var oldest: Segment? { segments.first }

    /// All but the newest, which is being written.
    var closed: ArraySlice<Segment> { segments.dropLast() }

    /// The oldest segment if nothing lives in it.
    var removable: Segment? {
        guard let oldest = closed.first, oldest.liveEntries == 0 else { return nil }
        return oldest
    }

    /// The oldest segment if there are so many closed ones and less than half of them lives.
    func worthCopying(from count: Int) -> Segment? {
        guard segments.count > count, let oldest = closed.first else { return nil }
        let live = closed.reduce(0) { $0 + $1.liveBytes }
        let total = closed.reduce(0) { $0 + $1.fileBytes }
        return live < total / 2 ? oldest : nil
    }

    mutating func append(_ segment: Segment) { segments.append(segment) }

    mutating func removeOldest() { segments.removeFirst() }

    mutating func setEnd(_ end: UInt64) {
        if !segments.isEmpty { segments[segments.count - 1].end = end }
    }

    /// Notes by how much the newest segment's file has grown.
    mutating func growFile(by bytes: Int) {
        if !segments.isEmpty { segments[segments.count - 1].fileBytes += bytes }
    }

    /// Counts entries in the segment that a position lies in.
    mutating func retain(at position: UInt64, count: UInt64, weight: Int) {
        guard let index = index(of: position) else { return }
        segments[index].liveEntries += Int(count)
        segments[index].liveBytes += weight
    }

    /// No longer counts entries.
    mutating func release(at position: UInt64, count: UInt64, weight: Int) {
        guard let index = index(of: position) else { return }
        segments[index].liveEntries -= Int(count)
        segments[index].liveBytes -= weight
    }

    /// No longer counts the entries of a block.
    mutating func release(_ block: EntryBlock) {
        if block.isMissing { return }
        release(at: block.start, count: block.count, weight: block.weight)
    }

    func index(of position: UInt64) -> Int? {
        if let newest = segments.last, position >= newest.base { return segments.count - 1 }
        guard let oldest = segments.first, position >= oldest.base else { return nil }
        var low = 0
        var high = segments.count - 1
        while high - low > 1 {
            let middle = (low + high) / 2
            if segments[middle].base <= position { low = middle } else { high = middle }
        }
        return low
    }

    /// Notes that a read begins (1) or ended (-1).
    mutating func countReader(sequence: UInt64, by change: Int) {
        guard let index = segments.firstIndex(where: { $0.sequence == sequence }) else { return }
        segments[index].readers += change
    }
}
