import SteleBase

/// The leader's side of replication, and the way of all messages out.
extension RaftCore {
    // MARK: Sending

    /// Puts a message where it leaves at once, or after the current state is durable.
    ///
    /// Promises wait: votes, and acknowledgements of entries. Appends and heartbeats do not.
    mutating func send(_ message: consuming Message) {
        if message.from == .none { message.from = id }
        switch message.type {
        case .vote, .preVote, .voteResponse, .preVoteResponse:
            invariant(message.term > 0, "votes name the term that they are for")
        case .propose, .readIndex: break
        default: message.term = term
        }
        switch message.type {
        case .appendResponse, .voteResponse, .preVoteResponse: messagesAfterAppend.append(message)
        default:
            invariant(message.to != id, "a message must not be sent to its sender")
            messages.append(message)
        }
    }

    mutating func broadcastAppend() {
        for slot in tracker.progress.indices where tracker.progress[slot].id != id {
            sendAppend(toSlot: slot, evenIfEmpty: true)
        }
    }

    /// Heartbeats carry the newest read round, so that any of them can confirm it, and in an idle
    /// group the end of the log, where followers may fall asleep.
    mutating func broadcastHeartbeat() {
        let end = invitesToSleep ? log.lastPosition : LogPosition(index: 0, term: 0)
        let context = readQueue.newestRound.map { ReadIndexQueue.context(of: $0) } ?? []
        for slot in tracker.progress.indices where tracker.progress[slot].id != id {
            // The follower may not hold entries beyond what it acknowledged.
            let commit = min(tracker.progress[slot].match, log.committed)
            send(
                Message(
                    type: .heartbeat, to: tracker.progress[slot].id, logTerm: end.term,
                    index: end.index, commit: commit, context: context))
            tracker.progress[slot].isAsleep = false
            tracker.progress[slot].sent(commit: commit)
        }
    }

    /// Sends the next entries to a follower, or a snapshot where the log does not go back so far.
    ///
    /// Returns whether anything was sent. An empty message still carries the commit index and finds
    /// out whether the logs agree.
    @discardableResult
    mutating func sendAppend(toSlot slot: Int, evenIfEmpty: Bool) -> Bool {
        guard !tracker.progress[slot].isPaused else { return false }
        let next = tracker.progress[slot].next
        guard let previousTerm = try? log.term(at: next - 1) else {
            return sendSnapshot(toSlot: slot)
        }
        var entries = spareEntries.popLast() ?? []
        if tracker.progress[slot].state != .replicate || !tracker.progress[slot].inflights.isFull {
            do {
                try log.entries(
                    from: next, maxBytes: configuration.maxBytesPerMessage, into: &entries)
            } catch .temporarilyUnavailable {
                return false
            } catch {
                return sendSnapshot(toSlot: slot)
            }
        }
        if entries.isEmpty, entries.capacity > 0 {
            spareEntries.append(entries)
            entries = []
        }
        if entries.isEmpty, !evenIfEmpty { return false }
        tracker.progress[slot].sent(entries: entries.count, bytes: entries.payloadByteCount)
        tracker.progress[slot].sent(commit: log.committed)
        send(
            Message(
                type: .append, to: tracker.progress[slot].id, logTerm: previousTerm,
                index: next - 1, entries: entries, commit: log.committed))
        return true
    }

    private mutating func sendSnapshot(toSlot slot: Int) -> Bool {
        // Nobody would answer; the next sign of life starts another attempt.
        guard tracker.progress[slot].recentlyActive else { return false }
        guard let snapshot = try? log.snapshot(), snapshot.index > 0 else { return false }
        tracker.progress[slot].becomeSnapshot(at: snapshot.index)
        send(Message(type: .snapshot, to: tracker.progress[slot].id, snapshot: snapshot))
        return true
    }

    // MARK: Answers

    mutating func handleAppendResponse(_ message: Message, slot: Int) {
        tracker.progress[slot].recentlyActive = true
        if message.reject {
            handleRejection(message, slot: slot)
        } else if message.index <= log.lastIndex {
            handleAcknowledgement(message, slot: slot)
        } else {
            refusals.beyondLog.countUp()
        }
    }

    /// Steps back to where the logs may agree, past all entries whose terms exceed the one that the
    /// follower named: there they cannot agree.
    private mutating func handleRejection(_ message: Message, slot: Int) {
        var probe = message.rejectHint
        if message.logTerm > 0, probe <= log.lastIndex {
            probe = log.findConflict(from: probe, byTerm: message.logTerm).index
        }
        guard tracker.progress[slot].decrease(rejected: message.index, hint: probe) else { return }
        if tracker.progress[slot].state == .replicate { tracker.progress[slot].becomeProbe() }
        sendAppend(toSlot: slot, evenIfEmpty: true)
    }

    private mutating func handleAcknowledgement(_ message: Message, slot: Int) {
        let isNew = tracker.progress[slot].update(match: message.index)
        // An old acknowledgement also ends probing, as it shows where the logs agree.
        let endsProbe =
            tracker.progress[slot].state == .probe
            && tracker.progress[slot].match == message.index
        guard isNew || endsProbe else { return }
        switch tracker.progress[slot].state {
        case .probe: tracker.progress[slot].becomeReplicate()
        case .snapshot:
            // Whichever snapshot it was that arrived: from here on the log suffices.
            if tracker.progress[slot].match + 1 >= log.firstIndex {
                tracker.progress[slot].becomeProbe()
                tracker.progress[slot].becomeReplicate()
            }
        case .replicate: tracker.progress[slot].inflights.free(through: message.index)
        }
        let isOwn = message.from == id
        if advanceCommit() {
            releasePostponedReads()
            broadcastAppend()
        } else if !isOwn, tracker.progress[slot].wouldAdvance(commit: log.committed) {
            sendAppend(toSlot: slot, evenIfEmpty: true)
        }
        guard !isOwn else { return }
        // The window may have room for several messages now.
        while sendAppend(toSlot: slot, evenIfEmpty: false) {}
        if message.from == leadTransferee, tracker.progress[slot].match == log.lastIndex {
            send(Message(type: .timeoutNow, to: message.from))
        }
    }

    /// Commits what a quorum holds, if that reaches an entry of the own term.
    mutating func advanceCommit() -> Bool {
        log.commit(at: LogPosition(index: tracker.committedIndex, term: term))
    }
}
