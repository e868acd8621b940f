import SteleBase

/// What the state machine has applied, and changes of the membership among it.
extension RaftCore {
    mutating func entriesApplied(_ entries: [Entry]) {
        guard let last = entries.last else { return }
        applied(to: last.index, bytes: entries.byteCount)
        uncommittedBytes = max(0, uncommittedBytes - entries.payloadByteCount)
    }

    mutating func applied(to index: LogIndex, bytes: Int) {
        log.applied(to: max(index, log.applied), bytes: bytes)
        if tracker.membership.autoLeave, log.applied >= pendingConfIndex, role == .leader {
            // Cannot be refused for its size, but during a transfer; then the next applied entry
            // tries again, here or at the new leader.
            try? process(Message(type: .propose, entries: [ConfChange().entry()]))
        }
    }

    /// Puts a committed change of the membership into force; the owner calls it when it applies the
    /// entry.
    ///
    /// A change that does not fit the configuration in force is skipped, on all replicas alike; so
    /// must be an entry that the owner cannot decode. With `index`, that of the entry, a change is
    /// skipped also if a snapshot that was received in the meantime contains it.
    @discardableResult
    mutating func applyConfChange(_ change: ConfChange, at index: LogIndex? = nil) -> ConfState {
        if let index, index <= membershipIndex { return tracker.membership.confState }
        let changer = ConfChanger(tracker, lastIndex: log.lastIndex)
        if let next = try? changer.apply(change) {
            switchMembership(to: next)
        } else {
            refusals.membershipChanges.countUp()
        }
        checkInDebugBuilds()
        return tracker.membership.confState
    }

    mutating func switchMembership(to next: ProgressTracker) {
        next.checkInvariants()
        tracker = next
        guard role == .leader else { return }
        guard let own = tracker[id], !own.isLearner else {
            // Removed or demoted: lead on until another one is elected, or step down right away.
            if configuration.stepDownOnRemoval { becomeFollower(term: term, lead: .none) }
            return
        }
        // The new quorums may already hold more than was committed, and nothing else may tell them.
        if advanceCommit() {
            releasePostponedReads()
            broadcastAppend()
        } else {
            // Probe new members now instead of at the next heartbeat.
            for slot in tracker.progress.indices where tracker.progress[slot].id != id {
                sendAppend(toSlot: slot, evenIfEmpty: false)
            }
        }
        if leadTransferee != .none, !tracker.membership.voters.contains(leadTransferee) {
            leadTransferee = .none
        }
    }
}
