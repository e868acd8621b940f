import SteleBase
import SteleRaft

/// A model of a node's log on disk: batches are written in order and synced some time later.
///
/// Invariant: a batch is there in full or not at all, and never without those before it. A crash
/// takes away what was not synced, except for a prefix of it that may have reached the disk anyway.
struct SimulatedLog {
    /// What a log holds of one replica.
    struct Replica {
        var tablet: TabletID
        var replica: ReplicaID
        var hardState = HardState()
        var compacted = LogPosition(index: 0, term: 0)
        /// Contiguous, from the one after `compacted` on.
        var entries: [Entry] = []

        var lastIndex: LogIndex { compacted.index + LogIndex(entries.count) }

        /// What the entries take up.
        var bytes: Int {
            entries.reduce(0) { $0 + LogSizes.weight(payloadBytes: $1.payload.count) }
        }

        func entry(at index: LogIndex) -> Entry? {
            guard index > compacted.index, index <= lastIndex else { return nil }
            return entries[Int(index - compacted.index - 1)]
        }
    }

    /// Replicas in the order in which they first wrote something, and the node's own record.
    struct Content {
        var replicas: [Replica] = []
        var nodeRecord: [UInt8]?

        func replica(of tablet: TabletID) -> Replica? {
            replicas.first { $0.tablet == tablet }
        }

        /// The log's own rules: entries replace everything from their first index on.
        mutating func take(_ batch: LogBatch) {
            for part in batch.parts {
                if part.isRemoval {
                    replicas.removeAll { $0.tablet == part.tablet && $0.replica == part.replica }
                    continue
                }
                let place = place(of: part)
                if let hardState = part.hardState { replicas[place].hardState = hardState }
                if let first = part.entries.first {
                    let kept = Int(first.index - replicas[place].compacted.index) - 1
                    invariant(
                        kept >= 0 && kept <= replicas[place].entries.count,
                        "entries from \(first.index) on leave a gap in the log")
                    replicas[place].entries.removeSubrange(kept...)
                    replicas[place].entries += part.entries
                }
                if let position = part.compacted { compact(place, to: position) }
            }
            if let record = batch.nodeRecord { nodeRecord = record }
        }

        private mutating func place(of part: LogBatch.Part) -> Int {
            if let known = replicas.firstIndex(where: {
                $0.tablet == part.tablet && $0.replica == part.replica
            }) {
                return known
            }
            replicas.append(Replica(tablet: part.tablet, replica: part.replica))
            return replicas.count - 1
        }

        private mutating func compact(_ place: Int, to position: LogPosition) {
            let known = replicas[place]
            guard position.index > known.compacted.index else { return }
            invariant(
                known.entry(at: position.index)?.term == position.term,
                "compaction to \(position) does not fit the log")
            replicas[place].entries.removeFirst(Int(position.index - known.compacted.index))
            replicas[place].compacted = position
        }
    }

    /// With everything that was written, synced or not.
    private(set) var written = Content()
    private var synced = Content()
    private var unsynced: [(token: UInt64, batch: LogBatch)] = []

    /// Whether batches wait to be synced.
    var isBusy: Bool { !unsynced.isEmpty }

    mutating func write(_ batch: LogBatch, token: UInt64) {
        written.take(batch)
        unsynced.append((token, batch))
    }

    /// Syncs the oldest `count` batches and returns the token of the last one.
    mutating func sync(_ count: Int) -> UInt64? {
        let done = unsynced.prefix(count)
        for (_, batch) in done { synced.take(batch) }
        unsynced.removeFirst(done.count)
        return done.last?.token
    }

    /// The node is gone; `survivors` batches that were not synced are on disk all the same.
    mutating func crash(survivors: Int) {
        _ = sync(survivors)
        unsynced = []
        written = synced
    }

    /// With what a crash would leave: a copy of the disk.
    func copyOfDisk() -> SimulatedLog {
        var copy = self
        copy.crash(survivors: 0)
        return copy
    }

    var unsyncedCount: Int { unsynced.count }

    /// What a node that starts now is told, with at most `tail` entries of each replica.
    func recovered(tail: Int) -> RecoveredLog {
        let replicas = synced.replicas.map { replica in
            var runs: [LogPosition] = []
            var sizes = LogSizes(step: 64)
            for entry in replica.entries {
                if runs.last?.term != entry.term { runs.append(entry.position) }
                sizes.append(entry.index, payloadBytes: entry.payload.count)
            }
            return RecoveredReplica(
                tablet: replica.tablet, replica: replica.replica, hardState: replica.hardState,
                compacted: replica.compacted, termRuns: runs, lastIndex: replica.lastIndex,
                tail: Array(replica.entries.suffix(tail)), sizes: sizes)
        }
        return RecoveredLog(
            replicas: replicas.sorted { ($0.tablet, $0.replica) < ($1.tablet, $1.replica) },
            nodeRecord: synced.nodeRecord)
    }

    /// Entries as they are read back for a node that holds them no longer in memory.
    func entries(of tablet: TabletID, from: LogIndex, upTo: LogIndex, maxBytes: Int) -> [Entry] {
        guard let replica = synced.replica(of: tablet) else { return [] }
        var found: [Entry] = []
        var bytes = 0
        var index = from
        while index < upTo, let entry = replica.entry(at: index) {
            bytes += entry.payload.count
            if bytes > maxBytes, !found.isEmpty { break }
            found.append(entry)
            index += 1
        }
        return found
    }
}
