import SteleBase

@testable import SteleRaft

/// What must hold at every moment, over all members.
extension SimulatedGroup {
    func verify(_ condition: Bool, _ message: @autoclosure () -> String) throws {
        if !condition { throw Violation(description: "at \(now) ms: \(message())") }
    }

    /// Looks at a member after something happened to it.
    func check(_ slot: Int) throws {
        let member = members[slot]
        guard let group = member.group else { return }
        #if !DEBUG
            group.checkInvariants()
        #endif
        let (before, after) = (member.seenHardState, group.hardState)
        try verify(after.term >= before.term, "the term of \(member.id) fell")
        try verify(after.commit >= before.commit, "the commit index of \(member.id) fell")
        try verify(
            after.term > before.term || before.vote == .none || before.vote == after.vote,
            "\(member.id) votes twice in term \(after.term)")
        member.seenHardState = after
        if group.committed > highestCommit.index,
            let term = group.termOfEntry(at: group.committed)
        {
            highestCommit = LogPosition(index: group.committed, term: term)
            note(highestCommit.index << 32 | highestCommit.term)
            firstCommitted(slot)
        }
        guard member.seenRole != group.role else { return }
        member.seenRole = group.role
        note(UInt64(group.role.rawValue) << 32 | group.term)
        if group.isLeader { try checkNewLeader(group, slot: slot) }
    }

    /// Election safety and leader completeness.
    private func checkNewLeader(_ group: RaftGroup, slot: Int) throws {
        let first = leaders[group.term]
        try verify(first == nil || first == group.id, "two leaders in term \(group.term)")
        leaders[group.term] = group.id
        leaderElected(slot)
        // Votes may come late: whoever wins a term that is over need not hold what came after it.
        guard group.term > highestCommit.term else { return }
        let own = group.termOfEntry(at: highestCommit.index)
        try verify(
            own == highestCommit.term || group.firstIndex > highestCommit.index + 1,
            "the leader of term \(group.term) lacks \(highestCommit)")
        try verify(
            group.lastPosition.index >= highestCommit.index,
            "the log of term \(group.term)'s leader ends before \(highestCommit)")
    }

    /// Log matching: wherever a position occurs, its entry is the same, and so is the one before.
    func checkEntries(_ entries: [Entry], after term: Term) throws {
        var previousTerm = term
        for entry in entries {
            let key = entry.index << 32 | entry.term
            let found = KnownEntry(payload: hash(entry.payload), previousTerm: previousTerm)
            if let first = known[key] {
                try verify(
                    first.payload == found.payload && first.previousTerm == found.previousTerm,
                    "logs differ at \(entry.position)")
            } else {
                known[key] = found
            }
            previousTerm = entry.term
        }
    }

    /// At most one uncommitted change of the membership.
    func checkProposedChanges(_ entries: [Entry], of group: RaftGroup) throws {
        guard group.isLeader, entries.contains(where: { $0.type != .normal }) else { return }
        let first = max(highestCommit.index + 1, group.firstIndex)
        guard first <= group.lastIndex,
            let open = try? group.core.log.entries(from: first, maxBytes: .max)
        else { return }
        try verify(
            open.count { $0.type != .normal } <= 1,
            "\(group.id) has two uncommitted changes of the membership")
    }

    /// State-machine safety, and one membership for all.
    func checkApplied(_ entry: Entry, at member: SimulatedMember) throws {
        let slot = Int(entry.index - SimulatedGroup.base) - 1
        if slot == applied.count {
            applied.append(
                AppliedEntry(
                    term: entry.term, hash: member.state.hash,
                    confState: member.state.confState))
            return
        }
        try verify(slot < applied.count, "\(entry.position) was applied before those below it")
        try verify(
            applied[slot].term == entry.term && applied[slot].hash == member.state.hash,
            "different entries were applied at \(entry.index)")
        guard member.checksMembership, let group = member.group else { return }
        member.checksMembership = false
        try verify(
            applied[slot].confState == group.membership.confState
                || group.core.log.hasSnapshotUnderWay || group.core.membershipIndex > entry.index,
            "\(member.id) at \(entry.index) has \(group.membership),"
                + " others had \(applied[slot].confState)")
    }

    func checkSnapshot(_ snapshot: Snapshot) throws {
        let slot = Int(snapshot.index - SimulatedGroup.base) - 1
        guard applied.indices.contains(slot) else { return }
        var reader = ByteReader(snapshot.data)
        try verify(
            applied[slot].hash == (try? reader.read(UInt64.self))
                && applied[slot].confState == snapshot.confState,
            "a snapshot at \(snapshot.index) holds something else than was applied")
    }

    /// Persisted before acknowledged.
    func checkPromise(_ message: Message) throws {
        guard !message.reject else { return }
        let storage = members[Int(message.from.rawValue) - 1].storage
        let state = storage.hardState
        // Acknowledgements of an earlier term were true when they were made, and are void.
        guard state.term <= message.term || message.type == .voteResponse else { return }
        switch message.type {
        case .appendResponse:
            try verify(
                storage.lastIndex >= message.index,
                "\(message.from) acknowledges \(message.index), but holds \(storage.lastIndex)")
        case .voteResponse:
            try verify(
                state.term > message.term
                    || (state.term == message.term && state.vote == message.to),
                "\(message.from) gives \(message.to) a vote that it could forget")
        default: break
        }
    }

    /// Linearizable reads.
    func checkRead(_ answer: ReadState) throws {
        var reader = ByteReader(answer.context)
        guard let key = try? reader.read(UInt64.self), let asked = reads[key] else { return }
        try verify(answer.index >= asked, "a read at \(answer.index) misses commit \(asked)")
        answeredReads += 1
    }
}
