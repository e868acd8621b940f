import SteleBase
import SteleEngine
import SteleRaft
import SteleTablet

/// Flushes of the store, and the entries that the log may give up after them.
///
/// A log trails what its store has flushed, always, and what the other replicas hold, within a
/// budget: a replica on a node that is down is waited for until the tablet's log is too long, one
/// on a live node until the logs of all tablets are. Who is further back is outrun: it follows, and
/// gives its votes and leases as before, but cannot be caught up from this log any more.
///
/// Invariant: what a quorum does not hold is never given up, for nothing is flushed before it is
/// committed.
extension NodeCore {
    // MARK: Flushes

    func requestFlush() {
        guard !isFlushing,
            engine.unflushedBytes > configuration.flushThreshold || wantsFlush
                || faultPoint("cluster: flush early") && engine.unflushedBytes > 0
        else { return }
        isFlushing = true
        wantsFlush = false
        for tablet in tablets { tablet.droppedBytes = 0 }
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

    /// Scans pass what was dropped one by one until a flush, and the compaction that follows when
    /// there is much of it: so many bytes of names of dropped versions, some thousands of them.
    private static let droppedBytes = 256 << 10

    // MARK: Budgets

    /// A leader tells all replicas up to where the log is kept for nobody.
    func shareTruncation(_ index: Int) {
        let tablet = tablets[index]
        guard tablet.group.isLeader else { return }
        let cut = tablet.log.sizes.cut(leaving: configuration.tabletLogBytes)
        var kept = tablet.log.lastIndex
        var lost: [NodeID] = []
        for progress in tablet.group.progress {
            guard let node = tablet.descriptor.node(of: progress.id) else { continue }
            if isOutrun(progress, node, tablet) {
                lost.append(node)
            } else {
                kept = min(kept, isLive(node) ? progress.match : max(progress.match, cut))
            }
        }
        shareOutrun(lost, of: tablet.descriptor.id)
        kept = max(kept, states[index].notKept)
        // Repeated, for who was not connected or did not hold the log so far; and told once more
        // before the tablet falls asleep.
        let isDue = clock.monotonic >= states[index].truncationToldAt + Self.truncationRepeated
        guard kept > states[index].notKept || isDue, let term = try? tablet.log.term(at: kept)
        else { return }
        states[index].truncationToldAt = clock.monotonic
        let position = LogPosition(index: kept, term: term)
        notKept(upTo: position, of: index)
        for replica in tablet.descriptor.replicas {
            if let peer = outgoing.firstIndex(where: { $0.node == replica.node }) {
                outgoing[peer].messages.append(.truncation(tablet.descriptor.id, position))
            }
        }
    }

    /// In microseconds.
    private static let truncationRepeated: UInt64 = 500_000

    /// Takes in up to where the log is kept for nobody, as far as this replica holds it.
    func notKept(upTo position: LogPosition, of index: Int) {
        guard position.index > states[index].notKept,
            (try? tablets[index].log.term(at: position.index)) == position.term
        else { return }
        states[index].notKept = position.index
        truncate(index)
    }

    /// Keeps the logs of all tablets together within the node's budget, whoever leads them, and has
    /// the store flushed where it holds them up.
    func boundLogs() {
        var bytes = 0
        var unflushed = 0
        for index in tablets.indices {
            let sizes = tablets[index].log.sizes
            let own =
                sizes.bytes(after: states[index].flushedIndex)
                - sizes.bytes(after: tablets[index].applied.index)
            // Commands take up as much in the store as in the log, so this is the rarer reason.
            if own > configuration.tabletLogBytes / 4 * 3 { wantsFlush = true }
            if tablets[index].droppedBytes > Self.droppedBytes { wantsFlush = true }
            bytes += sizes.bytes
            unflushed += own
        }
        if unflushed > configuration.nodeLogBytes / 2 { wantsFlush = true }
        guard bytes > configuration.nodeLogBytes else { return }
        // At least one tablet takes up more than its share.
        let share = configuration.nodeLogBytes / tablets.count
        for index in tablets.indices where tablets[index].log.sizes.bytes > share {
            mark("cluster: the logs of a node exceed its budget")
            let cut = min(tablets[index].log.sizes.cut(leaving: share), tablets[index].applied.index)
            states[index].notKept = max(states[index].notKept, cut)
            truncate(index)
        }
    }

    /// Gives up entries that are flushed here and kept for nobody: after each flush, or once there
    /// is much, whichever of the two conditions is the one that was waited for.
    func truncate(_ index: Int) {
        let tablet = tablets[index]
        let position = min(states[index].flushedIndex, states[index].notKept)
        let sizes = tablet.log.sizes
        guard position >= tablet.log.firstIndex + configuration.minimumTruncation
            || sizes.bytes - sizes.bytes(after: position) >= configuration.tabletLogBytes / 8
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

    // MARK: Outrun replicas

    /// Whether a replica lacks entries that this leader's log has given up.
    ///
    /// Probing goes below the first entry only if nothing from there on agrees. Of a replica on a
    /// node that is down, what it last acknowledged tells; a new leader does not know that.
    private func isOutrun(_ progress: Progress, _ node: NodeID, _ tablet: Tablet) -> Bool {
        progress.next < tablet.log.firstIndex
            || progress.match > 0 && progress.match + 1 < tablet.log.firstIndex && !isLive(node)
    }

    /// How long a leader's word on outrun replicas stands, and how often it is repeated; in
    /// microseconds.
    private static let outrunStands: UInt64 = 5_000_000
    private static let outrunRepeated: UInt64 = 1_000_000

    /// Tells all nodes which replicas are outrun, as long as any is.
    private func shareOutrun(_ nodes: [NodeID], of tablet: TabletID) {
        guard !nodes.isEmpty else { return outrun[tablet] = nil }
        if let known = outrun[tablet], known.nodes == nodes,
            known.until > clock.monotonic + Self.outrunStands - Self.outrunRepeated
        { return }
        mark("cluster: a replica is outrun")
        noteOutrun(nodes, of: tablet, from: configuration.node)
        for peer in outgoing.indices { outgoing[peer].messages.append(.outrun(tablet, nodes)) }
    }

    /// Takes in what the leader of a tablet says of the replicas that it cannot catch up.
    func noteOutrun(_ nodes: [NodeID], of tablet: TabletID, from leader: NodeID) {
        let known = outrunReplicas(of: tablet)
        for node in nodes where !known.contains(node) {
            if leader == configuration.node || node == configuration.node {
                effects.outrun.append((tablet, node))
            }
        }
        outrun[tablet] = (nodes, clock.monotonic + Self.outrunStands)
    }

    /// The nodes whose replicas of a tablet are outrun, as far as this one knows: they hold nothing
    /// of what was written since, and have to be rebuilt.
    package func outrunReplicas(of tablet: TabletID) -> [NodeID] {
        guard let known = outrun[tablet], known.until > clock.monotonic else { return [] }
        return known.nodes
    }

    func isOutrun(_ node: NodeID, _ index: Int) -> Bool {
        outrunReplicas(of: tablets[index].descriptor.id).contains(node)
    }
}
