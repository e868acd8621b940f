import SteleBase
import SteleRaft

/// Reads of entries: places are looked up under the lock, bytes are read outside of it.
///
/// A segment that is being read is marked, so that its file is not used again meanwhile; if the
/// entries are dropped meanwhile, they are returned as they were when the read began. What is
/// read is verified against the checksum that was remembered when it was written.
extension LogCatalog {
    /// Adjacent payloads that one read fetches.
    struct Run: Sendable {
        var first: LogIndex
        var sequence: UInt64
        var base: UInt64
        var file: any File
        var path: String
        var slots: [EntrySlot]

        var position: UInt64 { slots[0].position }
        var end: UInt64 { slots[slots.count - 1].end }
    }

    func entries(
        _ key: ReplicaKey, from: LogIndex, upTo: LogIndex, maxBytes: Int
    ) throws(LogError) -> [Entry] {
        let runs = state.withLock { state -> [Run] in
            guard let index = state.replicas[key] else { return [] }
            let end = min(upTo, index.lastIndex + 1)
            return Self.runs(from: from, upTo: end, maxBytes: maxBytes, index, &state)
        }
        defer { unmark(runs) }
        var entries: [Entry] = []
        for run in runs { try Self.read(run, into: &entries) }
        return entries
    }

    private static func runs(
        from: LogIndex, upTo: LogIndex, maxBytes: Int, _ index: ReplicaIndex, _ state: inout State
    ) -> [Run] {
        var runs: [Run] = []
        var bytes = 0
        var next = from
        while next < upTo, let slot = index.slot(at: next), slot.end <= state.synced {
            bytes += Int(slot.length)
            if next > from, bytes > maxBytes { break }
            add(slot, of: next, to: &runs, &state.segments)
            next += 1
        }
        return runs
    }

    private static func add(
        _ slot: EntrySlot, of index: LogIndex, to runs: inout [Run], _ table: inout SegmentTable
    ) {
        if let last = runs.last, last.end == slot.position,
            last.first + UInt64(last.slots.count) == index
        {
            runs[runs.count - 1].slots.append(slot)
            return
        }
        guard let place = table.index(of: slot.position) else { return }
        let segment = table.segments[place]
        table.countReader(sequence: segment.sequence, by: 1)
        runs.append(
            Run(
                first: index, sequence: segment.sequence, base: segment.base, file: segment.file,
                path: segment.path, slots: [slot]))
    }

    private func unmark(_ runs: [Run]) {
        state.withLock { state in
            for run in runs { state.segments.countReader(sequence: run.sequence, by: -1) }
        }
    }

    private static func read(_ run: Run, into entries: inout [Entry]) throws(LogError) {
        let offset = Int(run.position - run.base)
        let length = Int(run.end - run.position)
        let bytes = try reachingDisk { () throws(FileError) in
            try run.file.bytes(at: offset, count: length)
        }
        var start = 0
        for (number, slot) in run.slots.enumerated() {
            let end = start + Int(slot.length)
            guard end <= bytes.count, CRC32C.of(bytes[start..<end]) == slot.checksum else {
                throw .corrupt(
                    file: run.path, offset: offset + start,
                    reason: "entry \(run.first + UInt64(number)) does not match its checksum")
            }
            entries.append(
                Entry(
                    term: slot.term, index: run.first + UInt64(number), type: slot.type,
                    payload: bytes[start..<end]))
            start = end
        }
    }
}

extension LogCatalog {
    /// All that a node starts from, with the newest entries of each replica.
    func recovered(_ options: LogOptions) throws(LogError) -> RecoveredLog {
        let (indices, nodeRecord) = state.withLock { ($0.replicas, $0.nodeRecord) }
        var log = RecoveredLog(nodeRecord: nodeRecord)
        var budget = options.tailBytesInTotal
        for key in indices.keys.sorted() {
            guard let index = indices[key] else { continue }
            let from = Self.tailStart(index, bytes: min(budget, options.tailBytesPerReplica))
            let tail = from > index.lastIndex ? [] : try entries(
                key, from: from, upTo: index.lastIndex + 1, maxBytes: .max)
            for entry in tail { budget -= entry.payload.count }
            log.replicas.append(
                RecoveredReplica(
                    tablet: key.tablet, replica: key.replica, hardState: index.hardState,
                    compacted: index.compacted, termRuns: index.termRuns,
                    lastIndex: index.lastIndex, tail: tail))
        }
        return log
    }

    private static func tailStart(_ index: ReplicaIndex, bytes limit: Int) -> LogIndex {
        var start = index.lastIndex + 1
        var bytes = 0
        while start > index.firstIndex, let slot = index.slot(at: start - 1) {
            bytes += Int(slot.length)
            if bytes > limit { break }
            start -= 1
        }
        return start
    }
}
