import SteleBase

/// Hibernation: a group that has nothing to do stops its clock, on all members together.
///
/// After `hibernationTicks` without work the leader's heartbeats name the end of its log. A follower
/// whose own log ends there, durable and applied, falls asleep and says so; once all members have
/// said so, the leader falls asleep too. From then on ticks do nothing and nobody sends anything.
///
/// Whatever may mean work wakes a replica before it is handled: each request, and each message of
/// the term that does not belong to falling asleep. A follower that was not woken by its leader
/// tells it, and a leader that wakes sends heartbeats at its next tick, which wake all others.
///
/// Who sleeps does not notice what becomes of the others; that is for the owner, who has to call
/// ``RaftGroup/wake()``.
///
/// Invariant: a replica that sleeps follows or leads, and its log is durable and applied to its
/// end; while a leader sleeps, every member's log ends there as well. Safety never depends on it,
/// because nothing is judged by a clock that stood: votes wake, and reads by lease are excluded.
extension RaftCore {
    /// Whether everything that this replica knows of is done.
    private var isSettled: Bool {
        log.applied == log.lastIndex && log.unstable.entries.isEmpty && !log.hasSnapshotUnderWay
    }

    /// Whether this leader lets its group fall asleep.
    ///
    /// Not while somebody was silent since the last check of the quorum: those who hear it, but are
    /// not heard, would sleep behind a leader that steps down.
    var invitesToSleep: Bool {
        configuration.hibernationTicks > 0 && idleTicks >= configuration.hibernationTicks
            && isSettled && leadTransferee == .none && !tracker.membership.autoLeave
            && readQueue.newestRound == nil && postponedReads.isEmpty
            && tracker.slot(of: id) != nil
            && tracker.progress.allSatisfy {
                $0.match == log.lastIndex && ($0.recentlyActive || $0.id == id)
            }
    }

    /// Notes that a member sleeps at the end of the log; the last one takes the leader with it.
    mutating func noteSleep(ofSlot slot: Int, at index: LogIndex) {
        tracker.progress[slot].isAsleep = index > 0 && index == log.lastIndex && invitesToSleep
        if tracker.progress[slot].isAsleep { sleepIfAllDo() }
    }

    /// The leader falls asleep last.
    mutating func sleepIfAllDo() {
        guard invitesToSleep, tracker.progress.allSatisfy({ $0.isAsleep || $0.id == id }) else {
            return
        }
        isHibernated = true
        mark("raft: a leader falls asleep")
    }

    /// Falls asleep if the leader's heartbeat asks for it and nothing is left to do here.
    mutating func followToSleep(_ heartbeat: Message) -> Bool {
        let end = LogPosition(index: heartbeat.index, term: heartbeat.logTerm)
        isHibernated =
            configuration.hibernationTicks > 0 && heartbeat.index > 0 && isSettled
            && log.lastPosition == end
        return isHibernated
    }

    /// Starts the clock again, because there may be something to do.
    mutating func wake(by sender: ReplicaID = .none) {
        idleTicks = 0
        guard isHibernated else { return }
        isHibernated = false
        electionElapsed = 0
        heartbeatElapsed = configuration.heartbeatTicks
        if role == .follower, lead != sender {
            send(Message(type: .heartbeatResponse, to: lead))
        }
    }

    /// A leader that steps down because it hears of nobody may still be heard by those whom it
    /// invited to sleep.
    mutating func wakeFollowers() {
        guard configuration.hibernationTicks > 0 else { return }
        wake()
        broadcastHeartbeat()
    }

    /// Tells a leader that is not heard of that it must not sleep: what this replica said when it
    /// woke may have been overtaken by what it said when it fell asleep. Others would campaign; who
    /// is no member any more is told nothing and has nothing to say.
    mutating func remindLeader() {
        guard configuration.hibernationTicks > 0, role == .follower, lead != .none,
            tracker.slot(of: id) != nil,
            electionElapsed % configuration.electionTicks == 0
        else { return }
        send(Message(type: .heartbeatResponse, to: lead))
    }

    /// Whether a message leaves a sleeping replica asleep, and does not count as work for others.
    func isRestful(_ message: Message) -> Bool {
        if message.term > term { return false }
        if message.term > 0, message.term < term { return true }
        switch message.type {
        case .storageAppendResponse, .storageApplyResponse: return true
        case .appendResponse: return message.from == id
        case .heartbeat: return message.term == term && message.from == lead && message.index > 0
        case .heartbeatResponse:
            return !isHibernated
                || (message.term == term && role == .leader && message.index == log.lastIndex)
        default: return false
        }
    }
}
