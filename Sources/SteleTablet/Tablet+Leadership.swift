import SteleBase
import SteleClock
import SteleRaft

/// What a change of leadership means for the state that only a leader has.
extension Tablet {
    /// Compares with what was known before, and takes up or lays down leadership.
    package func noteLeadership() {
        let term = group.isLeader ? group.term : 0
        guard term != leadingTerm else { return }
        if leadingTerm != 0 { layDown() }
        leadingTerm = term
        if term != 0 { takeUp() }
    }

    /// Nothing that an earlier leader may have served lies above the bounds that the voters of this
    /// election granted it, so the floor starts there.
    private func takeUp() {
        let bound = Timestamp(rawValue: group.electionBound)
        floor = max(floor, bound)
        readLow = max(readLow, bound)
        clock.hybrid.advance(to: bound)
        // Whoever wrote before did so below the bound, or it was this node, by its own clock.
        recent = RecentWrites(lowWater: max(floor, clock.hybrid.last))
        takeUpHistory()
    }

    private func layDown() {
        servingTerm = 0
        leaseBound = .zero
        locks.removeAll()
        recent = RecentWrites()
        awakened = []
        parked = []
        deferred = []
        unlocking = UnlockQueue()
        // The first entry of the next term drops its parts.
        upload = nil
        uploadWaiters = []
        let (answered, others) = inFlight.removeAll()
        for case .writes(let writes) in answered.map(\.keys) { discarded.append(writes) }
        for command in others {
            if case .writes(let writes) = command.keys { discarded.append(writes) }
            output.replies.append(
                TabletOutput.Reply(
                    origin: command.origin,
                    reply: .failed(
                        .init(
                            .outcomeUnknown, "leadership was lost before the commit was known",
                            leader: descriptor.node(of: group.lead) ?? .none, term: group.term)),
                    servedAt: nil))
        }
        for waiter in waiting.removeAll() { fail(waiter, .notLeader, "leadership was lost") }
    }

    /// Gives up the locks of all transactions that `node` coordinates, or coordinated under numbers
    /// below `number`, because it is gone.
    ///
    /// Should it still be there, its commits fail for want of their locks and nothing is harmed.
    /// Nobody asks a second time, so this needs no lease, and it is done during a transfer of the
    /// leadership too, which may fail.
    package func releaseLocks(of node: NodeID, before number: UInt64 = .max) {
        let requesting = waiting.locking(from: node)
        // A turn takes no more locks of thousands of transactions than of one.
        var least = 256
        for transaction in Set(locks.transactions(of: node)).union(requesting).sorted()
        where transaction.sequence < number {
            least = max(least - release(transaction, least: least), 0)
        }
        runAwakened()
    }
}
