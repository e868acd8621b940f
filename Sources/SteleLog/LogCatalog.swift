import SteleBase
import SteleRaft

/// What a log has done since it was opened.
package struct LogStatistics: Hashable, Sendable {
    /// Batches given to the log.
    package var appends = 0
    /// Records written, those of the log's own upkeep included.
    package var records = 0
    /// Calls that made written bytes durable.
    package var syncs = 0
    /// Bytes of records and headers written.
    package var bytes = 0
    /// Segments whose file was given back or put aside to be used again.
    package var reclaimedSegments = 0
    /// Entries copied out of old segments to free those.
    package var movedEntries = 0
}

/// The in-memory side of a log: its segments, where every live entry lies, all hard states.
///
/// One thread changes it, the one that writes; any thread reads. The lock is held for look-ups
/// and updates in memory only, never for a read or write of a file.
final class LogCatalog: Sendable {
    struct State: Sendable {
        var segments = SegmentTable()
        var replicas: [ReplicaKey: ReplicaIndex] = [:]
        var nodeRecord: [UInt8]?
        /// Everything below this position is durable; readers see nothing above it.
        var synced: UInt64 = 0
        /// The total length of all files, those kept to be used again included.
        var fileBytes = 0
        var statistics = LogStatistics()

        mutating func apply(_ part: LogRecord.Part) {
            if part.isRemoval {
                // The record outlives the entries that it voids, for segments leave oldest first.
                if var gone = replicas.removeValue(forKey: part.key) { gone.removeAll(&segments) }
                return mark("log: a replica is removed")
            }
            replicas[part.key, default: ReplicaIndex()].apply(part, &segments)
        }
    }

    let state: Locked<State>

    init(_ state: sending State) { self.state = Locked(state) }

    /// Prepares a part for encoding: makes explicit what depends on the present state.
    func resolve(_ part: LogBatch.Part) -> OutgoingPart {
        state.withLock { state in
            let key = ReplicaKey(tablet: part.tablet, replica: part.replica)
            return Self.resolve(part, state.replicas[key] ?? ReplicaIndex())
        }
    }

    private static func resolve(_ part: LogBatch.Part, _ index: ReplicaIndex) -> OutgoingPart {
        var outgoing = OutgoingPart(part: part)
        var last = index.lastIndex
        if let compacted = part.compacted {
            if compacted.index <= index.compacted.index {
                outgoing.part.compacted = nil
            } else {
                let known = index.term(at: compacted.index)
                outgoing.discards = known != compacted.term
                last = outgoing.discards ? compacted.index : last
                if outgoing.discards { mark("log: a compaction voids what lies above it") }
            }
        }
        if let first = part.entries.first, let final = part.entries.last {
            invariant(
                first.index <= last + 1,
                "entries of \(part.tablet) \(part.replica) from \(first.index) leave a gap: "
                    + "the last one before is \(last)")
            invariant(
                final.index == first.index + UInt64(part.entries.count - 1),
                "entries of \(part.tablet) \(part.replica) are not contiguous")
        }
        return outgoing
    }

    /// Everything but entries, to open a new segment with, by ascending tablet and replica.
    func checkpoint() -> (parts: [OutgoingPart], nodeRecord: [UInt8]?) {
        state.withLock { state in
            let keys = state.replicas.keys.sorted()
            let parts = keys.compactMap { key -> OutgoingPart? in
                guard let index = state.replicas[key] else { return nil }
                let compacted = index.compacted.index > 0 ? index.compacted : nil
                return OutgoingPart(
                    part: LogBatch.Part(
                        tablet: key.tablet, replica: key.replica, hardState: index.hardState,
                        compacted: compacted),
                    last: index.isEmpty ? nil : index.lastIndex)
            }
            return (parts, state.nodeRecord)
        }
    }
}
