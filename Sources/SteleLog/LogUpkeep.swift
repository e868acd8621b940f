import SteleBase
import SteleRaft

/// Entries that are being copied out of the oldest segment, a slice at a time.
struct MoveList {
    /// The position below which everything is to be moved.
    var end: UInt64 = 0
    var entries: [(key: ReplicaKey, index: LogIndex)] = []
    var next = 0

    var isFinished: Bool { next == entries.count }
}

/// Gives segments back that nothing needs, oldest first.
///
/// Only entries can make an old segment needed, for everything else is repeated at the start of
/// the newest one. A segment without live entries goes at once. One with a few, say of a tablet
/// that is hardly ever written, would hold up all those behind it; so when less than half of the
/// log is live, what lives in the oldest segment is copied to the end. That costs at most one byte
/// copied for each byte by which files grew, be it records or, when a log is opened again and again,
/// the zeros of segments that hardly anything was written to.
extension LogWriter {
    /// Does one bounded piece of upkeep; returns whether more is due. Call it after `sync`.
    package func upkeep() throws(LogError) -> Bool {
        if let failure { throw failure }
        try reclaim()
        if wantsZeros {
            try extendZeros(ifBelow: options.zeroedBytes)
            try syncFile()
            return false
        }
        if moving.isFinished, !startMoving() { return false }
        try moveSlice()
        if moving.isFinished { try vouchForCopies() }
        try reclaim()
        return !moving.isFinished
    }

    private func reclaim() throws(LogError) {
        while let segment = removableSegment() {
            guard let removed = takeOldest(segment.sequence) else { return }
            let bytes = try attempt { () throws(FileError) in try giveBack(removed) }
            catalog.state.withLock { state in
                state.fileBytes -= bytes
                state.statistics.reclaimedSegments += 1
            }
        }
    }

    private func removableSegment() -> Segment? {
        catalog.state.withLock { state in
            guard let oldest = state.segments.closed.first else { return nil }
            return oldest.liveEntries == 0 ? oldest : nil
        }
    }

    private func takeOldest(_ sequence: UInt64) -> Segment? {
        catalog.state.withLock { state in
            guard let oldest = state.segments.oldest, oldest.sequence == sequence else {
                return nil
            }
            state.segments.removeOldest()
            return oldest
        }
    }

    /// Puts a file aside or removes it; returns by how many bytes the directory shrinks.
    private func giveBack(_ segment: Segment) throws(FileError) -> Int {
        let bytes = try segment.file.size()
        let reusable = segment.readers == 0 && bytes <= options.segmentBytes
        if reusable, spares.count < options.spareSegments {
            let path = directory + "/" + LogFormat.spareName(sequence: segment.sequence)
            try files.rename(segment.path, to: path)
            try files.syncDirectory(directory)
            spares.append(Spare(path: path, bytes: bytes))
            return 0
        }
        mark("log: a segment file is removed")
        try files.remove(segment.path)
        try files.syncDirectory(directory)
        return bytes
    }

    /// Lists what lives in the oldest segment if the log is worth cleaning.
    private func startMoving() -> Bool {
        let list = catalog.state.withLock { state -> MoveList? in
            let closed = state.segments.closed
            guard closed.count >= options.segmentsBeforeMoving, let oldest = closed.first else {
                return nil
            }
            let live = closed.reduce(0) { $0 + $1.liveBytes }
            let total = closed.reduce(0) { $0 + $1.fileBytes }
            guard live < total / 2 else { return nil }
            var list = MoveList(end: oldest.end)
            for key in state.replicas.keys.sorted() {
                state.replicas[key]?.forEachSlot(below: list.end) { index, _ in
                    list.entries.append((key, index))
                }
            }
            return list
        }
        moving = list ?? MoveList()
        return list != nil
    }

    /// Copies the next entries of the list as one record, and points to it once it is durable.
    private func moveSlice() throws(LogError) {
        var parts: [OutgoingPart] = []
        var bytes = 0
        let most = faultPoint("log: entries are moved one by one") ? 1 : options.movedBytes
        while !moving.isFinished, bytes < most {
            let (key, index) = moving.entries[moving.next]
            moving.next += 1
            let slot = catalog.state.withLock { $0.replicas[key]?.slot(at: index) }
            guard let slot, slot.position < moving.end else { continue }
            bytes += slot.weight
            do throws(LogError) {
                for entry in try catalog.entries([(index, slot)]) {
                    add(entry, of: key, to: &parts)
                }
            } catch {
                throw fail(error)
            }
        }
        if parts.isEmpty { return }
        mark("log: entries are copied forward")
        let batch = LogBatch(parts: parts.map(\.part))
        try makeRoom(for: RecordEncoder.bound(batch))
        let placed = encode(parts)
        try write()
        try sync()
        catalog.state.withLock { state in
            for part in placed {
                state.apply(part)
                state.statistics.movedEntries += part.slots.count
            }
        }
    }

    /// Writes that the copies were synced, before the originals go: otherwise damage to the last
    /// copy would look like a write that was cut short, and its entries would be gone in silence.
    private func vouchForCopies() throws(LogError) {
        try makeRoom(for: LogFormat.alignment)
        _ = encode([])
        try write()
        try sync()
    }

    private func add(_ entry: Entry, of key: ReplicaKey, to parts: inout [OutgoingPart]) {
        if let last = parts.last?.part, last.tablet == key.tablet, last.replica == key.replica,
            let before = last.entries.last, before.index + 1 == entry.index
        {
            parts[parts.count - 1].part.entries.append(entry)
            return
        }
        let part = LogBatch.Part(tablet: key.tablet, replica: key.replica, entries: [entry])
        parts.append(OutgoingPart(part: part, moved: true))
    }
}
