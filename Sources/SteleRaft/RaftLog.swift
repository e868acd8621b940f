import SteleBase

/// The log of one group: the durable part in storage, the rest in memory, and three cursors.
///
/// Invariant: `applied ≤ applying ≤ committed ≤ lastIndex`. Entries through `applying` were handed
/// to the state machine, those through `applied` it has acknowledged.
struct RaftLog {
    private let storage: any RaftStorage
    private(set) var committed: LogIndex
    private(set) var applying: LogIndex
    private(set) var applied: LogIndex
    private let maxApplyingBytes: Int
    private var applyingBytes = 0
    private(set) var unstable: UnstableLog
    private var isApplyingPaused = false
    /// Whether storage said that entries are being fetched; nothing is handed out until they are.
    var awaitsEntries = false

    init(storage: any RaftStorage, maxApplyingBytes: Int) {
        self.storage = storage
        self.maxApplyingBytes = maxApplyingBytes
        unstable = UnstableLog(offset: storage.lastIndex + 1)
        committed = storage.firstIndex - 1
        applying = committed
        applied = committed
    }

    var firstIndex: LogIndex { unstable.firstIndex ?? storage.firstIndex }

    var lastIndex: LogIndex { unstable.lastIndex ?? storage.lastIndex }

    var lastPosition: LogPosition {
        let index = lastIndex
        return LogPosition(index: index, term: knownTerm(at: index))
    }

    /// The term at an index; fails outside of `firstIndex - 1 ... lastIndex`.
    func term(at index: LogIndex) throws(RaftStorageError) -> Term {
        if let term = unstable.term(at: index) { return term }
        if index < .max, index + 1 < firstIndex { throw .compacted }
        if index > lastIndex { throw .unavailable }
        return try storage.term(at: index)
    }

    func matches(_ position: LogPosition) -> Bool {
        guard let term = try? term(at: position.index) else { return false }
        return term == position.term
    }

    private func knownTerm(at index: LogIndex) -> Term {
        guard let term = try? term(at: index) else {
            invariantFailed("the term at \(index) is unknown")
        }
        return term
    }

    /// Whether a log that ends there holds all that this one holds, as voters judge it.
    func isUpToDate(_ candidate: LogPosition) -> Bool {
        let own = lastPosition
        return candidate.term > own.term
            || (candidate.term == own.term && candidate.index >= own.index)
    }

    /// The last position at or below `index` whose term does not exceed `term`; term 0 if unknown.
    func findConflict(from index: LogIndex, byTerm term: Term) -> LogPosition {
        var index = index
        while index > 0 {
            guard let own = try? self.term(at: index) else {
                return LogPosition(index: index, term: 0)
            }
            if own <= term { return LogPosition(index: index, term: own) }
            index -= 1
        }
        return LogPosition(index: 0, term: 0)
    }
}

// MARK: Growing

extension RaftLog {
    /// Appends entries that continue `previous`, dropping what conflicts with them; nil unless the
    /// log holds `previous`.
    mutating func append(
        after previous: LogPosition, _ entries: [Entry], leaderCommit: LogIndex
    ) -> LogIndex? {
        guard matches(previous) else { return nil }
        let last = previous.index + UInt64(entries.count)
        if let known = entries.firstIndex(where: { !matches($0.position) }) {
            invariant(
                entries[known].index > committed,
                "entry \(entries[known].index) conflicts with one below commit \(committed)")
            unstable.truncateAndAppend(entries[known...])
        }
        commit(to: min(leaderCommit, last))
        return last
    }

    /// Appends an entry of the leader's own.
    mutating func append(_ type: EntryType, _ payload: ArraySlice<UInt8>, term: Term) {
        unstable.append(
            Entry(term: term, index: lastIndex + 1, type: type, payload: payload))
    }

    mutating func commit(to index: LogIndex) {
        guard index > committed else { return }
        invariant(index <= lastIndex, "commit \(index) is beyond the log's end \(lastIndex)")
        committed = index
    }

    /// Commits an entry of the leader's term, and so all before it.
    mutating func commit(at position: LogPosition) -> Bool {
        guard position.term > 0, position.index > committed, matches(position) else { return false }
        commit(to: position.index)
        return true
    }

    /// Replaces the log by a snapshot.
    mutating func restore(_ snapshot: Snapshot) {
        committed = snapshot.index
        unstable.restore(snapshot)
    }

    mutating func stable(to position: LogPosition) { unstable.stable(to: position) }

    mutating func stableSnapshot(at index: LogIndex) { unstable.stableSnapshot(at: index) }

    mutating func acceptUnstable() { unstable.acceptInProgress() }
}

// MARK: Reading

extension RaftLog {
    /// Entries from an index to the end, at least one if there is one, at most `maxBytes`.
    func entries(from index: LogIndex, maxBytes: Int) throws(RaftStorageError) -> [Entry] {
        var entries: [Entry] = []
        try self.entries(from: index, maxBytes: maxBytes, into: &entries)
        return entries
    }

    /// The same, added to a buffer.
    func entries(
        from index: LogIndex, maxBytes: Int, into buffer: inout [Entry]
    ) throws(RaftStorageError) {
        if index > lastIndex { return }
        try slice(from: index, upTo: lastIndex + 1, maxBytes: maxBytes, into: &buffer)
    }

    /// Entries of `from ..< upTo`, at least one, at most `maxBytes`.
    func slice(
        from: LogIndex, upTo: LogIndex, maxBytes: Int
    ) throws(RaftStorageError) -> [Entry] {
        var entries: [Entry] = []
        try slice(from: from, upTo: upTo, maxBytes: maxBytes, into: &entries)
        return entries
    }

    /// The same, added to a buffer.
    func slice(
        from: LogIndex, upTo: LogIndex, maxBytes: Int, into buffer: inout [Entry]
    ) throws(RaftStorageError) {
        if from < firstIndex { throw .compacted }
        invariant(upTo <= lastIndex + 1, "entries up to \(upTo) are beyond the log's end")
        if from >= upTo { return }
        if from >= unstable.offset {
            buffer += unstable.slice(from: from, upTo: upTo).limited(toBytes: maxBytes)
            return
        }
        let border = min(upTo, unstable.offset)
        let start = buffer.count
        try storage.entries(from: from, upTo: border, maxBytes: maxBytes, into: &buffer)
        let wanted = Int(border - from)
        if buffer.count - start > wanted { buffer.removeLast(buffer.count - start - wanted) }
        if buffer.count == start { throw .unavailable }
        if upTo <= unstable.offset || buffer.count - start < wanted { return }
        let size = maxBytes == .max ? 0 : buffer[start...].byteCount
        if size >= maxBytes { return }
        let rest = unstable.slice(from: unstable.offset, upTo: upTo)
            .limited(toBytes: maxBytes == .max ? .max : maxBytes - size)
        if rest.count == 1, maxBytes < .max, size + rest.byteCount > maxBytes { return }
        buffer += rest
    }

    func snapshot() throws(RaftStorageError) -> Snapshot {
        if let snapshot = unstable.snapshot { return snapshot }
        return try storage.snapshot()
    }
}

// MARK: Applying

extension RaftLog {
    var hasSnapshotUnderWay: Bool { unstable.hasSnapshot }

    private func maxAppliable(allowUnstable: Bool) -> LogIndex {
        allowUnstable ? committed : min(committed, unstable.offset - 1)
    }

    /// Whether there are entries to hand to the state machine.
    func hasNextCommitted(allowUnstable: Bool) -> Bool {
        !isApplyingPaused && !hasSnapshotUnderWay && !awaitsEntries
            && applying < maxAppliable(allowUnstable: allowUnstable)
    }

    /// Adds the next entries for the state machine, as many as its share of memory allows.
    mutating func nextCommitted(allowUnstable: Bool, into entries: inout [Entry]) {
        guard hasNextCommitted(allowUnstable: allowUnstable) else { return }
        let room = maxApplyingBytes == .max ? .max : maxApplyingBytes - applyingBytes
        do {
            try slice(
                from: applying + 1, upTo: maxAppliable(allowUnstable: allowUnstable) + 1,
                maxBytes: room, into: &entries)
        } catch .temporarilyUnavailable {
            awaitsEntries = true
        } catch {
            invariantFailed("entries after \(applying) cannot be applied: \(error)")
        }
    }

    /// Entries through `index` were handed to the state machine.
    ///
    /// Pauses if they fill the limit, or if the limit cut them off, until some are acknowledged.
    mutating func acceptApplying(through index: LogIndex, bytes: Int, allowUnstable: Bool) {
        invariant(index <= committed, "entry \(index) is applied above commit \(committed)")
        applying = index
        applyingBytes += bytes
        isApplyingPaused =
            applyingBytes >= maxApplyingBytes || index < maxAppliable(allowUnstable: allowUnstable)
    }

    /// The state machine has applied everything through `index`.
    mutating func applied(to index: LogIndex, bytes: Int) {
        invariant(
            applied <= index && index <= committed,
            "applied \(index) is not within \(applied) ... \(committed)")
        applied = index
        applying = max(applying, index)
        applyingBytes = max(0, applyingBytes - bytes)
        isApplyingPaused = applyingBytes >= maxApplyingBytes
    }
}
