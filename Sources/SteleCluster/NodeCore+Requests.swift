import SteleAPI
import SteleBase
import SteleClock
import SteleRaft
import SteleTablet

/// A request that entered the cluster at this node and is not answered yet.
struct PendingRequest {
    var request: TabletRequest
    /// The host's name for it; nil if nobody waits for its answer.
    var token: UInt64?
    /// Monotonic time after which it is given up.
    var deadline: UInt64
    /// The node that was asked and has not answered; none while it waits for its next try.
    var target = NodeID.none
    /// When to try again.
    var retryAt: UInt64?
    /// Whether an attempt to commit ended without an answer: it may be in effect.
    var isAmbiguous = false
}

/// A request that another node forwarded: that node, and what it calls the request.
struct RemoteRequest: Hashable {
    var node: NodeID
    var id: UInt64
}

/// How any node serves any client: a request goes to the leader of its tablet, wherever that is,
/// and is tried again, under the same transaction id, until it is answered or its time is over.
///
/// Invariant: a commit that may have reached a leader is never reported as failed, unless a leader
/// looked for it and then refused it for a reason that does not go away. A leader looks for the
/// transaction's own versions first, so repeating a commit does not repeat its effects.
extension NodeCore {
    private static let retryDelay: UInt64 = 20_000
    private static let releasePatience: UInt64 = 10_000_000

    /// Takes in a request of this node's clients; its answer appears among the effects' replies.
    package func submit(
        _ request: TabletRequest, token: UInt64?, timeoutMicroseconds: UInt64
    ) {
        var request = request
        if case .commit(var commit) = request.body {
            // Not the hybrid clock, which a change of leaders may have set far ahead; and none of an
            // unconfirmed clock's time: a leader looks at more versions then, but takes no harm.
            commit.begun = min(
                Timestamp(microseconds: clock.physical),
                isClockConfirmed
                    ? clock.hybrid.peek(physical: clock.physical).previous : clock.hybrid.last)
            request.body = .commit(commit)
        }
        lastRequest += 1
        pending[lastRequest] = PendingRequest(
            request: request, token: token, deadline: clock.monotonic + timeoutMicroseconds)
        route(lastRequest)
    }

    /// Evaluates a request that another node forwarded. It is not passed on from here.
    ///
    /// One that came before, over a connection that was lost since, and still waits here is answered
    /// once: two of the same transaction must not wait in one queue for a lock.
    func handleRemote(_ request: TabletRequest, id: UInt64, from node: NodeID) {
        let origin = RemoteRequest(node: node, id: id)
        guard remoteRequests.insert(origin).inserted else { return }
        lastRequest += 1
        remoteOrigins[lastRequest] = origin
        guard let descriptor = tabletHolding(request.routingKey),
            let tablet = tablets.first(where: { $0.descriptor.id == descriptor.id })
        else {
            return answer(lastRequest, .failed(.init(.notLeader, "this node has no replica")))
        }
        if request.isRead, let peer = outgoing.firstIndex(where: { $0.node == node }),
            outgoing[peer].isCongested
        {
            mark("cluster: a read waits for the network")
            return congested.append((tablet, request, lastRequest, peer))
        }
        evaluate(request, at: tablet, origin: lastRequest)
    }

    /// Has reads looked at whose peers take again what they are sent.
    ///
    /// They take no locks, so it does not matter what overtakes them. Without this the link would
    /// be given up for being too slow, and with it this node's leaderships.
    func evaluateCongested() {
        guard !congested.isEmpty else { return }
        let waiting = congested
        congested = []
        for read in waiting {
            if outgoing[read.peer].isCongested {
                congested.append(read)
            } else {
                evaluate(read.request, at: read.tablet, origin: read.origin)
            }
        }
    }

    /// Has a tablet of this node look at a request.
    ///
    /// A large one, with what comes after it, waits for the next turn: to read it took long
    /// already, and the heartbeats of this turn leave first. Requests keep their order, but for
    /// reads whose answers have to wait for a turn or a link with room.
    private func evaluate(_ request: TabletRequest, at tablet: Tablet, origin: UInt64) {
        guard
            !postponed.isEmpty || request.sizeHint > Self.largeRequestBytes
                || faultPoint("cluster: postpone a request")
        else { return tablet.handle(request, origin: origin) }
        mark("cluster: a request waits for the next turn")
        postponed.append((tablet, request, origin))
    }

    /// Has the requests that the last turn put off looked at, up to the first large one.
    func evaluatePostponed() {
        guard !postponed.isEmpty else { return }
        let last = postponed.firstIndex { $0.request.sizeHint > Self.largeRequestBytes }
        let count = last.map { $0 + 1 } ?? postponed.count
        let due = Array(postponed[..<count])
        postponed.removeFirst(count)
        for (tablet, request, origin) in due { tablet.handle(request, origin: origin) }
    }

    private static let largeRequestBytes = 1 << 20
    /// What may be added to a link that has enough to send already.
    private static let smallRequestBytes = 16 << 10

    /// Sends an answer to whoever asked: a client of this node, or another node.
    func answer(_ origin: UInt64, _ reply: TabletReply) {
        if pending[origin] != nil {
            complete(origin, reply, from: configuration.node)
        } else if let remote = remoteOrigins.removeValue(forKey: origin) {
            remoteRequests.remove(remote)
            guard let peer = outgoing.firstIndex(where: { $0.node == remote.node }) else { return }
            outgoing[peer].messages.append(.reply(remote.id, reply))
        }
    }

    /// Takes in an answer to request `id`.
    func complete(_ id: UInt64, _ reply: TabletReply, from node: NodeID) {
        guard var request = pending[id] else { return }
        guard case .failed(let failure) = reply else { return finish(id, reply) }
        // Of several attempts only the latest may say no: an earlier one may have been overtaken.
        guard request.target == node else { return }
        request.target = .none
        switch failure.reason {
        case .notLeader:
            let hint = failure.leader
            if hint != .none, hint != node { leaderHints[tabletID(of: request.request)] = hint }
            request.retryAt =
                hint != .none && hint != node
                ? clock.monotonic : clock.monotonic + Self.retryDelay
        case .outcomeUnknown:
            request.isAmbiguous = true
            request.retryAt = clock.monotonic + Self.retryDelay
        case .overloaded, .storage, .invalid, .tooLarge:
            guard request.isAmbiguous else { return finish(id, reply) }
            request.retryAt = clock.monotonic + Self.retryDelay
        case .conflict, .deadlock, .lockNotAvailable, .lockLost: return finish(id, reply)
        }
        pending[id] = request
        if let due = request.retryAt { retries.append((due, id)) }
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

    var nextRetry: UInt64? { retries.lazy.map(\.due).min() }

    /// Gives up what has waited too long.
    func expireRequests() {
        let now = clock.monotonic
        let expired = pending.filter { $0.value.deadline <= now && !outlastsDeadline($0.value) }
        for (id, request) in expired.sorted(by: { $0.key < $1.key }) {
            let mayBeInEffect =
                request.request.isCommit && (request.isAmbiguous || request.target != .none)
            // It may wait behind a lock: nobody would expect it to take effect once that is free.
            if mayBeInEffect {
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
                        ? .init(.outcomeUnknown, "no answer came before the timeout")
                        : .init(.notLeader, whyNoLeader)))
        }
    }

    private var whyNoLeader: String {
        let text = "no leader with a majority could be reached in time"
        guard clockWait > 0 else { return text }
        return text + "; this node's clock is \(clockWait / 1000) ms behind its last run's"
    }

    /// A leader is known again: whoever still waits for another one is sent there.
    func redirectRequests(of tablet: TabletID, to leader: NodeID) {
        guard leader != .none else { return }
        leaderHints[tablet] = leader
        for id in pending.keys.sorted() {
            guard let request = pending[id], request.target != leader,
                tabletID(of: request.request) == tablet
            else { continue }
            retryNow(id)
        }
    }

    /// Requests that were sent to `node` will not be answered.
    func loseRequests(sentTo node: NodeID) {
        for id in pending.keys.sorted() where pending[id]?.target == node { retryNow(id) }
        for (tablet, hint) in leaderHints where hint == node { leaderHints[tablet] = nil }
    }

    private func retryNow(_ id: UInt64) {
        guard var request = pending[id] else { return }
        if request.request.isCommit, request.target != .none { request.isAmbiguous = true }
        request.target = .none
        request.retryAt = clock.monotonic
        pending[id] = request
        retries.append((clock.monotonic, id))
    }

    private func route(_ id: UInt64) {
        guard var request = pending[id] else { return }
        request.retryAt = nil
        guard let descriptor = tabletHolding(request.request.routingKey) else {
            return finish(id, .failed(.init(.invalid, "no tablet holds the key")))
        }
        let local = tablets.first { $0.descriptor.id == descriptor.id }
        var target = leaderHints[descriptor.id] ?? .none
        if let local, local.group.lead != .none {
            target = descriptor.node(of: local.group.lead) ?? .none
        } else if local == nil, target == .none {
            target = descriptor.replicas.first { isLive($0.node) }?.node ?? .none
        }
        if target == configuration.node, let local {
            request.target = target
            pending[id] = request
            evaluate(request.request, at: local, origin: id)
        } else if target != .none, target != configuration.node, isConnected(target),
            let peer = outgoing.firstIndex(where: { $0.node == target }),
            !outgoing[peer].isCongested || request.request.sizeHint < Self.smallRequestBytes
        {
            request.target = target
            pending[id] = request
            outgoing[peer].messages.append(.request(id, request.request))
            outgoing[peer].added += request.request.sizeHint
        } else {
            if target == .none || !isConnected(target) { leaderHints[descriptor.id] = nil }
            request.retryAt = clock.monotonic + Self.retryDelay
            pending[id] = request
            retries.append((clock.monotonic + Self.retryDelay, id))
        }
    }

    private func finish(_ id: UInt64, _ reply: TabletReply) {
        guard let request = pending.removeValue(forKey: id) else { return }
        if let token = request.token { effects.replies.append((token, reply)) }
    }

    /// A wait in the lock table of a leader that can be reached has its own time limit. Releases
    /// have none: locks that nobody gives up stay for as long as their node lives.
    private func outlastsDeadline(_ request: PendingRequest) -> Bool {
        switch request.request.body {
        case .lock(let lock) where lock.wait == .wait:
            request.target != .none && isLive(request.target)
        case .release: true
        default: false
        }
    }

    private func tabletID(of request: TabletRequest) -> TabletID {
        tabletHolding(request.routingKey)?.id ?? .system
    }

    private func tabletHolding(_ key: KeyBytes) -> TabletDescriptor? {
        configuration.tablets.first { $0.range.contains(key) }
    }
}
