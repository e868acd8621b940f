import SteleBase
import SteleRaft
import SteleTablet

/// Where a request goes: to the leader, or to a node that can reach it.
///
/// What is known of a leader counts only while its node is live and connected. A node that cannot
/// reach the leader, or knows none, asks the tablet's replicas in turn; one of them passes the
/// request on if it can, once. So under a partial partition every node that reaches a majority
/// serves, and a node without a replica is not left with a leader that hangs.
extension NodeCore {
    /// Who leads a tablet, by this node's replica or by what others told; the later term counts.
    func knownLeader(of id: TabletID) -> LeaderHint? {
        var known = leaderHints[id]
        if let index = tablets.firstIndex(where: { $0.descriptor.id == id }) {
            let group = tablets[index].group
            if group.term >= known?.term ?? 0 {
                known = tablets[index].descriptor.node(of: group.lead)
                    .map { LeaderHint(node: $0, term: group.term) }
            }
        }
        return known
    }

    /// Takes in whom a refusal names; true if that was not known.
    func noteHint(_ failure: TabletReply.Failure, of tablet: TabletID) -> Bool {
        guard failure.leader != .none, failure.leader != configuration.node else { return false }
        if let known = knownLeader(of: tablet), known.term >= failure.term { return false }
        leaderHints[tablet] = LeaderHint(node: failure.leader, term: failure.term)
        return true
    }

    func dropHints(to node: NodeID) {
        for (tablet, hint) in leaderHints where hint.node == node { leaderHints[tablet] = nil }
    }

    /// A leader is known again: whoever still waits for another one is sent there.
    func redirectRequests(of tablet: TabletID, to leader: NodeID) {
        for id in pending.keys.sorted() {
            guard let request = pending[id], request.target != leader,
                tabletID(of: request.request) == tablet
            else { continue }
            retryNow(id)
        }
    }

    /// Sends a request to where it can be served, or puts it off.
    func route(_ id: UInt64) {
        guard var request = pending[id] else { return }
        request.retryAt = nil
        guard request.shortenLockWait(at: clock.monotonic) else {
            return finish(
                id,
                .failed(
                    .init(
                        .lockNotAvailable,
                        "the lock was not granted in the time that the call was given")))
        }
        guard let descriptor = tabletHolding(request.request.routingKey) else {
            return finish(id, .failed(.init(.invalid, "no tablet holds the key")))
        }
        let local = tablets.first { $0.descriptor.id == descriptor.id }
        let known = knownLeader(of: descriptor.id)
        if let known, known.node == configuration.node, let local {
            request.noteAttempt(at: known.node, term: known.term, isSent: false)
            pending[id] = request
            evaluate(request.request, at: local, origin: id)
        } else if let known, canReach(known.node) {
            send(request, id: id, to: known.node, term: known.term, .direct)
        } else if known != nil || local == nil || request.hasWaited,
            let other = otherReplica(of: descriptor, than: known?.node, request)
        {
            mark("cluster: a request goes to a node that may pass it on")
            send(request, id: id, to: other, term: known?.term ?? 0, .mayBePassedOn)
        } else {
            let delay = request.nextBackoff()
            putOff(request, id: id, for: delay)
        }
    }

    private func canReach(_ node: NodeID) -> Bool { isConnected(node) && isLive(node) }

    /// The next one of a tablet's replicas that may know or reach the leader.
    private func otherReplica(
        of descriptor: TabletDescriptor, than leader: NodeID?, _ request: PendingRequest
    ) -> NodeID? {
        let others = descriptor.replicas.map(\.node).filter {
            $0 != configuration.node && $0 != leader && canReach($0)
        }
        return others.isEmpty ? nil : others[Int(request.attempt % UInt64(others.count))]
    }

    private func send(
        _ request: PendingRequest, id: UInt64, to node: NodeID, term: Term,
        _ passage: RequestHeader.Passage
    ) {
        guard let peer = outgoing.firstIndex(where: { $0.node == node }) else { return }
        var request = request
        let size = request.request.sizeHint
        if outgoing[peer].isCongested, size >= Self.smallRequestBytes {
            return putOff(request, id: id, for: PendingRequest.shortestBackoff)
        }
        request.noteAttempt(at: node, term: passage == .direct ? term : nil, isSent: true)
        request.askedAt = clock.monotonic
        if !request.asked.contains(node) { request.asked.append(node) }
        pending[id] = request
        let attempt = RequestAttempt(id: id, number: request.attempt)
        let header = RequestHeader(attempt, term: term, passage: passage)
        if travelsInParts(request.request) {
            areRequestsInParts = true
            return requestsInParts[peer].append(RequestInParts(header: header))
        }
        outgoing[peer].messages.append(.request(header, request.request))
        outgoing[peer].added += size
    }

    /// What may be added to a link that has enough to send already.
    private static let smallRequestBytes = 16 << 10

    private func putOff(_ request: PendingRequest, id: UInt64, for delay: UInt64) {
        var request = request
        request.target = .none
        request.retryAt = clock.monotonic + delay
        pending[id] = request
        retries.append((clock.monotonic + delay, id))
    }

    /// Passes a request of another node on to a leader, who answers this node.
    func passOn(_ request: TabletRequest, of remote: RemoteRequest, to leader: LeaderHint) {
        let id = noteRemote(remote)
        let passed = PendingRequest(
            request: request, asker: .peer, timeout: Self.passagePatience,
            deadline: clock.monotonic + Self.passagePatience)
        pending[id] = passed
        mark("cluster: a request is passed on")
        send(passed, id: id, to: leader.node, term: leader.term, .passedOn)
        // Whoever asked tries again at once what this node cannot send at once.
        if pending[id]?.target == NodeID.none { retryNow(id) }
    }

    private static let passagePatience: UInt64 = 10_000_000

    func tabletID(of request: TabletRequest) -> TabletID {
        tabletHolding(request.routingKey)?.id ?? .system
    }

    func tabletHolding(_ key: KeyBytes) -> TabletDescriptor? {
        configuration.tablets.first { $0.range.contains(key) }
    }
}
