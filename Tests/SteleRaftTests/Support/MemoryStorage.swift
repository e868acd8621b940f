import SteleBase

@testable import SteleRaft

/// Storage in memory: a snapshot's position, and the entries that follow it.
final class MemoryStorage: RaftStorage {
    private(set) var hardState = HardState.empty
    private var compacted = LogPosition(index: 0, term: 0)
    private var confState = ConfState()
    private var log: [Entry] = []
    /// What `snapshot()` answers with.
    var latestSnapshot = Snapshot()
    /// Makes a snapshot when one is asked for, instead.
    var makeSnapshot: (() -> Snapshot)?
    /// Entries at or below this index are "being fetched".
    var unavailableThrough: LogIndex = 0

    var firstIndex: LogIndex { compacted.index + 1 }

    var lastIndex: LogIndex { compacted.index + UInt64(log.count) }

    func initialState() -> (HardState, ConfState) { (hardState, confState) }

    func entries(
        from: LogIndex, upTo: LogIndex, maxBytes: Int, into buffer: inout [Entry]
    ) throws(RaftStorageError) {
        if from < firstIndex { throw .compacted }
        if upTo > lastIndex + 1 { throw .unavailable }
        if from <= unavailableThrough { throw .temporarilyUnavailable }
        let slice = log[Int(from - firstIndex)..<Int(upTo - firstIndex)]
        buffer += slice.limited(toBytes: maxBytes)
    }

    func term(at index: LogIndex) throws(RaftStorageError) -> Term {
        if index == compacted.index { return compacted.term }
        if index < firstIndex { throw .compacted }
        if index > lastIndex { throw .unavailable }
        return log[Int(index - firstIndex)].term
    }

    func snapshot() throws(RaftStorageError) -> Snapshot {
        if let makeSnapshot { latestSnapshot = makeSnapshot() }
        if latestSnapshot.index == 0 { throw .snapshotTemporarilyUnavailable }
        return latestSnapshot
    }

    func set(_ hardState: HardState) { self.hardState = hardState }

    /// Where a restarted replica finds its members; the log itself does not hold them.
    func set(_ confState: ConfState) { self.confState = confState }

    func append(_ entries: [Entry]) {
        guard let first = entries.first else { return }
        invariant(first.index >= firstIndex && first.index <= lastIndex + 1, "gap in storage")
        log.replaceSubrange(Int(first.index - firstIndex)..., with: entries)
    }

    func restore(_ snapshot: Snapshot) {
        compacted = snapshot.position
        confState = snapshot.confState
        log = []
        latestSnapshot = snapshot
    }

    /// Drops entries through `index`; false if they are gone already.
    func compact(through index: LogIndex) -> Bool {
        guard index >= firstIndex, index <= lastIndex else { return false }
        let kept = log[Int(index - firstIndex)]
        log.removeFirst(Int(index - firstIndex) + 1)
        compacted = kept.position
        return true
    }
}
