import SteleBase
import SteleRaft

/// What the log knows of one replica: its hard state and where each of its entries lies.
///
/// Invariant once a log is open: the slots are those of `compacted.index + 1 ... lastIndex` and
/// none is missing. While segments are replayed, entries that were copied forward are still
/// missing, so slots may begin anywhere and have holes.
struct ReplicaIndex: Sendable {
    private(set) var hardState = HardState()
    private(set) var compacted = LogPosition(index: 0, term: 0)
    /// The index of the first slot in use.
    private var first: LogIndex = 1
    private var slots: [EntrySlot] = []
    /// How many slots at the front of the array are out of use.
    private var head = 0

    var count: Int { slots.count - head }

    var isEmpty: Bool { count == 0 }

    var firstIndex: LogIndex { first }

    var lastIndex: LogIndex { isEmpty ? compacted.index : first + UInt64(count) - 1 }

    func slot(at index: LogIndex) -> EntrySlot? {
        guard index >= first, index - first < UInt64(count) else { return nil }
        let slot = slots[head + Int(index - first)]
        return slot.isMissing ? nil : slot
    }

    /// The lowest index at or after `compacted` whose entry was not found, if there is one.
    var hole: LogIndex? {
        if isEmpty { return nil }
        if first != compacted.index + 1 { return compacted.index + 1 }
        return slots[head...].firstIndex(where: \.isMissing).map { first + UInt64($0 - head) }
    }

    /// The first index of each run of one term, and that term.
    var termRuns: [LogPosition] {
        var runs: [LogPosition] = []
        for offset in 0..<count {
            let term = slots[head + offset].term
            if runs.last?.term != term {
                runs.append(LogPosition(index: first + UInt64(offset), term: term))
            }
        }
        return runs
    }

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
            place(slots, at: start, &segments)
        } else {
            removeSuffix(from: start, &segments)
            append(slots, at: start, &segments)
        }
    }

    /// Gives all entries up, because the replica is gone.
    mutating func removeAll(_ segments: inout SegmentTable) { removeSuffix(from: 0, &segments) }

    /// How many indices from `index` on are compacted already.
    private func below(_ index: LogIndex) -> UInt64 {
        compacted.index >= index ? compacted.index - index + 1 : 0
    }

    private mutating func append(
        _ added: ArraySlice<EntrySlot>, at index: LogIndex, _ segments: inout SegmentTable
    ) {
        if isEmpty {
            first = index
        } else {
            fill(upTo: index)
        }
        for slot in added { segments.retain(slot) }
        slots.append(contentsOf: added)
    }

    /// Makes holes of entries that a checkpoint says are there and that were not found before it.
    private mutating func expect(upTo index: LogIndex) {
        guard index > compacted.index + 1 else { return }
        if isEmpty { first = compacted.index + 1 }
        fill(upTo: index)
    }

    /// Appends holes, so that the next slot appended is that of `index`.
    private mutating func fill(upTo index: LogIndex) {
        let next = first + UInt64(count)
        if index > next {
            slots.append(contentsOf: [EntrySlot](repeating: .missing, count: Int(index - next)))
        }
    }

    /// Puts entries that were copied forward in their places.
    private mutating func place(
        _ moved: ArraySlice<EntrySlot>, at index: LogIndex, _ segments: inout SegmentTable
    ) {
        let end = index + UInt64(moved.count)
        if isEmpty { first = index }
        if index < first {
            let holes = Int(first - index)
            slots.insert(contentsOf: [EntrySlot](repeating: .missing, count: holes), at: head)
            first = index
        }
        fill(upTo: end)
        for (offset, slot) in moved.enumerated() {
            let spot = head + Int(index - first) + offset
            segments.release(slots[spot])
            segments.retain(slot)
            slots[spot] = slot
        }
    }

    private mutating func removeSuffix(from index: LogIndex, _ segments: inout SegmentTable) {
        let kept = index <= first ? 0 : min(Int(clamping: index - first), count)
        for slot in slots[(head + kept)...] { segments.release(slot) }
        slots.removeLast(count - kept)
        trim()
    }

    private mutating func removePrefix(through index: LogIndex, _ segments: inout SegmentTable) {
        guard index >= first else { return }
        let removed = min(Int(clamping: index - first + 1), count)
        for slot in slots[head..<head + removed] { segments.release(slot) }
        head += removed
        first += UInt64(removed)
        trim()
    }

    /// Gives memory back once most of the array is out of use.
    private mutating func trim() {
        if isEmpty {
            slots = []
            head = 0
            first = compacted.index + 1
        } else if head > 64, head > slots.count / 2 {
            slots = Array(slots[head...])
            head = 0
        }
    }
}
