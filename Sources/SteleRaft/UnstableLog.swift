import SteleBase

/// The end of the log that is not known to be durable, and a snapshot in the same state.
///
/// Invariants: `entries[i]` has index `offset + i`; entries below `offsetInProgress` were handed to
/// storage, those from there on were not; a snapshot ends right before `offset` as long as no entry
/// above it became durable.
struct UnstableLog {
    private var snapshotBox = SnapshotBox.empty
    private(set) var entries: [Entry] = []
    private(set) var offset: LogIndex
    private(set) var offsetInProgress: LogIndex
    private(set) var isSnapshotInProgress = false

    init(offset: LogIndex) {
        self.offset = offset
        offsetInProgress = offset
    }

    var snapshot: Snapshot? { snapshotBox.content }

    var hasSnapshot: Bool { snapshotBox.position != nil }

    /// The first index of the log, if the snapshot decides it.
    var firstIndex: LogIndex? { snapshotBox.position.map { $0.index + 1 } }

    /// The last index of the log, if it is not storage that decides it.
    var lastIndex: LogIndex? {
        entries.isEmpty ? snapshotBox.position?.index : offset + UInt64(entries.count) - 1
    }

    /// The term at an index, as far as this part of the log knows it.
    func term(at index: LogIndex) -> Term? {
        if index < offset {
            guard let position = snapshotBox.position, position.index == index else { return nil }
            return position.term
        }
        guard index - offset < UInt64(entries.count) else { return nil }
        return entries[Int(index - offset)].term
    }

    /// Entries that storage was not told of yet.
    var nextEntries: ArraySlice<Entry> { entries[Int(offsetInProgress - offset)...] }

    var hasNextEntries: Bool { UInt64(entries.count) > offsetInProgress - offset }

    /// The snapshot, unless storage was told of it.
    var nextSnapshot: Snapshot? { isSnapshotInProgress ? nil : snapshot }

    /// Entries in `from ..< upTo`, which must be here.
    func slice(from: LogIndex, upTo: LogIndex) -> ArraySlice<Entry> {
        entries[Int(from - offset)..<Int(upTo - offset)]
    }

    /// Storage was told of everything.
    mutating func acceptInProgress() {
        offsetInProgress = offset + UInt64(entries.count)
        if hasSnapshot { isSnapshotInProgress = true }
    }

    /// Forgets what became durable.
    ///
    /// If another leader replaced entries in the meantime, the position is not found here any more,
    /// and nothing is forgotten.
    mutating func stable(to position: LogPosition) {
        guard position.index >= offset, term(at: position.index) == position.term else { return }
        entries.removeFirst(Int(position.index + 1 - offset))
        offset = position.index + 1
        offsetInProgress = max(offsetInProgress, offset)
    }

    /// Forgets the snapshot at `index` when that became durable.
    mutating func stableSnapshot(at index: LogIndex) {
        guard snapshotBox.position?.index == index else { return }
        snapshotBox = .empty
        isSnapshotInProgress = false
    }

    /// Replaces the whole log by a snapshot.
    mutating func restore(_ snapshot: Snapshot) {
        offset = snapshot.index + 1
        offsetInProgress = offset
        entries = []
        snapshotBox = .full(snapshot)
        isSnapshotInProgress = false
    }

    /// Appends one entry at the end.
    mutating func append(_ entry: Entry) {
        let end = offset + UInt64(entries.count)
        invariant(entry.index == end, "entry \(entry.index) does not continue \(end)")
        entries.append(entry)
    }

    /// Appends entries, after dropping what they replace.
    mutating func truncateAndAppend(_ added: ArraySlice<Entry>) {
        guard let first = added.first?.index else { return }
        let end = offset + UInt64(entries.count)
        invariant(first <= end, "entries from \(first) leave a gap after \(end)")
        if first == end {
            entries.append(contentsOf: added)
        } else if first <= offset {
            entries = Array(added)
            offset = first
            offsetInProgress = first
        } else {
            entries.replaceSubrange(Int(first - offset)..., with: added)
            offsetInProgress = min(offsetInProgress, first)
        }
    }
}
