import SteleBase
import SteleRaft

/// Reads of entries: blocks are looked up under the lock, their records are read outside of it.
///
/// A segment that is being read is marked, so that its file is not used again meanwhile; if the
/// entries are dropped meanwhile, they are returned as they were when the read began. A record is
/// verified as it is when a log is opened, and each payload against the checksum in its record.
extension LogCatalog {
    /// Entries of one block that are to be read.
    private struct Run {
        var block: EntryBlock
        /// As it was when the read began, and ends where it was synced then.
        var segment: Segment
    }

    func entries(
        _ key: ReplicaKey, from: LogIndex, upTo: LogIndex, maxBytes: Int
    ) throws(LogError) -> [Entry] {
        let runs = state.withLock { state -> [Run] in
            guard let index = state.replicas[key] else { return [] }
            return Self.runs(from: from, upTo: upTo, maxBytes: maxBytes, index, &state)
        }
        defer { unmark(runs) }
        var entries: [Entry] = []
        var bytes = 0
        for run in runs {
            let end = min(upTo, run.block.next)
            try Self.read(run, of: key, from: from, upTo: end, maxBytes, &bytes, into: &entries)
            // What was not synced is not there yet, and nothing behind it.
            guard entries.last?.index == end - 1 else { break }
        }
        return entries
    }

    /// The blocks of a range, as many as surely hold so many bytes.
    private static func runs(
        from: LogIndex, upTo: LogIndex, maxBytes: Int, _ index: ReplicaIndex, _ state: inout State
    ) -> [Run] {
        var runs: [Run] = []
        var bytes = 0
        var next = from
        while next < upTo, let block = index.block(at: next), !block.isMissing,
            block.start < state.synced, let place = state.segments.index(of: block.start)
        {
            var segment = state.segments.segments[place]
            segment.end = min(segment.end, state.synced)
            state.segments.countReader(sequence: segment.sequence, by: 1)
            runs.append(Run(block: block, segment: segment))
            // The first one may be asked for from its last entry on.
            if runs.count > 1 {
                bytes += max(block.weight - Int(block.count) * EntrySlot.metadataWeight, 0)
            }
            if bytes > maxBytes { break }
            next = block.next
        }
        return runs
    }

    private func unmark(_ runs: [Run]) {
        state.withLock { state in
            for run in runs { state.segments.countReader(sequence: run.segment.sequence, by: -1) }
        }
    }

    private static func read(
        _ run: Run, of key: ReplicaKey, from: LogIndex, upTo: LogIndex, _ maxBytes: Int,
        _ bytes: inout Int, into entries: inout [Entry]
    ) throws(LogError) {
        var walk = SegmentWalk(run.segment, at: run.block.record)
        var next = max(from, run.block.first)
        while next < upTo, !walk.isFinished, walk.position <= run.block.end {
            try reachingDisk { () throws(FileError) in try walk.advance() }
            for place in walk.takePlaces(weight: .max)
            where place.key == key && place.index == next && next < upTo
                && run.block.holds(place.slot, at: next)
            {
                bytes += Int(place.slot.length)
                if bytes > maxBytes, !entries.isEmpty { return }
                entries.append(try entry(at: place, in: &walk, of: run))
                next += 1
            }
        }
        guard next < upTo, let gap = walk.firstGap else { return }
        throw .corrupt(
            file: run.segment.path, offset: gap, reason: "entry \(next) is not found")
    }

    private static func entry(
        at place: SegmentWalk.Place, in walk: inout SegmentWalk, of run: Run
    ) throws(LogError) -> Entry {
        let payload = try reachingDisk { () throws(FileError) in
            try walk.payload(of: place.slot)
        }
        guard let payload, CRC32C.of(payload) == place.slot.checksum else {
            throw .corrupt(
                file: run.segment.path, offset: Int(place.slot.position - run.segment.base),
                reason: "entry \(place.index) does not match its checksum")
        }
        return Entry(
            term: place.slot.term, index: place.index, type: place.slot.type, payload: payload)
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
            let tail = try self.tail(of: key, index, min(budget, options.tailBytesPerReplica))
            for entry in tail { budget -= entry.payload.count }
            log.replicas.append(
                RecoveredReplica(
                    tablet: key.tablet, replica: key.replica, hardState: index.hardState,
                    compacted: index.compacted, termRuns: index.termRuns,
                    lastIndex: index.lastIndex, tail: tail, sizes: index.sizes))
        }
        return log
    }

    /// The newest entries of a replica, as many as have no more payload.
    private func tail(
        of key: ReplicaKey, _ index: ReplicaIndex, _ limit: Int
    ) throws(LogError) -> [Entry] {
        var start = index.lastIndex + 1
        var bytes = 0
        for block in index.blocks.reversed() where bytes <= limit {
            start = block.first
            bytes += max(block.weight - Int(block.count) * EntrySlot.metadataWeight, 0)
        }
        var tail = try entries(key, from: start, upTo: index.lastIndex + 1, maxBytes: .max)
        bytes = 0
        if let first = tail.lastIndex(where: { entry in
            bytes += entry.payload.count
            return bytes > limit
        }) {
            tail.removeFirst(first + 1)
        }
        return tail
    }
}
