import SteleBase
import SteleRaft

/// Copies what lives in the oldest segment to the end of the log, a slice at a time.
///
/// The segment's records are gone through in the order of the file, and an entry is copied if the
/// catalogue still has it at the very place that its record says. So nothing needs to be listed
/// beforehand, and what the replicas hold elsewhere costs nothing.
///
/// Whoever waits for a commit waits for a slice at most, and hardly ever for one: while callers
/// write, twice as many bytes are passed as they have written. That is enough. Less than half of
/// what is passed lives, over a round through all segments, and is written again; so at least as
/// much is given back as callers write. The rest is done as soon as nobody writes.
extension LogWriter {
    private static let passedForEachWritten = 2

    /// Copies a slice if there is something to copy and it is time to.
    func copyForward(isIdle: Bool) throws(LogError) {
        walkCredit += Self.passedForEachWritten * Int(written - credited)
        // The copies themselves, however, give no credit.
        defer { credited = written }
        // A compaction may have been faster than the copying.
        if let walk, walk.segment.sequence != catalog.oldestSequence { self.walk = nil }
        if walk == nil {
            let count = options.segmentsBeforeMoving
            let oldest = catalog.state.withLock { $0.segments.worthCopying(from: count) }
            guard let oldest else { return }
            walk = SegmentWalk(oldest)
            walkCredit = 0
        }
        guard isIdle || walkCredit > 0, var walk else { return }
        // Held once only, so that reading changes it in place.
        self.walk = nil
        let before = walk.offset
        try copySlice(&walk)
        walkCredit -= walk.offset - before
        if walk.isFinished { try finish(walk) } else { self.walk = walk }
    }

    /// Copies what lives in the next records as one record, and points to it once it is durable.
    private func copySlice(_ walk: inout SegmentWalk) throws(LogError) {
        var copies = Copies()
        do throws(LogError) {
            try collect(&copies, from: &walk)
        } catch {
            throw fail(error)
        }
        if copies.parts.isEmpty { return }
        mark("log: entries are copied forward")
        walk.hasCopies = true
        try makeRoom(for: RecordEncoder.bound(LogBatch(parts: copies.parts.map(\.part))))
        let placed = encode(copies.parts)
        try write()
        try sync()
        catalog.state.withLock { state in
            for part in placed {
                state.apply(part)
                state.statistics.movedEntries += part.slots.count
            }
        }
    }

    /// Reads records until enough has been read and found to live.
    private func collect(
        _ copies: inout Copies, from walk: inout SegmentWalk
    ) throws(LogError) {
        let most = faultPoint("log: entries are moved one by one") ? 1 : options.movedBytes
        let before = walk.bytesRead
        while copies.weight + walk.bytesRead - before < most, !walk.isFinished {
            if !walk.hasPlaces {
                try reachingDisk { () throws(FileError) in try walk.advance() }
            }
            for place in catalog.living(walk.takePlaces(weight: most - copies.weight)) {
                copies.add(try entry(at: place, in: &walk), of: place.key)
                copies.weight += place.slot.weight
            }
        }
    }

    private func entry(
        at place: SegmentWalk.Place, in walk: inout SegmentWalk
    ) throws(LogError) -> Entry {
        let payload = try reachingDisk { () throws(FileError) in
            try walk.payload(of: place.slot)
        }
        guard let payload, CRC32C.of(payload) == place.slot.checksum else {
            throw .corrupt(
                file: walk.segment.path, offset: Int(place.slot.position - walk.segment.base),
                reason: "entry \(place.index) does not match its checksum")
        }
        return Entry(
            term: place.slot.term, index: place.index, type: place.slot.type, payload: payload)
    }

    /// Makes sure that nothing was missed and that the copies are vouched for.
    private func finish(_ walk: SegmentWalk) throws(LogError) {
        let missed = catalog.state.withLock { $0.segments.oldest?.liveEntries ?? 0 }
        if missed > 0 {
            throw fail(
                .corrupt(
                    file: walk.segment.path, offset: walk.firstGap ?? 0,
                    reason: "\(missed) entries are not found, for their records are bad"))
        }
        try vouchForCopies()
    }

    /// The rest of a segment need not be gone through once nothing lives in it, but what was copied
    /// out of it is vouched for before it is given back.
    func vouchForLastCopies() throws(LogError) {
        guard let walk, walk.hasCopies, walk.segment.sequence == catalog.oldestSequence,
            catalog.state.withLock({ $0.segments.oldest?.liveEntries }) == 0
        else { return }
        self.walk = nil
        try vouchForCopies()
    }

    /// Writes that the copies were synced, before the originals go: otherwise damage to the last
    /// copy would look like a write that was cut short, and its entries would be gone in silence.
    private func vouchForCopies() throws(LogError) {
        try makeRoom(for: LogFormat.alignment)
        _ = encode([])
        try write()
        try sync()
    }
}

/// Entries to be copied, as parts of a record.
private struct Copies {
    private(set) var parts: [OutgoingPart] = []
    var weight = 0
    /// The last part of each replica.
    private var lastPart: [ReplicaKey: Int] = [:]

    /// Adds an entry to the last part of its replica if it continues that, else to one of its own.
    mutating func add(_ entry: Entry, of key: ReplicaKey) {
        if let number = lastPart[key],
            let before = parts[number].part.entries.last, before.index + 1 == entry.index
        {
            parts[number].part.entries.append(entry)
            return
        }
        lastPart[key] = parts.count
        let part = LogBatch.Part(tablet: key.tablet, replica: key.replica, entries: [entry])
        parts.append(OutgoingPart(part: part, moved: true))
    }
}

extension LogCatalog {
    /// The sequence of the oldest segment.
    fileprivate var oldestSequence: UInt64? { state.withLock { $0.segments.oldest?.sequence } }

    /// Those of the entries that still lie where their record says.
    fileprivate func living(_ places: ArraySlice<SegmentWalk.Place>) -> [SegmentWalk.Place] {
        state.withLock { state in
            places.filter { state.replicas[$0.key]?.holds($0.slot, at: $0.index) ?? false }
        }
    }
}
