import SteleBase
import SteleRaft

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
    ///
    /// - Parameter isIdle: nobody waits. Otherwise copying only keeps ahead of what is written.
    package func upkeep(isIdle: Bool = true) throws(LogError) -> Bool {
        if let failure { throw failure }
        if walk == nil, !wantsZeros, !hasSegmentToFree { return false }
        try reclaim()
        if wantsZeros {
            try extendZeros(ifBelow: options.zeroedBytes)
            try syncFile()
            return walk != nil
        }
        try copyForward(isIdle: isIdle)
        try reclaim()
        return walk != nil
    }

    private func reclaim() throws(LogError) {
        try vouchForLastCopies()
        while let segment = catalog.state.withLock(\.segments.removable) {
            guard let removed = takeOldest(segment.sequence) else { return }
            let bytes = try attempt { () throws(FileError) in try giveBack(removed) }
            catalog.state.withLock { state in
                state.fileBytes -= bytes
                state.statistics.reclaimedSegments += 1
            }
        }
    }

    /// Whether the oldest segment can be given back, or is worth copying out of.
    private var hasSegmentToFree: Bool {
        catalog.state.withLock { state in
            state.segments.removable != nil
                || state.segments.worthCopying(from: options.segmentsBeforeMoving) != nil
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
}
