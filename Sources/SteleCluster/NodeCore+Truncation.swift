import SteleBase
import SteleEngine
import SteleRaft
import SteleTablet

/// Flushes of the store, and the entries that the log may give up after them.
extension NodeCore {
    func requestFlush() {
        guard !isFlushing,
            engine.unflushedBytes > configuration.flushThreshold
                || faultPoint("cluster: flush early") && engine.unflushedBytes > 0
        else { return }
        isFlushing = true
        effects.flush = true
    }

    /// The flush that was asked for has ended; see ``frontierMoved(_:)``.
    package func flushed(_ frontier: [AppliedState]) {
        isFlushing = false
        frontierMoved(frontier)
    }

    /// More is durable in the engine than before, whoever caused that.
    ///
    /// - Parameter frontier: what the engine says is durable, by tablet and replica.
    package func frontierMoved(_ frontier: [AppliedState]) {
        var rest = frontier[...]
        for index in tablets.indices {
            let tablet = tablets[index]
            rest = rest.drop { $0.tablet < tablet.descriptor.id }
            let own = rest.prefix { $0.tablet == tablet.descriptor.id }
            guard let state = own.first(where: { $0.replica == tablet.replica }) else { continue }
            invariant(
                state.index <= tablet.applied.index,
                "tablet \(tablet.descriptor.id): index \(state.index) is durable, but only "
                    + "\(tablet.applied.index) applied")
            states[index].flushedIndex = max(states[index].flushedIndex, state.index)
            truncate(index)
        }
    }

    /// Gives up entries that are flushed here and durable on all replicas: after each flush, or once
    /// there are many, whichever of the two conditions is the one that was waited for.
    func truncate(_ index: Int) {
        let tablet = tablets[index]
        let position = min(states[index].flushedIndex, states[index].heldByAll)
        guard position >= tablet.log.firstIndex + configuration.minimumTruncation
            || position == states[index].flushedIndex,
            position >= tablet.log.firstIndex, position > states[index].truncatedTo,
            position <= tablet.log.lastIndex, let term = try? tablet.log.term(at: position)
        else { return }
        states[index].truncatedTo = position
        states[index].unwritten.append(
            PendingAppend.Part(
                tablet: index, compacted: LogPosition(index: position, term: term)))
    }

    /// Entries that a look-up missed were read back from disk.
    package func entriesFetched(_ entries: [Entry], of tablet: TabletID) {
        guard let tablet = tablets.first(where: { $0.descriptor.id == tablet }) else { return }
        tablet.log.install(fetched: entries)
        tablet.group.entriesAvailable()
    }
}
