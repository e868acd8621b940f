import SteleBase

/// A follower takes over the leader's log.
extension RaftCore {
    mutating func stepFollower(_ message: Message) throws(RaftError) {
        switch message.type {
        case .propose:
            guard !configuration.disableProposalForwarding, forwardToLeader(message) else {
                throw .proposalDropped
            }
        case .append:
            hear(from: message.from)
            handleAppend(message)
        case .heartbeat:
            hear(from: message.from)
            handleHeartbeat(message)
        case .snapshot:
            hear(from: message.from)
            handleSnapshot(message)
        case .transferLeader, .readIndex: forwardToLeader(message)
        case .readIndexResponse:
            readStates.append(ReadState(index: message.index, context: message.context))
        case .forgetLeader:
            // Lease-based reads rely on followers that remember whom they follow.
            if configuration.readOnlyOption == .safe { lead = .none }
        case .timeoutNow:
            // Only the leader may ask for an election that no lease stands against.
            if lead == .none || lead == message.from {
                startElection(.transfer)
            } else {
                refusals.forgedTransfers.countUp()
            }
        default: break
        }
    }

    private mutating func hear(from leader: ReplicaID) {
        electionElapsed = 0
        lead = leader
    }

    /// Passes a request on, also one that came from another replica which took this one for the
    /// leader; false if that cannot be.
    @discardableResult
    private mutating func forwardToLeader(_ message: Message) -> Bool {
        guard lead != .none, lead != id else { return false }
        var forwarded = message
        forwarded.to = lead
        send(forwarded)
        return true
    }

    private mutating func handleAppend(_ message: Message) {
        let previous = LogPosition(index: message.index, term: message.logTerm)
        if previous.index < log.committed {
            send(Message(type: .appendResponse, to: message.from, index: log.committed))
            return
        }
        let last = log.append(
            after: previous, message.entries, leaderCommit: message.commit)
        if let last {
            send(Message(type: .appendResponse, to: message.from, index: last))
            return
        }
        // Both sides skip whole terms: here all own entries above the term that the leader has at
        // this index, there all of its entries above the term named in the answer.
        let hint = log.findConflict(
            from: min(message.index, log.lastIndex), byTerm: message.logTerm)
        send(
            Message(
                type: .appendResponse, to: message.from, logTerm: hint.term, index: message.index,
                reject: true, rejectHint: hint.index))
    }

    private mutating func handleHeartbeat(_ message: Message) {
        // A commit index beyond the log would mean that acknowledged entries were lost; then the
        // leader has to find out by probing where the logs agree.
        if message.commit <= log.lastIndex {
            log.commit(to: message.commit)
        } else {
            refusals.beyondLog.countUp()
        }
        if !followToSleep(message) { wake(by: message.from) }
        send(
            Message(
                type: .heartbeatResponse, to: message.from, index: isHibernated ? message.index : 0,
                context: message.context))
    }

    private mutating func handleSnapshot(_ message: Message) {
        guard let snapshot = message.snapshot else { return }
        let index = restore(snapshot) ? log.lastIndex : log.committed
        send(Message(type: .appendResponse, to: message.from, index: index))
    }

    /// Replaces log and membership by a snapshot; false if it holds nothing new.
    private mutating func restore(_ snapshot: Snapshot) -> Bool {
        guard snapshot.index > log.committed else { return false }
        let state = snapshot.confState
        // Members that are only in `learnersNext` are outgoing voters as well.
        let members = state.voters + state.learners + state.votersOutgoing
        guard members.contains(id) else {
            refusals.foreignSnapshots.countUp()
            return false
        }
        if log.matches(snapshot.position) {
            log.commit(to: snapshot.index)
            return false
        }
        log.restore(snapshot)
        membershipIndex = snapshot.index
        switchMembership(to: ConfChanger(tracker, lastIndex: log.lastIndex).restore(state))
        return true
    }

    /// The snapshot is durable and the state machine holds it.
    mutating func snapshotApplied(_ snapshot: Snapshot) {
        log.stableSnapshot(at: snapshot.index)
        applied(to: snapshot.index, bytes: 0)
    }
}
