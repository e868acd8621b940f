import SteleBase

/// What holds of one replica between any two inputs.
///
/// Debug builds check it after each of them, simulations in all builds. What holds between replicas
/// (election safety, log matching, leader completeness, state-machine safety) is for simulations.
extension RaftCore {
    @inline(__always)
    func checkInDebugBuilds() {
        #if DEBUG
            checkInvariants()
        #endif
    }

    /// Ends the process if one of the invariants is broken.
    func checkInvariants() {
        log.checkInvariants()
        let before = previousHardState
        invariant(term >= before.term, "the term fell from \(before.term) to \(term)")
        invariant(log.committed >= before.commit, "the commit index fell from \(before.commit)")
        invariant(
            term > before.term || before.vote == .none || vote == before.vote,
            "a second vote in term \(term)")
        switch role {
        case .leader: checkLeader()
        case .candidate:
            invariant(vote == id && lead == .none, "a candidate follows \(lead)")
        case .preCandidate: invariant(lead == .none, "a pre-candidate follows \(lead)")
        case .follower: invariant(lead != id, "a follower follows itself")
        }
        if isHibernated { checkSleep() }
        invariant(uncommittedBytes >= 0, "the size of uncommitted proposals is negative")
        invariant(
            role == .leader || (postponedReads.isEmpty && readQueue.newestRound == nil),
            "reads wait at a \(role)")
        invariant(
            role == .leader || leadTransferee == .none, "leadership is handed over by a \(role)")
    }

    private func checkSleep() {
        invariant(
            role == .leader || (role == .follower && lead != .none), "a \(role) of nobody sleeps")
        invariant(
            log.applied == log.lastIndex && log.unstable.entries.isEmpty,
            "a replica sleeps that has work to do")
        for progress in tracker.progress where role == .leader {
            invariant(
                progress.match == log.lastIndex, "a leader sleeps, but \(progress.id) lags")
        }
    }

    private func checkLeader() {
        invariant(lead == id && vote == id, "a leader follows \(lead)")
        invariant(log.lastPosition.term == term, "a leader's log ends in another term")
        for progress in tracker.progress {
            invariant(progress.match < progress.next, "\(progress.id): \(progress)")
            invariant(
                progress.match <= log.lastIndex, "\(progress.id) holds more than its leader")
        }
        guard !configuration.disableConfChangeValidation else { return }
        let open = log.unstable.entries.count { entry in
            entry.type != .normal && entry.term == term && entry.index > log.applied
        }
        invariant(open <= 1, "\(open) changes of the membership are under way")
    }
}

extension RaftLog {
    func checkInvariants() {
        invariant(
            applied <= applying && applying <= committed && committed <= lastIndex,
            "applied \(applied), applying \(applying), committed \(committed), last \(lastIndex)")
        unstable.checkInvariants()
    }
}

extension UnstableLog {
    func checkInvariants() {
        invariant(
            offset <= offsetInProgress && offsetInProgress <= offset + UInt64(entries.count),
            "storage was told of entries through \(offsetInProgress) of \(entries.count)")
        if let first = entries.first, let last = entries.last {
            invariant(
                first.index == offset && last.index == offset + UInt64(entries.count) - 1,
                "entries \(first.index) ... \(last.index) are kept from \(offset) on")
            invariant(first.term <= last.term, "terms fall in the log")
        }
    }
}

extension ProgressTracker {
    /// Checked whenever the membership changes.
    func checkInvariants() {
        for slot in progress.indices.dropFirst() {
            invariant(progress[slot - 1].id < progress[slot].id, "members do not ascend")
        }
        for member in progress {
            let votes = membership.voters.contains(member.id)
            invariant(
                votes != membership.learners.contains(member.id),
                "\(member.id) is voter and learner, or neither")
            invariant(member.isLearner != votes, "\(member.id) is taken for something else")
        }
    }
}
