import SteleBase

/// A leader takes proposals and reads, and watches its followers.
extension RaftCore {
    mutating func stepLeader(_ message: Message) throws(RaftError) {
        switch message.type {
        case .propose: return try handleProposal(message.entries)
        case .readIndex: return handleReadIndex(message)
        default: break
        }
        guard let slot = tracker.slot(of: message.from) else { return }
        if message.from == id {
            // A leader tells itself one thing only: that its entries are durable.
            let isOwn = message.type == .appendResponse && !message.reject
            guard isOwn || message.type == .transferLeader else { return }
        }
        switch message.type {
        case .appendResponse: handleAppendResponse(message, slot: slot)
        case .heartbeatResponse: handleHeartbeatResponse(message, slot: slot)
        case .snapshotStatus: handleSnapshotStatus(ok: !message.reject, slot: slot)
        case .unreachable:
            // Of what is streamed ahead of acknowledgements, something was probably lost.
            if tracker.progress[slot].state == .replicate { tracker.progress[slot].becomeProbe() }
        case .transferLeader: handleTransfer(to: message.from, slot: slot)
        default: break
        }
    }

    // MARK: Proposals

    private mutating func handleProposal(_ proposed: [Entry]) throws(RaftError) {
        guard tracker.slot(of: id) != nil, leadTransferee == .none else { throw .proposalDropped }
        var entries = proposed
        let pendingBefore = pendingConfIndex
        for position in entries.indices where entries[position].type != .normal {
            guard let change = try? ConfChange(decoding: entries[position]) else {
                pendingConfIndex = pendingBefore
                throw .proposalDropped
            }
            if fits(change) || configuration.disableConfChangeValidation {
                pendingConfIndex = log.lastIndex + UInt64(position) + 1
            } else {
                entries[position] = Entry()
            }
        }
        guard appendOwn(entries) else {
            pendingConfIndex = pendingBefore
            throw .proposalDropped
        }
        broadcastAppend()
    }

    /// Whether the change can be proposed now: one at a time, and an empty one exactly in order to
    /// leave a joint configuration.
    private func fits(_ change: ConfChange) -> Bool {
        pendingConfIndex <= log.applied
            && tracker.membership.voters.isJoint == change.changes.isEmpty
    }

    /// Appends entries in the own term; false if too much is uncommitted already.
    mutating func appendOwn(_ entries: [Entry]) -> Bool {
        guard reserveUncommitted(entries.payloadByteCount) else { return false }
        for entry in entries { log.append(entry.type, entry.payload, term: term) }
        acknowledgeOwn()
        return true
    }

    /// Appends commands in the own term, without the detour of a message.
    mutating func proposeOwn(_ payloads: [ArraySlice<UInt8>]) throws(RaftError) {
        var bytes = 0
        for payload in payloads { bytes += payload.count }
        guard tracker.slot(of: id) != nil, leadTransferee == .none, reserveUncommitted(bytes)
        else { throw .proposalDropped }
        for payload in payloads { log.append(.normal, payload, term: term) }
        acknowledgeOwn()
        broadcastAppend()
    }

    private mutating func reserveUncommitted(_ bytes: Int) -> Bool {
        // One batch of any size is let through while nothing else is uncommitted, and what has no
        // payload always is: the first entry of a term, the end of a joint configuration.
        if uncommittedBytes > 0, bytes > 0,
            bytes > configuration.maxUncommittedBytes - uncommittedBytes
        {
            return false
        }
        uncommittedBytes += bytes
        return true
    }

    /// The leader acknowledges its entries to itself once they are durable.
    private mutating func acknowledgeOwn() {
        send(Message(type: .appendResponse, to: id, index: log.lastIndex))
    }

    // MARK: Reads

    private mutating func handleReadIndex(_ request: Message) {
        // What was committed before is known only after the first commit of this term. That goes
        // for a single voter too: after a restart its commit index may be an old one.
        if hasCommittedInTerm {
            startRead(request)
        } else {
            postponedReads.append(request)
        }
    }

    private mutating func startRead(_ request: Message) {
        switch configuration.readOnlyOption {
        case .leaseBased: answer(request, at: log.committed)
        case .safe:
            let round = readQueue.add(request, at: log.committed)
            if let own = tracker.slot(of: id) { tracker.progress[own].acknowledgedRead = round }
            broadcastHeartbeat()
            // The only voter is a quorum by itself.
            answerConfirmedReads()
        }
    }

    mutating func releasePostponedReads() {
        guard !postponedReads.isEmpty, hasCommittedInTerm else { return }
        let requests = postponedReads
        postponedReads = []
        for request in requests { startRead(request) }
    }

    private mutating func answer(_ request: Message, at index: LogIndex) {
        if request.from == .none || request.from == id {
            readStates.append(ReadState(index: index, context: request.context))
        } else {
            send(
                Message(
                    type: .readIndexResponse, to: request.from, index: index,
                    context: request.context))
        }
    }

    private mutating func handleHeartbeatResponse(_ message: Message, slot: Int) {
        tracker.progress[slot].recentlyActive = true
        tracker.progress[slot].isFlowPaused = false
        // With a full window this sends an empty append, so that a follower for which everything
        // under way was lost gets the chance to say so.
        if tracker.progress[slot].match < log.lastIndex || tracker.progress[slot].state == .probe {
            sendAppend(toSlot: slot, evenIfEmpty: true)
        }
        noteSleep(ofSlot: slot, at: message.index)
        guard let newest = readQueue.newestRound,
            let round = ReadIndexQueue.round(in: message.context), round <= newest
        else { return }
        tracker.progress[slot].acknowledgedRead = max(
            tracker.progress[slot].acknowledgedRead, round)
        answerConfirmedReads()
    }

    private mutating func answerConfirmedReads() {
        for read in readQueue.confirm(through: tracker.confirmedRead) {
            answer(read.request, at: read.index)
        }
    }

    // MARK: Followers

    /// Steps down if no quorum was heard from since the last check.
    mutating func checkQuorum() {
        if !tracker.isQuorumActive {
            wakeFollowers()
            becomeFollower(term: term, lead: .none)
        }
        for slot in tracker.progress.indices where tracker.progress[slot].id != id {
            tracker.progress[slot].recentlyActive = false
        }
    }

    private mutating func handleSnapshotStatus(ok: Bool, slot: Int) {
        guard tracker.progress[slot].state == .snapshot else { return }
        // Probing goes on behind the snapshot, or where it was before one that failed.
        if !ok { tracker.progress[slot].pendingSnapshot = 0 }
        tracker.progress[slot].becomeProbe()
        // Wait for the follower to answer the snapshot, or for the next heartbeat to try again.
        tracker.progress[slot].isFlowPaused = true
    }

    private mutating func handleTransfer(to target: ReplicaID, slot: Int) {
        guard !tracker.progress[slot].isLearner, leadTransferee != target else { return }
        leadTransferee = .none
        guard target != id else { return }
        // The transfer has one election timeout.
        electionElapsed = 0
        leadTransferee = target
        if tracker.progress[slot].match == log.lastIndex {
            send(Message(type: .timeoutNow, to: target))
        } else {
            sendAppend(toSlot: slot, evenIfEmpty: true)
        }
    }
}
