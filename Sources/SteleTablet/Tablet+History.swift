import SteleBase
import SteleClock
import SteleEngine

/// How a tablet gives up its past: the leader raises the watermark, and drops deletions and ranges
/// that nothing at or above it can see.
///
/// Invariants:
/// - Nothing is written at or below a watermark, nor was anything evaluated at or below one when it
///   was proposed: the floor is raised to it first, and it stays below all commands in flight.
/// - A deletion or a range is dropped only by an entry behind one that raised the watermark to or
///   above it, so that no read that could tell is served any more.
struct HistoryState {
    /// The highest watermark that this leader has put into the log.
    var proposed = Timestamp.zero
    /// Where this leader deleted keys since the last watermark that it proposed.
    var fresh = DeletionSpans()
    /// Where keys were deleted earlier, and the timestamp that none of those deletions is above; by
    /// age.
    var aging: [(spans: DeletionSpans, upTo: Timestamp)] = []
    /// What is being swept, the next range last.
    var sweep: [KeyRange] = []
    /// Whether a slice of it is being looked at.
    var isLooking = false
    /// The watermark up to which discarded ranges were looked for.
    var discardedUpTo = Timestamp.zero

    /// So many generations of deletions are told apart.
    static let generations = 16
}

/// A slice of a tablet to be looked through, away from the event loop.
package struct HistorySweep: Sendable {
    package var tablet: TabletID
    /// The term of the leader that asks.
    package var term: UInt64
    package var range: KeyRange
    /// A watermark of the tablet.
    package var watermark: Timestamp

    /// Keys that one slice passes.
    private static let keys = 4_000

    /// Finds the deletions of the slice that hide nothing.
    package func look(in engine: any EngineReader) throws(EngineError) -> ObsoleteDeletions {
        let keys = faultPoint("tablet: sweep little") ? 1 : Self.keys
        do {
            return try engine.obsoleteDeletions(in: range, upTo: watermark, keys: keys)
        } catch {
            guard error.code == .belowWatermark else { throw error }
            // The watermark was raised meanwhile: the slice is looked at again, at that one.
            var nothing = ObsoleteDeletions()
            nothing.resumeKey = range.start
            return nothing
        }
    }
}

extension Tablet {
    /// Looks after the past, as the leader that serves; `wanted` is how far it may be given up.
    ///
    /// - Parameter step: the least that a watermark rises by, in microseconds.
    /// - Returns: a slice that is to be looked through next.
    package func lookAfterHistory(upTo wanted: Timestamp, step: UInt64) -> HistorySweep? {
        // Between the parts of a command there is nothing but writes.
        guard isServing, group.leadTransferee == .none, upload == nil else { return nil }
        proposeWatermark(wanted, step: step)
        dropDiscarded()
        return nextSweep()
    }

    private func proposeWatermark(_ wanted: Timestamp, step: UInt64) {
        // Once it is above everything written there is nothing left to give up.
        let isDue =
            wanted >= history.proposed.advanced(byMicroseconds: step)
            && (history.proposed < readLow || !inFlight.isEmpty)
        guard isDue else { return }
        var mark = min(wanted, leaseBound)
        if let first = inFlight.first { mark = min(mark, first.timestamp.previous) }
        // What an earlier leader proposed was applied since.
        guard mark > max(history.proposed, watermark) else { return }
        // An idle tablet's floor may be older than what is given up now.
        floor = max(floor, mark)
        clock.hybrid.advance(to: floor)
        let command = TabletCommand(
            kind: .watermark, generation: descriptor.generation, timestamp: mark)
        guard (try? group.propose([command.payload])) != nil else { return }
        history.proposed = mark
        seal()
    }

    /// Puts this leader's latest deletions aside until a watermark has passed all of them.
    private func seal() {
        guard !history.fresh.isEmpty else { return }
        if history.aging.count == HistoryState.generations {
            history.fresh.merge(history.aging.removeLast().spans)
        }
        history.aging.append((history.fresh, max(readLow, inFlight.last?.timestamp ?? .zero)))
        history.fresh = DeletionSpans()
    }

    /// Begins or goes on to look through where deletions lie that the watermark has passed.
    private func nextSweep() -> HistorySweep? {
        guard !history.isLooking else { return nil }
        if history.sweep.isEmpty, let oldest = history.aging.first, oldest.upTo <= watermark {
            history.aging.removeFirst()
            history.sweep = oldest.spans.ranges.reversed()
        }
        guard let range = history.sweep.popLast() else { return nil }
        history.isLooking = true
        return HistorySweep(
            tablet: descriptor.id, term: leadingTerm, range: range, watermark: watermark)
    }

    /// Takes in what was found in a slice, and drops it.
    package func swept(_ sweep: HistorySweep, _ found: ObsoleteDeletions) {
        guard sweep.term == leadingTerm, history.isLooking else { return }
        history.isLooking = false
        if !found.deletions.isEmpty {
            mark("tablet: deletions that hide nothing are dropped")
            var mutations = MutationList()
            for deletion in found.deletions {
                mutations.dropVersions(of: deletion.key, upTo: deletion.timestamp)
            }
            guard proposeCollection(mutations, at: sweep.watermark) else {
                return history.sweep.append(sweep.range)
            }
        }
        if let next = found.resumeKey {
            history.sweep.append(KeyRange(start: next, end: sweep.range.end))
        }
    }

    /// Clears ranges that were discarded at or below the watermark, each once.
    private func dropDiscarded() {
        guard watermark > history.discardedUpTo else { return }
        let marks = DiscardedRange.marks.intersection(descriptor.range)
        var page = ScanPage()
        do {
            try engine.scan(
                marks, at: watermark, limits: ScanLimits(rows: Self.discardedAtATime, keys: 100),
                reverse: false, into: &page)
        } catch {
            if error.isFatal { output.failure = error }
            return
        }
        var mutations = MutationList()
        for row in page.rows {
            let range = DiscardedRange.range(mark: row.key, row.value)
            if descriptor.range.contains(range) { mutations.clear(range) }
            mutations.dropVersions(of: Array(row.key), upTo: watermark)
        }
        if !mutations.isEmpty {
            mark("tablet: a discarded range is cleared")
            guard proposeCollection(mutations, at: watermark) else { return }
        }
        // What is left is found when the watermark is raised again.
        history.discardedUpTo = watermark
    }

    private static let discardedAtATime = 16

    /// Should it come to nothing later, the next leader looks through everything.
    private func proposeCollection(_ mutations: MutationList, at watermark: Timestamp) -> Bool {
        if upload != nil { return false }
        let command = TabletCommand(
            kind: .collect, generation: descriptor.generation, timestamp: watermark,
            mutations: mutations.bytes[...])
        return (try? group.propose([command.payload])) != nil
    }

    /// A new leader knows nothing of where earlier ones deleted.
    func takeUpHistory() {
        floor = max(floor, watermark)
        history = HistoryState()
        history.proposed = watermark
        history.aging = [(DeletionSpans(descriptor.range), readLow)]
    }

    /// Notes where this leader deletes, from the first to the last of many keys at once.
    ///
    /// - Parameter writes: by ascending key.
    func noteDeletions(_ writes: [TabletRequest.CommitRequest.Write]) {
        if writes.count <= Self.notedSingly {
            for write in writes where write.value == nil { history.fresh.insert(write.key) }
        } else if let first = writes.first(where: { $0.value == nil }),
            let last = writes.last(where: { $0.value == nil })
        {
            history.fresh.insert(KeyRange(start: first.key, end: last.key + [0]))
        }
    }

    private static let notedSingly = 64

    /// What a command does to the store of a replica.
    package static func mutations(
        of command: TabletCommand, tablet: TabletDescriptor, replica: ReplicaID
    ) -> ArraySlice<UInt8> {
        guard command.kind == .watermark else { return command.mutations }
        var mutations = MutationList()
        mutations.raise(
            Watermark(timestamp: command.timestamp, range: tablet.range), tablet: tablet.id,
            replica: replica)
        return mutations.bytes[...]
    }

    /// A watermark was applied.
    func raised(to mark: Timestamp) {
        watermark = max(watermark, mark)
        floor = max(floor, watermark)
    }
}

/// A range whose rows are of no more use after the commit that says so.
///
/// Said by a key of its own, `0x08` and the range's start, whose value is the range's end. Nobody
/// reads or writes the range at a later timestamp.
package enum DiscardedRange {
    package static let prefix: UInt8 = 0x08
    static let marks = KeyRange(start: [prefix], end: [prefix + 1])

    package static func key(of range: KeyRange) -> KeyBytes { [prefix] + range.start }

    static func range(mark key: ArraySlice<UInt8>, _ value: ArraySlice<UInt8>) -> KeyRange {
        KeyRange(start: Array(key.dropFirst()), end: Array(value))
    }
}
