import SteleBase
import SteleRaft

/// Entries of one replica that follow each other, in the log as well as by index: of one term, in
/// one segment, near each other, each once.
///
/// Where exactly an entry lies, the records in that stretch tell. Its payload is the one between
/// `start` and `end` that a record gives under its index.
struct EntryBlock: Equatable, Sendable {
    var first: LogIndex
    var count: UInt64
    /// 0 in a block of entries that were not found (yet).
    var term: Term
    /// The position of the record that holds the first of them, or held it before the block was cut.
    var record: UInt64
    /// The positions where the payload of the first one begins and that of the last one ends.
    var start: UInt64
    var end: UInt64
    /// What they are counted as when segments are weighed; a share of the whole if it was cut.
    var weight: Int
    /// Entries behind the last one were cut off, and lie within what would follow.
    var isCut = false

    /// How far apart the records of a block may begin.
    static let span: UInt64 = 64 << 10

    static func missing(_ first: LogIndex, count: UInt64) -> EntryBlock {
        EntryBlock(first: first, count: count, term: 0, record: 0, start: 0, end: 0, weight: 0)
    }

    /// No record lies in a segment's header, so position 0 is free for this.
    var isMissing: Bool { record == 0 }

    var next: LogIndex { first + count }

    /// Whether an entry that a record gives is the one of this block.
    func holds(_ slot: EntrySlot, at index: LogIndex) -> Bool {
        !isMissing && index >= first && index < next && slot.term == term
            && slot.position >= start && slot.end <= end
    }

    /// Takes so many entries from the front, and returns what they are counted as.
    mutating func dropFirst(_ dropped: UInt64) -> Int {
        let share = share(of: dropped)
        first += dropped
        return share
    }

    /// Takes so many entries from the back, and returns what they are counted as.
    mutating func dropLast(_ dropped: UInt64) -> Int {
        isCut = true
        return share(of: dropped)
    }

    private mutating func share(of dropped: UInt64) -> Int {
        let share = weight * Int(dropped) / Int(count)
        weight -= share
        count -= dropped
        return share
    }
}

/// What the log knows of one replica: its hard state and, in blocks, where its entries lie.
///
/// Invariant once a log is open: the blocks are those of `compacted.index + 1 ... lastIndex`, without
/// gaps, and none is missing. While segments are replayed, entries that were copied forward are still
/// missing, so blocks may begin anywhere and some stand for holes.
struct ReplicaIndex: Sendable {
    private(set) var hardState = HardState()
    private(set) var compacted = LogPosition(index: 0, term: 0)
    /// Ascending by index, each right behind the one before.
    private(set) var blocks: [EntryBlock] = []

    var isEmpty: Bool { blocks.isEmpty }

    var firstIndex: LogIndex { blocks.first?.first ?? compacted.index + 1 }

    var lastIndex: LogIndex { blocks.last.map { $0.next - 1 } ?? compacted.index }

    /// The block that holds an index, which may be a missing one.
    func block(at index: LogIndex) -> EntryBlock? { place(of: index).map { blocks[$0] } }

    /// The term of an entry; nil if it is not there or was not found.
    func term(at index: LogIndex) -> Term? {
        block(at: index).flatMap { $0.isMissing ? nil : $0.term }
    }

    /// Whether an entry lives where a record says.
    func holds(_ slot: EntrySlot, at index: LogIndex) -> Bool {
        block(at: index)?.holds(slot, at: index) ?? false
    }

    /// The lowest index at or after `compacted` whose entry was not found, if there is one.
    var hole: LogIndex? {
        if isEmpty { return nil }
        if firstIndex != compacted.index + 1 { return compacted.index + 1 }
        return blocks.first(where: \.isMissing)?.first
    }

    /// The first index of each run of one term, and that term.
    var termRuns: [LogPosition] {
        var runs: [LogPosition] = []
        for block in blocks where runs.last?.term != block.term {
            runs.append(LogPosition(index: block.first, term: block.term))
        }
        return runs
    }

    /// What the entries take up.
    var sizes: LogSizes {
        var sizes = LogSizes()
        for block in blocks { sizes.append(through: block.next - 1, bytes: block.weight) }
        return sizes
    }

    /// The block that holds an index.
    private func place(of index: LogIndex) -> Int? {
        guard index >= firstIndex, index <= lastIndex, !isEmpty else { return nil }
        var low = 0
        var high = blocks.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if blocks[middle].first <= index { low = middle } else { high = middle }
        }
        return low
    }

    // MARK: Changes

    /// Takes in what a record says, and keeps the segments' counts of live entries.
    mutating func apply(_ part: LogRecord.Part, _ segments: inout SegmentTable) {
        if let hardState = part.hardState { self.hardState = hardState }
        if let compacted = part.compacted, compacted.index >= self.compacted.index {
            if part.discards { removeSuffix(from: 0, &segments) }
            self.compacted = compacted
            removePrefix(through: compacted.index, &segments)
        }
        if let last = part.last { expect(upTo: last + 1) }
        let dropped = Int(min(UInt64(part.slots.count), below(part.first)))
        let slots = part.slots.dropFirst(dropped)
        if slots.isEmpty { return }
        let start = part.first + UInt64(dropped)
        if part.moved {
            place(slots, at: start, record: part.record, &segments)
        } else {
            removeSuffix(from: start, &segments)
            if !isEmpty { fill(upTo: start) }
            append(slots, at: start, record: part.record, &segments)
        }
    }

    /// Gives all entries up, because the replica is gone.
    mutating func removeAll(_ segments: inout SegmentTable) { removeSuffix(from: 0, &segments) }

    /// How many indices from `index` on are compacted already.
    private func below(_ index: LogIndex) -> UInt64 {
        compacted.index >= index ? compacted.index - index + 1 : 0
    }

    private mutating func append(
        _ slots: ArraySlice<EntrySlot>, at index: LogIndex, record: UInt64,
        _ segments: inout SegmentTable
    ) {
        for (offset, slot) in slots.enumerated() {
            segments.retain(at: slot.position, count: 1, weight: slot.weight)
            if let last = blocks.last, Self.continues(last, slot, record, segments) {
                blocks[blocks.count - 1].count += 1
                blocks[blocks.count - 1].end = slot.end
                blocks[blocks.count - 1].weight += slot.weight
            } else {
                blocks.append(Self.block(of: slot, at: index + UInt64(offset), record: record))
            }
        }
    }

    private static func block(
        of slot: EntrySlot, at index: LogIndex, record: UInt64
    ) -> EntryBlock {
        EntryBlock(
            first: index, count: 1, term: slot.term, record: record, start: slot.position,
            end: slot.end, weight: slot.weight)
    }

    private static func continues(
        _ block: EntryBlock, _ slot: EntrySlot, _ record: UInt64, _ segments: SegmentTable
    ) -> Bool {
        !block.isMissing && !block.isCut && block.term == slot.term && slot.position >= block.end
            && record >= block.record && record - block.record < EntryBlock.span
            && segments.index(of: slot.position) == segments.index(of: block.start)
    }

    /// Makes holes of entries that a checkpoint says are there and that were not found before it.
    private mutating func expect(upTo index: LogIndex) {
        guard index > compacted.index + 1 else { return }
        fill(upTo: index)
    }

    /// Appends holes, so that the next entry appended is that of `index`.
    private mutating func fill(upTo index: LogIndex) {
        let next = lastIndex + 1
        if index > next { blocks.append(.missing(next, count: index - next)) }
    }

    /// Puts entries that were copied forward in their places.
    private mutating func place(
        _ slots: ArraySlice<EntrySlot>, at index: LogIndex, record: UInt64,
        _ segments: inout SegmentTable
    ) {
        if isEmpty { return append(slots, at: index, record: record, &segments) }
        fill(upTo: index)
        let end = index + UInt64(slots.count)
        let low = index < firstIndex ? 0 : place(of: index) ?? blocks.count
        let high = blocks[low...].firstIndex { $0.first >= end } ?? blocks.count
        var new: [EntryBlock] = []
        var right: [EntryBlock] = end < firstIndex ? [.missing(end, count: firstIndex - end)] : []
        for block in blocks[low..<high] {
            var removed = block
            if block.first < index {
                var left = block
                let weight = left.dropLast(block.next - index)
                removed.first = index
                removed.count = block.next - index
                removed.weight = weight
                new.append(left)
            }
            if block.next > end {
                var kept = removed
                removed.weight = kept.dropFirst(end - removed.first)
                removed.count = end - removed.first
                right.append(kept)
            }
            segments.release(removed)
        }
        var moved = ReplicaIndex()
        moved.append(slots, at: index, record: record, &segments)
        blocks.replaceSubrange(low..<high, with: new + moved.blocks + right)
    }

    private mutating func removeSuffix(from index: LogIndex, _ segments: inout SegmentTable) {
        while let last = blocks.last, last.next > index {
            if last.first >= index {
                segments.release(last)
                blocks.removeLast()
            } else {
                let dropped = last.next - index
                let weight = blocks[blocks.count - 1].dropLast(dropped)
                if last.isMissing { continue }
                segments.release(at: last.start, count: dropped, weight: weight)
            }
        }
    }

    private mutating func removePrefix(through index: LogIndex, _ segments: inout SegmentTable) {
        let gone = blocks.firstIndex { $0.next > index + 1 } ?? blocks.count
        for block in blocks[..<gone] { segments.release(block) }
        blocks.removeFirst(gone)
        guard let first = blocks.first, first.first <= index else { return }
        let dropped = index + 1 - first.first
        let weight = blocks[0].dropFirst(dropped)
        if first.isMissing { return }
        segments.release(at: first.start, count: dropped, weight: weight)
    }
}
