import SteleBase
import SteleClock
import SteleEngine
import SteleRaft

/// How far the validation of what a commit relies on has come. It may take several turns.
///
/// Invariants:
/// - Nothing that the commit relies on was written above its snapshot and at or below `upTo`, except
///   maybe where `walk` has not been yet.
/// - All that lies at or below `upTo` was applied before the walk began, so wherever the walk comes
///   later, it sees that too.
struct ReadValidation {
    var upTo: Timestamp
    /// What the engine still has to be asked about; nil if nothing.
    var walk: Walk?

    struct Walk: Equatable {
        var range = 0
        var resumeKey: KeyBytes?
        var point = 0
    }
}

/// What a commit relies on not to have changed since its snapshot.
///
/// Reads are in ascending order; ranges do not overlap.
struct CommitReads {
    let keys: [KeyBytes]
    let ranges: [KeyRange]
    /// Written keys, if the first committer wins.
    let writes: [TabletRequest.CommitRequest.Write]

    init(_ commit: TabletRequest.CommitRequest) {
        keys = commit.readKeys
        ranges = commit.readRanges
        writes = commit.firstCommitterWins ? commit.writes : []
    }

    var isEmpty: Bool { keys.isEmpty && ranges.isEmpty && writes.isEmpty }
    var pointCount: Int { keys.count + writes.count }

    func point(_ place: Int) -> KeyBytes {
        place < keys.count ? keys[place] : writes[place - keys.count].key
    }

    func containsPoint(_ key: KeyBytes) -> Bool {
        if !keys.isEmpty {
            let place = Self.lowerBound(keys.count) { keys[$0].precedes(key) }
            if place < keys.count, keys[place] == key { return true }
        }
        return !writes.isEmpty && writes.contains(key)
    }

    func rangesContain(_ key: KeyBytes) -> Bool {
        // The last range that does not begin behind the key.
        let place = Self.lowerBound(ranges.count) { !key.precedes(ranges[$0].start) }
        return place > 0 && ranges[place - 1].contains(key)
    }

    /// Whether a large command may have written any of it; of very many reads it is enough that they
    /// lie between its first and last key.
    func meet(_ other: [TabletRequest.CommitRequest.Write]) -> Bool {
        let span = other.keySpan
        if ranges.count <= Self.few {
            if ranges.contains(where: other.overlap) { return true }
        } else if ranges.contains(where: span.overlaps) {
            return true
        }
        if keys.count <= Self.few {
            if keys.contains(where: other.contains) { return true }
        } else {
            let place = Self.lowerBound(keys.count) { keys[$0].precedes(span.start) }
            if place < keys.count, span.contains(keys[place]) { return true }
        }
        if writes.count <= Self.few { return writes.contains { other.contains($0.key) } }
        return writes.keySpan.overlaps(span)
    }

    /// So many can be looked at one by one.
    static let few = 1_024

    private static func lowerBound(_ count: Int, _ precedes: (Int) -> Bool) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if precedes(middle) { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

/// Validation of what a commit relies on (DESIGN, section 5, point 3).
///
/// What was written since the snapshot is among the recent writes, as a rule, and nothing else is
/// looked at. Below their low-water mark the engine is asked, a slice in a turn; what is written
/// meanwhile is among the recent writes again, and is looked at in every turn of the walk, so that
/// at its end nothing is missing.
extension Tablet {
    enum Verdict {
        case valid
        case changed(KeyBytes)
        /// A command in flight writes it.
        case latched(LogIndex)
        /// To go on in the next turn.
        case unfinished
    }

    /// Everything at or below this that was evaluated here is applied.
    var settled: Timestamp { inFlight.first?.timestamp.previous ?? recent.newestTimestamp }

    /// How long a write is remembered, in microseconds; most transactions are over sooner.
    private static let writeMemory: UInt64 = 30_000_000

    /// Lets go of old writes, so that a tablet that is idle costs nothing.
    package func forgetOldWrites() {
        let now = clock.physical
        guard recent.count > 0, now > Self.writeMemory else { return }
        let old = Timestamp(microseconds: now - Self.writeMemory)
        if recent[0].timestamp <= old { recent.forget(upTo: min(old, settled)) }
    }

    /// Goes on with a validation. If the verdict is that all is valid, it is so at this moment.
    func validate(
        _ reads: CommitReads, since snapshot: Timestamp, _ progress: inout ReadValidation?
    ) throws(EngineError) -> Verdict {
        if reads.isEmpty { return .valid }
        if progress == nil, recent.lowWater <= snapshot {
            progress = ReadValidation(upTo: snapshot)
        }
        var validation = progress ?? ReadValidation(upTo: settled, walk: .init())
        if validation.upTo < recent.lowWater {
            mark("tablet: a validation begins anew")
            validation = ReadValidation(upTo: settled, walk: .init())
        }
        defer { progress = validation }
        // First: a command that is not among the recent writes would be stepped over by catching up
        // with a later one that is. Once applied, it shows in their low-water mark.
        if inFlight.hasLarge, let index = inFlight.largeWriter(where: reads.meet) {
            return .latched(index)
        }
        if let verdict = catchUp(reads, &validation) { return verdict }
        if validation.walk != nil {
            return try walk(reads, since: snapshot, &validation)
        }
        return .valid
    }

    /// Whether a validation goes on in the next turn. Some steps are taken at once, however late in
    /// the turn it is: most commits need no more.
    private func isSliceOver(_ steps: inout Int) -> Bool {
        steps += 1
        if steps > 1, faultPoint("tablet: a validation takes turns") { return true }
        return steps > 16 && work.isLongWorkOver
    }

    /// Looks for what was read among the writes that came later; nil if nothing was found.
    private func catchUp(_ reads: CommitReads, _ validation: inout ReadValidation) -> Verdict? {
        func hit(_ key: KeyBytes, _ timestamp: Timestamp) -> Verdict {
            inFlight.index(at: timestamp).map { .latched($0) } ?? .changed(key)
        }
        var place = recent.place(above: validation.upTo)
        guard place < recent.count else { return nil }
        // Few points are looked up one by one; for many, all writes are looked up among them.
        let areFew = reads.pointCount <= min(recent.keyCount(from: place), CommitReads.few)
        if areFew {
            work.add(reads.pointCount, at: TurnWork.Cost.checkedKey)
            for point in 0..<reads.pointCount {
                let key = reads.point(point)
                if let newest = recent.newestWrite(of: key), newest > validation.upTo {
                    return hit(key, newest)
                }
            }
        }
        if areFew, reads.ranges.isEmpty {
            validation.upTo = recent.newestTimestamp
            return nil
        }
        var steps = 0
        while place < recent.count {
            let command = recent[place]
            if isSliceOver(&steps) { return .unfinished }
            work.add(command.keys.count, at: TurnWork.Cost.checkedKey)
            for key in command.keys
            where reads.rangesContain(key) || !areFew && reads.containsPoint(key) {
                return hit(key, command.timestamp)
            }
            validation.upTo = command.timestamp
            place += 1
        }
        return nil
    }

    /// Asks the engine about the next part of what was read.
    private func walk(
        _ reads: CommitReads, since snapshot: Timestamp, _ validation: inout ReadValidation
    ) throws(EngineError) -> Verdict {
        mark("tablet: a validation asks the engine")
        guard var walk = validation.walk else { return .valid }
        defer { validation.walk = walk }
        var steps = 0
        while walk.range < reads.ranges.count {
            if isSliceOver(&steps) { return .unfinished }
            var range = reads.ranges[walk.range]
            if let resumeKey = walk.resumeKey { range.start = resumeKey }
            let keys =
                faultPoint("tablet: a short search for changes")
                ? 1
                : min(work.room(at: TurnWork.Cost.scannedKey, isLong: true), Limits.scanPageKeys)
            let search = try reader.firstChange(in: range, above: snapshot, keys: keys)
            work.add(search.visited, at: TurnWork.Cost.scannedKey)
            work.add(1, at: TurnWork.Cost.readKey)
            if let key = search.changedKey { return .changed(key) }
            walk.resumeKey = search.resumeKey
            if walk.resumeKey == nil { walk.range += 1 }
        }
        while walk.point < reads.pointCount {
            if isSliceOver(&steps) { return .unfinished }
            let key = reads.point(walk.point)
            work.add(1, at: TurnWork.Cost.readKey)
            if let version = try reader.newestVersion(of: key, at: .max),
                version.timestamp > snapshot
            {
                return .changed(key)
            }
            walk.point += 1
        }
        return .valid
    }
}
