import SteleBase

/// Time, campaigns and votes.
extension RaftCore {
    enum Campaign {
        /// Asks first, and campaigns in earnest if it would win.
        case preElection
        case election
        /// An election that the leader asked for, which no lease stands against.
        case transfer
    }

    /// Lets one tick pass.
    mutating func tick() {
        if isHibernated { return }
        if !isBusy { releaseBuffers() }
        isBusy = false
        if role == .leader { tickLeader() } else { tickElection() }
        checkInDebugBuilds()
    }

    private var mayCampaign: Bool { isPromotable && mayLead && votesAllowedFor.allows(id) }

    private mutating func tickElection() {
        electionElapsed += 1
        guard electionElapsed >= randomizedElectionTimeout else { return }
        // Begun anew for nothing, the timeout would keep up the lease of a leader that is gone.
        guard mayCampaign else { return remindLeader() }
        electionElapsed = 0
        request(Message(type: .hup, from: id))
    }

    private mutating func tickLeader() {
        heartbeatElapsed += 1
        electionElapsed += 1
        idleTicks += 1
        if electionElapsed >= configuration.electionTicks {
            electionElapsed = 0
            if configuration.checkQuorum { checkQuorum() }
            // A transfer that took longer than an election has failed.
            if role == .leader { leadTransferee = .none }
        }
        guard role == .leader, heartbeatElapsed >= configuration.heartbeatTicks else { return }
        heartbeatElapsed = 0
        broadcastHeartbeat()
        // A group of one has nobody to wait for.
        sleepIfAllDo()
    }

    /// Counts the election timeout as elapsed: other candidates get this replica's vote from now
    /// on, and it campaigns itself after so many more ticks, with 0 at once.
    ///
    /// For an owner that knows the leader to be gone. Does nothing on a leader.
    mutating func expireElectionTimeout(campaignAfter ticks: Int = 0) {
        guard role != .leader else { return }
        wake()
        electionElapsed = configuration.electionTicks
        randomizedElectionTimeout = configuration.electionTicks + ticks
        if ticks == 0, mayCampaign {
            electionElapsed = 0
            randomizeElectionTimeout()
            request(Message(type: .hup, from: id))
        }
    }

    /// Stops leading in the term; does nothing on a follower.
    mutating func stepDown() {
        guard role == .leader else { return }
        wake()
        becomeFollower(term: term, lead: .none)
    }

    mutating func startElection(_ kind: Campaign) {
        // An unapplied configuration change might have removed this replica, or its voters.
        guard role != .leader, isPromotable, mayLead, !hasUnappliedConfChange else { return }
        runCampaign(kind)
    }

    private var hasUnappliedConfChange: Bool {
        var index = log.applied + 1
        while index <= log.committed {
            // Entries that cannot be read now may hold a change.
            guard
                let page = try? log.slice(
                    from: index, upTo: log.committed + 1,
                    maxBytes: configuration.maxCommittedBytesPerReady)
            else { return true }
            if page.contains(where: { $0.type != .normal }) { return true }
            index += UInt64(page.count)
        }
        return false
    }

    private mutating func runCampaign(_ kind: Campaign) {
        guard kind == .transfer || votesAllowedFor.allows(id) else {
            if role != .follower { becomeFollower(term: term, lead: .none) }
            return
        }
        let isPreElection = kind == .preElection
        if isPreElection { becomePreCandidate() } else { becomeCandidate() }
        let electionTerm = isPreElection ? term + 1 : term
        let last = log.lastPosition
        for voter in tracker.membership.voters.ids {
            if voter == id {
                // The own vote counts once it is durable, like everybody else's.
                send(
                    Message(
                        type: isPreElection ? .preVoteResponse : .voteResponse, to: id,
                        term: electionTerm, bound: isPreElection ? 0 : voteBound))
                continue
            }
            send(
                Message(
                    type: isPreElection ? .preVote : .vote, to: voter, term: electionTerm,
                    logTerm: last.term, index: last.index,
                    context: kind == .transfer ? Message.transferContext : []))
        }
    }

    /// Grants a vote to a candidate whose log is not behind, at most one in a term.
    ///
    /// Learners vote too: one that was promoted may not know it yet, and its vote may be needed.
    mutating func handleVoteRequest(_ message: Message) {
        let isPreVote = message.type == .preVote
        let response: MessageType = isPreVote ? .preVoteResponse : .voteResponse
        let canVote =
            vote == message.from || (vote == .none && lead == .none)
            || (isPreVote && message.term > term)
        let candidate = LogPosition(index: message.index, term: message.logTerm)
        guard canVote, log.isUpToDate(candidate) else {
            // A replica that was never in any term has none to refuse in.
            if term > 0 {
                send(Message(type: response, to: message.from, term: term, reject: true))
            }
            return
        }
        // A granted pre-vote names the term asked for, which the candidate is not in yet.
        send(
            Message(
                type: response, to: message.from, term: message.term,
                bound: isPreVote ? 0 : voteBound))
        if !isPreVote {
            electionElapsed = 0
            vote = message.from
        }
    }

    /// Counts an answer to the own campaign.
    mutating func handleVoteResponse(_ message: Message) {
        tracker.recordVote(of: message.from, granted: !message.reject)
        if !message.reject, role == .candidate {
            electionBound = max(electionBound, message.bound)
        }
        switch tracker.voteResult {
        case .pending: break
        case .lost: becomeFollower(term: term, lead: .none)
        case .won:
            if role == .preCandidate {
                runCampaign(.election)
            } else {
                becomeLeader()
                broadcastAppend()
            }
        }
    }

    mutating func stepCandidate(_ message: Message) throws(RaftError) {
        switch message.type {
        case .propose: throw .proposalDropped
        case .append, .heartbeat, .snapshot:
            becomeFollower(term: message.term, lead: message.from)
            try stepFollower(message)
        case .preVoteResponse where role == .preCandidate: handleVoteResponse(message)
        case .voteResponse where role == .candidate: handleVoteResponse(message)
        default: break
        }
    }
}
