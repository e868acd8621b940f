import SteleBase

/// The way of a message: is it well-formed, what does its term mean, and who handles it.
extension RaftCore {
    /// Handles a message of a peer or a response of local storage.
    ///
    /// Messages that no correct replica would send are ignored, and counted in ``refusals``.
    mutating func step(_ message: Message) throws(RaftError) {
        if message.type.isLocal, !message.from.isLocalTarget {
            refusals.local.countUp()
            throw .localMessage
        }
        if message.type.isResponse, !message.from.isLocalTarget,
            tracker.slot(of: message.from) == nil
        {
            refusals.fromStrangers.countUp()
            throw .peerNotFound
        }
        guard message.isWellFormed, message.term <= term + RaftCore.termLeap else {
            refusals.malformed.countUp()
            return
        }
        guard isAddressed(message) else {
            refusals.misaddressed.countUp()
            return
        }
        defer { checkInDebugBuilds() }
        if !isRestful(message) { wake(by: message.from) }
        try process(message)
    }

    /// No group holds so many elections while a replica hears nothing of it. Whoever claims it did
    /// would use up the terms that there are, and with them the group.
    private static var termLeap: Term { 1 << 32 }

    /// Whether the message is for this replica; only responses can come from itself.
    private func isAddressed(_ message: Message) -> Bool {
        message.to == id
            && (message.from != id || !message.type.needsTerm || message.type.isResponse)
    }

    /// Handles a message that this replica trusts.
    mutating func process(_ message: Message) throws(RaftError) {
        if message.type == .vote || message.type == .preVote, message.term >= term,
            !message.isTransfer, !votesAllowedFor.allows(message.from)
        {
            mark("raft: a vote is withheld by the owner")
            return
        }
        if message.term > term {
            if isWithinLease(message) { return }
            adoptTerm(of: message)
        } else if message.term > 0, message.term < term {
            answerOutdated(message)
            return
        }
        switch message.type {
        case .hup: startElection(configuration.preVote ? .preElection : .election)
        case .vote, .preVote: handleVoteRequest(message)
        case .storageAppendResponse:
            if message.index != 0 {
                log.stable(to: LogPosition(index: message.index, term: message.logTerm))
            }
            if let snapshot = message.snapshot { snapshotApplied(snapshot) }
        case .storageApplyResponse: entriesApplied(message.entries)
        default:
            switch role {
            case .follower: try stepFollower(message)
            case .preCandidate, .candidate: try stepCandidate(message)
            case .leader: try stepLeader(message)
            }
        }
    }

    /// Whether the message asks for a vote while a leader is known to be alive.
    private func isWithinLease(_ message: Message) -> Bool {
        guard message.type == .vote || message.type == .preVote else { return false }
        return configuration.checkQuorum && lead != .none && !message.isTransfer
            && electionElapsed < configuration.electionTicks
    }

    /// Moves on to the term of a message from the future, unless it only asks or answers what would
    /// happen there.
    private mutating func adoptTerm(of message: Message) {
        switch message.type {
        case .preVote: break
        case .preVoteResponse where !message.reject: break
        case .append, .heartbeat, .snapshot:
            becomeFollower(term: message.term, lead: message.from)
        default: becomeFollower(term: message.term, lead: .none)
        }
    }

    /// Tells senders of an earlier term that it is over, where they could not learn it otherwise.
    private mutating func answerOutdated(_ message: Message) {
        switch message.type {
        case .heartbeat, .append:
            // With pre-vote or the quorum check, a replica that is ahead in term cannot depose an
            // outdated leader by campaigning; this answer does.
            if configuration.checkQuorum || configuration.preVote {
                send(Message(type: .appendResponse, to: message.from))
            }
        case .preVote:
            send(
                Message(
                    type: .preVoteResponse, to: message.from, term: term, reject: true))
        case .storageAppendResponse:
            // The entries may have been replaced since, but a snapshot holds in every term.
            if let snapshot = message.snapshot { snapshotApplied(snapshot) }
        default: break
        }
    }
}

extension Message {
    /// Whether a correct replica could have sent this, as far as the message itself shows.
    var isWellFormed: Bool {
        if type.needsTerm, term == 0 || from == .none { return false }
        if term > Message.ceiling || index > Message.ceiling { return false }
        switch type {
        case .append:
            var previous = logTerm
            for (offset, entry) in entries.enumerated() {
                guard entry.index == index + 1 + UInt64(offset) else { return false }
                guard entry.term > 0, entry.term >= previous, entry.term <= term else {
                    return false
                }
                previous = entry.term
            }
            return logTerm <= term
        case .snapshot:
            guard let snapshot, snapshot.confState.isValid else { return false }
            return snapshot.index > 0 && snapshot.index <= Message.ceiling && snapshot.term > 0
                && snapshot.term <= term
        case .propose: return !entries.isEmpty && term == 0
        case .readIndex: return term == 0
        case .transferLeader: return from != .none
        default: return true
        }
    }

    /// No group gets to terms or indices above this, so arithmetic on them cannot overflow.
    private static let ceiling: UInt64 = 1 << 62
}

extension ConfState {
    /// Whether the lists ascend and describe a configuration that can be in force.
    package var isValid: Bool {
        let lists = [voters, votersOutgoing, learners, learnersNext]
        for list in lists {
            for (left, right) in zip(list, list.dropFirst()) where left >= right { return false }
            if list.contains(where: { $0 == .none || $0.isLocalTarget }) { return false }
        }
        let voting = voters + votersOutgoing
        return !voters.isEmpty
            && learners.allSatisfy { !voting.contains($0) }
            && learnersNext.allSatisfy { votersOutgoing.contains($0) && !voters.contains($0) }
            && (!votersOutgoing.isEmpty || !autoLeave)
    }
}
