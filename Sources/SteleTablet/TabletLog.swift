import DequeModule
import SteleBase
import SteleRaft

/// What a replica knows of its own log without touching a disk: all terms, and the newest entries.
///
/// The entries themselves are on disk in the node's log; the newest are kept here as well, up to a
/// budget. Where older ones are needed, for a follower that lags or after a restart, the look-up
/// notes which, the node has them read, and Raft asks again.
///
/// Invariants:
/// - Holds only entries that are durable in the node's log.
/// - `cache` is contiguous and ends at `lastIndex`.
package final class TabletLog: RaftStorage {
    private var hardState: HardState
    private let configuration: ConfState
    private var compacted: LogPosition
    /// The first index of each run of equal terms, ascending; covers (compacted, lastIndex].
    private var termRuns: [LogPosition]
    package private(set) var lastIndex: LogIndex
    private var cache: Deque<Entry>
    /// What the entries in memory take up.
    package private(set) var cachedBytes: Int
    private let cacheLimit: Int
    /// What the entries take up on disk.
    package private(set) var sizes: LogSizes
    /// Entries read back from disk for whoever needs older ones than the cache holds.
    private var fetched: [Entry] = []
    /// The first index of a look-up that found its entries neither in `cache` nor in `fetched`.
    private var wanted: LogIndex?

    package init(
        recovered: RecoveredReplica, configuration: ConfState, cacheLimit: Int = 8 << 20
    ) {
        hardState = recovered.hardState
        self.configuration = configuration
        compacted = recovered.compacted
        termRuns = recovered.termRuns
        lastIndex = recovered.lastIndex
        cache = Deque(recovered.tail)
        cachedBytes = recovered.tail.reduce(0) { $0 + Self.cost($1) }
        self.cacheLimit = cacheLimit
        sizes = recovered.sizes
    }

    package var firstIndex: LogIndex { compacted.index + 1 }

    /// The index of the first entry in `cache`, or of the next one to come.
    private var cacheStart: LogIndex { lastIndex + 1 - LogIndex(cache.count) }

    package func initialState() -> (HardState, ConfState) { (hardState, configuration) }

    package func entries(
        from: LogIndex, upTo end: LogIndex, maxBytes: Int, into buffer: inout [Entry]
    ) throws(RaftStorageError) {
        guard from >= firstIndex else { throw .compacted }
        guard end <= lastIndex + 1 else { throw .unavailable }
        guard from < end else { return }
        if from >= cacheStart {
            let first = Int(from - cacheStart)
            buffer += Self.limited(cache[first..<first + Int(end - from)], maxBytes)
            return
        }
        if let start = fetched.first?.index, from >= start,
            from < start + LogIndex(fetched.count)
        {
            let first = Int(from - start)
            let last = min(fetched.count, first + Int(end - from))
            buffer += Self.limited(fetched[first..<last], maxBytes)
            return
        }
        wanted = wanted.map { min($0, from) } ?? from
        throw .temporarilyUnavailable
    }

    package func term(at index: LogIndex) throws(RaftStorageError) -> Term {
        if index == compacted.index { return compacted.term }
        guard index > compacted.index else { throw .compacted }
        guard index <= lastIndex else { throw .unavailable }
        var low = 0
        var high = termRuns.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if termRuns[middle].index <= index { low = middle } else { high = middle }
        }
        return termRuns[low].term
    }

    package func snapshot() throws(RaftStorageError) -> Snapshot {
        throw .snapshotTemporarilyUnavailable
    }

    /// Takes in what has become durable.
    package func append(_ entries: [Entry], hardState: HardState?) {
        if let hardState { self.hardState = hardState }
        guard let first = entries.first else { return }
        invariant(
            first.index > compacted.index && first.index <= lastIndex + 1,
            "entries from \(first.index) on do not join a log of \(firstIndex)...\(lastIndex)")
        truncate(from: first.index)
        for entry in entries {
            if termRuns.last.map({ $0.term != entry.term }) ?? true {
                termRuns.append(LogPosition(index: entry.index, term: entry.term))
            }
            cachedBytes += Self.cost(entry)
            sizes.append(entry.index, payloadBytes: entry.payload.count)
        }
        cache.append(contentsOf: entries)
        lastIndex = entries[entries.count - 1].index
        trimCache()
    }

    /// Forgets entries up to `position`, which are not needed any more.
    package func compact(to position: LogPosition) {
        guard position.index > compacted.index else { return }
        invariant(position.index <= lastIndex, "the log is compacted beyond its end")
        if position.index >= cacheStart { dropOldest(Int(position.index + 1 - cacheStart)) }
        while termRuns.count > 1, termRuns[1].index <= position.index + 1 { termRuns.removeFirst() }
        if position.index == lastIndex {
            termRuns.removeAll()
        } else if let run = termRuns.first, run.index <= position.index {
            termRuns[0] = LogPosition(index: position.index + 1, term: run.term)
        }
        compacted = position
        sizes.compact(through: position.index)
        if let first = fetched.first, first.index <= position.index { fetched = [] }
    }

    /// The first index that a look-up missed since the last call.
    package func takeWanted() -> LogIndex? {
        defer { wanted = nil }
        return wanted
    }

    /// Takes in entries that were read back from disk.
    package func install(fetched entries: [Entry]) {
        guard let first = entries.first, let last = entries.last, first.index >= firstIndex,
            last.index <= lastIndex
        else { return }
        // What was read may have been overwritten since; the terms tell.
        for entry in entries where (try? term(at: entry.index)) != entry.term { return }
        fetched = entries
    }

    /// Lets entries up to `index` go from memory; returns how many bytes they took up.
    package func giveUp(through index: LogIndex) -> Int {
        let before = cachedBytes
        if index >= cacheStart { dropOldest(min(Int(index + 1 - cacheStart), cache.count)) }
        return before - cachedBytes
    }

    private func truncate(from index: LogIndex) {
        guard index <= lastIndex else { return }
        let dropped = min(Int(lastIndex + 1 - index), cache.count)
        var bytes = 0
        for entry in cache.suffix(dropped) {
            cachedBytes -= Self.cost(entry)
            bytes += LogSizes.weight(payloadBytes: entry.payload.count)
        }
        cache.removeLast(dropped)
        sizes.truncate(from: index, bytes: bytes)
        while let run = termRuns.last, run.index >= index { termRuns.removeLast() }
        lastIndex = index - 1
        if let last = fetched.last, last.index >= index { fetched = [] }
    }

    private func trimCache() {
        var excess = 0
        var bytes = cachedBytes
        while bytes > cacheLimit, excess < cache.count - 1 {
            bytes -= Self.cost(cache[excess])
            excess += 1
        }
        dropOldest(excess)
    }

    private func dropOldest(_ count: Int) {
        for entry in cache.prefix(count) { cachedBytes -= Self.cost(entry) }
        cache.removeFirst(count)
    }

    private static func cost(_ entry: Entry) -> Int { entry.payload.count + 64 }

    /// As many entries as fit `maxBytes`, but at least one.
    private static func limited<Entries: RandomAccessCollection<Entry>>(
        _ entries: Entries, _ maxBytes: Int
    ) -> Entries.SubSequence {
        var bytes = 0
        var end = entries.startIndex
        while end < entries.endIndex {
            bytes += entries[end].payload.count
            if bytes > maxBytes, end > entries.startIndex { break }
            entries.formIndex(after: &end)
        }
        return entries[..<end]
    }
}
