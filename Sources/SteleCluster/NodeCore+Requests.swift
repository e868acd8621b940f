import SteleAPI
import SteleBase
import SteleClock
import SteleRaft
import SteleTablet

/// How any node serves any client: a request goes to the leader of its tablet, wherever that is,
/// and is tried again, under the same transaction id, until it is answered or its time is over.
///
/// An answer may be lost with the connection that it was sent on, without this node's noticing; so
/// a request that stays unanswered is sent again. See NodeCore+Routing.swift for where, and
/// NodeCore+Forwarded.swift for the node that gets it.
///
/// Invariants:
/// - A commit that may have reached a leader is never reported as failed, unless a leader looked for
///   it and then refused it for a reason that does not go away. A leader looks for the transaction's
///   own versions first, so repeating a commit does not repeat its effects.
/// - Only the latest attempt may say no: what an earlier one was refused for may be over. Attempts
///   that travel directly to one leader arrive in order and name its term, so an earlier one takes
///   no effect after a later one was answered; of those that are passed on this is not known, so
///   while one is open a commit is refused only for reasons that hold for it as well.
/// - A lock that was granted to a transaction that is over is given up: at once if a leader can be
///   reached, and else when a leader asks about it; see NodeCore+LockAudit.swift.
extension NodeCore {
    private static let releasePatience: UInt64 = 10_000_000

    /// Takes in a request of this node's clients; its answer appears among the effects' replies.
    package func submit(
        _ request: TabletRequest, token: UInt64?, timeoutMicroseconds: UInt64
    ) {
        var request = request
        switch request.body {
        case .commit(var commit):
            // Not the hybrid clock, which a change of leaders may have set far ahead; and none of an
            // unconfirmed clock's time: a leader looks at more versions then, but takes no harm.
            commit.begun = min(
                Timestamp(microseconds: clock.physical),
                isClockConfirmed
                    ? clock.hybrid.peek(physical: clock.physical).previous : clock.hybrid.last)
            // What is written after a watermark was applied here lies above it, whatever the clock.
            let tablet = tablets.first { $0.descriptor.range.contains(request.routingKey) }
            commit.begun = max(commit.begun, tablet?.watermark ?? .zero)
            request.body = .commit(commit)
            lockers.remove(request.transaction)
        case .release: lockers.remove(request.transaction)
        case .lock: lockers.insert(request.transaction)
        case .read, .scan, .unlock: break
        }
        lastRequest += 1
        pending[lastRequest] = PendingRequest(
            request: request, asker: token.map { .client($0) } ?? .nobody,
            timeout: timeoutMicroseconds, deadline: clock.monotonic + timeoutMicroseconds)
        if let token { clientRequests[token] = lastRequest }
        if case .lock(let lock) = request.body, let timeout = lock.timeoutMicroseconds {
            pending[lastRequest]?.lockDeadline = clock.monotonic &+ timeout
        }
        route(lastRequest)
    }

    /// The client that asked under `token` waits no longer: its request ends at once, whatever
    /// becomes of it elsewhere. Does nothing if it has ended.
    package func cancel(token: UInt64) {
        guard let id = clientRequests[token], let request = pending[id] else { return }
        giveUp(id, request, .init(.cancelled, "the call was cancelled"))
    }

    /// Takes in an answer to a request.
    func complete(_ attempt: RequestAttempt, _ reply: TabletReply, from node: NodeID) {
        guard var request = pending[attempt.id] else { return undo(attempt.id, reply) }
        request.noteAnswer(to: attempt.number, from: node, reply)
        let isLatest = request.target == node && request.attempt == attempt.number
        if isLatest { request.target = .none }
        if request.attempt == 1 { request.asked = [] }
        pending[attempt.id] = request
        guard case .failed(let failure) = reply else { return finish(attempt.id, reply) }
        guard isLatest else { return }
        if request.isPassedOn { return finish(attempt.id, reply) }
        switch failure.reason {
        case .notLeader, .stopped, .notInitialized:
            let isNews = noteHint(failure, of: tabletID(of: request.request))
            request.retryAt = clock.monotonic + (isNews ? 0 : request.nextBackoff())
        case .outcomeUnknown:
            request.isAmbiguous = true
            request.retryAt = clock.monotonic + request.nextBackoff()
        case .overloaded, .storage, .invalid, .tooLarge, .timedOut:
            guard request.isAmbiguous else { return finish(attempt.id, reply) }
            request.retryAt = clock.monotonic + request.nextBackoff()
        case .begunTooEarly:
            guard request.beginAnew(above: failure.watermark) else {
                return giveUp(attempt.id, request, failure)
            }
            mark("cluster: a commit begins anew above the watermark")
            request.retryAt = clock.monotonic
        case .conflict, .deadlock, .lockNotAvailable, .lockLost, .cancelled, .snapshotTooOld:
            guard request.hasAttemptOfSameTerm, request.mayYetBeGranted(after: failure.reason)
            else {
                return finish(attempt.id, reply)
            }
            mark("cluster: a refusal does not count while another attempt is under way")
            request.isAmbiguous = true
            request.retryAt = clock.monotonic + request.nextBackoff()
        }
        pending[attempt.id] = request
        if let due = request.retryAt { retries.append((due, attempt.id)) }
    }

    /// Takes back what an answer that nobody waits for any more says was done, or may have been.
    func undo(_ id: UInt64, _ reply: TabletReply) {
        switch reply {
        case .locked: break
        // Of a node that passed it on, and lost the leader.
        case .failed(let failure)
        where failure.reason == .notLeader || failure.reason == .outcomeUnknown: break
        default: return
        }
        // A transaction of another node may be under way there.
        guard let lock = abandonedLocks.lock(of: id), lock.transaction.node == configuration.node
        else { return }
        mark("cluster: a lock that nobody waits for any more is given up")
        giveUp(lock)
    }

    /// Gives up the locks of a transaction of this node that is over.
    private func giveUp(_ lock: AbandonedLocks.Lock) {
        if !lockers.contains(lock.transaction) { release(lock.transaction, near: lock.key) }
    }

    /// Has the locks of a transaction of this node given up; nobody waits for that.
    func release(_ transaction: TransactionID, near key: KeyBytes) {
        submit(
            TabletRequest(transaction: transaction, body: .release(near: key)), token: nil,
            timeoutMicroseconds: Self.releasePatience)
    }

    /// Tries again what is due; true if there was anything.
    func routeDue() -> Bool {
        guard !retries.isEmpty else { return false }
        let now = clock.monotonic
        let due = retries.filter { $0.due <= now }
        guard !due.isEmpty else { return false }
        retries.removeAll { $0.due <= now }
        for retry in due where pending[retry.id]?.target == NodeID.none { route(retry.id) }
        return true
    }

    var nextRetry: UInt64 {
        var next = UInt64.max
        for retry in retries { next = min(next, retry.due) }
        return next
    }

    /// Gives up what has waited too long, and asks again where an answer is overdue.
    func checkRequests() {
        let now = clock.monotonic
        for id in pending.keys.sorted() {
            guard var request = pending[id] else { continue }
            let isAsked = request.target != .none && isLive(request.target)
            if isAsked, request.isLockWait {
                request.deadline = now + request.timeout
                pending[id]?.deadline = request.deadline
            }
            if request.deadline <= now {
                giveUp(id, request, .init(.notLeader, whyNoLeader))
            } else if request.target != .none, request.target != configuration.node {
                if !isAsked {
                    // Not disconnected, but deaf: hung, or cut off without a reset.
                    dropHints(to: request.target)
                    retryNow(id)
                } else if now >= request.askedAt + request.patience, !request.isPassedOn {
                    mark("cluster: a request is asked again")
                    retryNow(id)
                }
            }
        }
    }

    /// Ends a request without an answer.
    func giveUp(
        _ id: UInt64, _ request: PendingRequest, _ failure: TabletReply.Failure
    ) {
        let mayBeInEffect =
            request.request.isCommit && (request.isAmbiguous || request.target != .none)
        // It may wait behind a lock: nobody would expect it to take effect once that is free.
        if mayBeInEffect, !request.isPassedOn {
            submit(
                TabletRequest(
                    transaction: request.request.transaction,
                    body: .release(near: request.request.routingKey)),
                token: nil, timeoutMicroseconds: Self.releasePatience)
        }
        finish(
            id,
            .failed(
                mayBeInEffect
                    ? .init(.outcomeUnknown, "no answer came: \(failure.message)") : failure))
    }

    private var whyNoLeader: String {
        let text = "no leader with a majority could be reached in time"
        if clockWait > 0 {
            return text + "; this node's clock is \(clockWait / 1000) ms behind what it gave before"
        }
        return isClockDoubtful ? text + "; other nodes' clocks contradict this one's" : text
    }

    /// Requests that were sent to `node` will not be answered.
    func loseRequests(sentTo node: NodeID) {
        dropHints(to: node)
        for id in pending.keys.sorted() where pending[id]?.target == node { retryNow(id) }
        for lock in abandonedLocks.unanswered(by: node)
        where lock.transaction.node == configuration.node {
            mark("cluster: a lock whose answer may be lost is given up")
            giveUp(lock)
        }
    }

    /// Has a request tried again in this turn; one that was passed on goes back to who passed it.
    func retryNow(_ id: UInt64) {
        guard var request = pending[id] else { return }
        if request.request.isCommit, request.target != .none { request.isAmbiguous = true }
        if request.isPassedOn {
            return giveUp(id, request, .init(.notLeader, "the leader cannot be reached"))
        }
        request.target = .none
        request.retryAt = clock.monotonic
        pending[id] = request
        retries.append((clock.monotonic, id))
    }

    func finish(_ id: UInt64, _ reply: TabletReply) {
        guard let request = pending.removeValue(forKey: id) else { return }
        // Nothing more is under way if the only attempt was answered, or never made.
        if request.request.isLock, !request.asked.isEmpty || request.target != .none {
            abandonedLocks.note(id, request, at: clock.monotonic)
        }
        switch request.asker {
        case .nobody: break
        case .client(let token):
            clientRequests[token] = nil
            effects.replies.append((token, reply))
        case .peer: answerPeer(id, reply)
        }
    }
}

extension PendingRequest {
    /// Whether an earlier attempt at a commit could take effect although a later one was refused.
    ///
    /// Not where versions or grants are in the way: versions stay, and a grant that was lost is never
    /// given again, but a commit without locks needs none. What was committed by the leader of an
    /// earlier term, the one that refused would have found. An expected value may come back, and a lock
    /// may be free by then.
    fileprivate func mayYetBeGranted(after reason: TabletReply.Failure.Reason) -> Bool {
        guard case .commit(let commit) = request.body else { return false }
        return switch reason {
        case .lockLost: commit.locks.isEmpty
        case .conflict: !commit.expected.isEmpty
        default: true
        }
    }

    /// Has a commit that was refused because it began below a watermark looked for from there on, if
    /// no attempt of it can be in effect: what it writes from now on lies above that watermark.
    fileprivate mutating func beginAnew(above watermark: Timestamp) -> Bool {
        guard case .commit(var commit) = request.body, !isAmbiguous, !hasOpenAttempts,
            commit.begun < watermark
        else { return false }
        commit.begun = watermark
        request.body = .commit(commit)
        return true
    }

    /// A wait in the lock table of a leader that can be reached has its own time limit.
    fileprivate var isLockWait: Bool {
        if case .lock(let lock) = request.body { lock.wait == .wait } else { false }
    }
}
