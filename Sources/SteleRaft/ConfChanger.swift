import SteleBase

/// Why a change does not fit the configuration that it meets.
package struct ConfChangeError: Error, Hashable, Sendable, CustomStringConvertible {
    package let description: String

    init(_ description: String) { self.description = description }
}

/// Computes the next configuration from the one in force.
///
/// A pure function of configuration and change, so that all replicas, applying the same entries,
/// agree also on which changes do not fit.
package struct ConfChanger {
    private var tracker: ProgressTracker
    private let lastIndex: LogIndex

    /// Starts from the configuration in `tracker`; new members are sent entries from `lastIndex`.
    package init(_ tracker: ProgressTracker, lastIndex: LogIndex) {
        self.tracker = tracker
        self.lastIndex = lastIndex
    }

    /// Carries out any change.
    package func apply(_ change: ConfChange) throws(ConfChangeError) -> ProgressTracker {
        if change.leavesJoint { return try leaveJoint() }
        if let autoLeave = change.jointAutoLeave {
            return try enterJoint(autoLeave: autoLeave, change.changes)
        }
        return try simple(change.changes)
    }

    /// Changes at most one voter, without a joint configuration.
    package func simple(_ changes: [MemberChange]) throws(ConfChangeError) -> ProgressTracker {
        guard !tracker.membership.voters.isJoint else {
            throw ConfChangeError("can't apply simple config change in joint config")
        }
        var next = self
        try next.carryOut(changes)
        let before = tracker.membership.voters.incoming.voters
        let after = next.tracker.membership.voters.incoming.voters
        let changed =
            before.count(where: { !after.contains($0) })
            + after.count(where: { !before.contains($0) })
        guard changed <= 1 else {
            throw ConfChangeError("more than one voter changed without entering joint config")
        }
        return next.checked()
    }

    /// Keeps the voters of now as a second quorum beside the changed ones.
    package func enterJoint(
        autoLeave: Bool, _ changes: [MemberChange]
    ) throws(ConfChangeError) -> ProgressTracker {
        guard !tracker.membership.voters.isJoint else {
            throw ConfChangeError("config is already joint")
        }
        guard !tracker.membership.voters.incoming.voters.isEmpty else {
            throw ConfChangeError("can't make a zero-voter config joint")
        }
        var next = self
        next.tracker.membership.voters.outgoing = tracker.membership.voters.incoming
        try next.carryOut(changes)
        next.tracker.membership.autoLeave = autoLeave
        return next.checked()
    }

    /// Drops the old quorum; who is in no part of the new configuration is no member any more.
    package func leaveJoint() throws(ConfChangeError) -> ProgressTracker {
        guard tracker.membership.voters.isJoint else {
            throw ConfChangeError("can't leave a non-joint config")
        }
        var next = self
        for id in tracker.membership.learnersNext {
            next.tracker.membership.learners.insertSorted(id)
            if let slot = next.tracker.slot(of: id) { next.tracker.progress[slot].isLearner = true }
        }
        next.tracker.membership.learnersNext = []
        next.tracker.membership.voters.outgoing = Quorum()
        next.tracker.membership.autoLeave = false
        let membership = next.tracker.membership
        next.tracker.progress.removeAll {
            !membership.voters.incoming.contains($0.id) && !membership.learners.contains($0.id)
        }
        return next.checked()
    }

    /// Takes over a stored configuration, with nothing known about anyone.
    package func restore(_ state: ConfState) -> ProgressTracker {
        var next = self
        next.tracker.membership.voters.incoming = Quorum(state.voters)
        next.tracker.membership.voters.outgoing = Quorum(state.votersOutgoing)
        next.tracker.membership.learners = state.learners
        next.tracker.membership.learnersNext = state.learnersNext
        next.tracker.membership.autoLeave = state.autoLeave
        next.tracker.progress = []
        next.tracker.progress.reserveCapacity(
            state.voters.count + state.votersOutgoing.count + state.learners.count)
        for id in next.tracker.membership.voters.ids { next.addProgress(id, isLearner: false) }
        for id in state.learners { next.addProgress(id, isLearner: true) }
        return next.checked()
    }

    private mutating func carryOut(_ changes: [MemberChange]) throws(ConfChangeError) {
        for change in changes where change.replica != .none && !change.replica.isLocalTarget {
            switch change.type {
            case .addVoter: makeVoter(change.replica)
            case .addLearner: makeLearner(change.replica)
            case .remove: remove(change.replica)
            case .update: break
            }
        }
        guard !tracker.membership.voters.incoming.voters.isEmpty else {
            throw ConfChangeError("removed all voters")
        }
    }

    private mutating func makeVoter(_ id: ReplicaID) {
        if let slot = tracker.slot(of: id) {
            tracker.progress[slot].isLearner = false
            tracker.membership.learners.removeValue(id)
            tracker.membership.learnersNext.removeValue(id)
        } else {
            addProgress(id, isLearner: false)
        }
        tracker.membership.voters.incoming.voters.insertSorted(id)
    }

    /// A voter of the outgoing configuration has to wait until that is left: as long as it votes
    /// there, it cannot be a learner.
    private mutating func makeLearner(_ id: ReplicaID) {
        guard let slot = tracker.slot(of: id) else {
            tracker.membership.learners.insertSorted(id)
            addProgress(id, isLearner: true)
            return
        }
        if tracker.progress[slot].isLearner { return }
        tracker.membership.voters.incoming.voters.removeValue(id)
        if tracker.membership.voters.outgoing.contains(id) {
            tracker.membership.learnersNext.insertSorted(id)
        } else {
            tracker.progress[slot].isLearner = true
            tracker.membership.learners.insertSorted(id)
        }
    }

    private mutating func remove(_ id: ReplicaID) {
        guard let slot = tracker.slot(of: id) else { return }
        tracker.membership.voters.incoming.voters.removeValue(id)
        tracker.membership.learners.removeValue(id)
        tracker.membership.learnersNext.removeValue(id)
        if !tracker.membership.voters.outgoing.contains(id) { tracker.progress.remove(at: slot) }
    }

    private mutating func addProgress(_ id: ReplicaID, isLearner: Bool) {
        var progress = tracker.makeProgress(id, next: max(lastIndex, 1), isLearner: isLearner)
        // A new member must not be the reason why the next quorum check fails.
        progress.recentlyActive = true
        let slot = tracker.progress.firstIndex { $0.id > id } ?? tracker.progress.endIndex
        tracker.progress.insert(progress, at: slot)
    }

    /// The result, after a check of what must hold in every configuration.
    private func checked() -> ProgressTracker {
        let membership = tracker.membership
        invariant(
            membership.learnersNext.allSatisfy { membership.voters.outgoing.contains($0) },
            "only voters of the outgoing configuration can be learners next: \(membership)")
        invariant(
            membership.learners.allSatisfy { !membership.voters.contains($0) },
            "a learner votes: \(membership)")
        invariant(
            membership.voters.isJoint || (membership.learnersNext.isEmpty && !membership.autoLeave),
            "what belongs to a joint configuration outlived it: \(membership)")
        return tracker
    }
}
