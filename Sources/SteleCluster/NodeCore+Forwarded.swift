import SteleBase
import SteleRaft
import SteleTablet

/// What a node does with requests that other nodes forwarded to it, and with those of its own
/// clients for tablets that it leads.
extension NodeCore {
    /// Takes in a request of a peer, as soon as it can be answered.
    ///
    /// A connection that is only received on may deliver what was sent long ago, to another node
    /// even, for a transaction that is over. An answer would be lost, and nobody would know of the
    /// lock that was granted. A release needs no answer.
    func takeIn(_ request: TabletRequest, _ header: RequestHeader, from peer: Int) {
        if outgoing[peer].isConnected || request.isRelease {
            handleForwarded(request, header, from: outgoing[peer].node)
        } else if unanswerable[peer].count < Self.mostUnanswerable {
            mark("cluster: a request waits for a connection to whoever asked")
            unanswerable[peer].append((request, header))
        }
    }

    /// More are asked again.
    private static let mostUnanswerable = 1_024

    /// Evaluates a request that another node forwarded, passes it on, or refuses it.
    ///
    /// One that came before, over a connection that was lost since, and still waits here is answered
    /// once, as the newer attempt: two of the same transaction must not wait in one queue for a lock.
    func handleForwarded(_ request: TabletRequest, _ header: RequestHeader, from node: NodeID) {
        let remote = RemoteRequest(node: node, attempt: header.attempt, term: header.term)
        if let origin = remoteRequests[remote.name] {
            let newest = max(remoteOrigins[origin]?.attempt.number ?? 0, header.attempt.number)
            remoteOrigins[origin]?.attempt.number = newest
            return
        }
        guard let descriptor = tabletHolding(request.routingKey),
            let tablet = tablets.first(where: { $0.descriptor.id == descriptor.id })
        else { return refuse(remote, of: request) }
        if !tablet.group.isLeader, header.passage == .mayBePassedOn,
            let leader = knownLeader(of: descriptor.id), leader.node != node,
            leader.node != configuration.node, leader.term >= header.term,
            isConnected(leader.node), isLive(leader.node)
        {
            return passOn(request, of: remote, to: leader)
        }
        guard isMeant(remote, for: tablet) else { return refuse(remote, of: request) }
        let origin = noteRemote(remote)
        if request.isRead, let peer = outgoing.firstIndex(where: { $0.node == node }),
            outgoing[peer].isCongested
        {
            mark("cluster: a read waits for the network")
            return congested.append((tablet, request, origin, peer))
        }
        evaluate(request, at: tablet, origin: origin)
    }

    /// Whether a replica leads in the term that a request of another node names. It could have been
    /// sent to a leader of an earlier term, and its sender be told something else since.
    private func isMeant(_ remote: RemoteRequest, for tablet: Tablet) -> Bool {
        tablet.group.isLeader && tablet.group.term == remote.term
    }

    private func refuse(_ remote: RemoteRequest, of request: TabletRequest) {
        let known = knownLeader(of: tabletID(of: request))
        var failure = TabletReply.Failure(.notLeader, "this replica does not lead in that term")
        failure.leader = known?.node ?? .none
        failure.term = known?.term ?? 0
        guard let peer = outgoing.firstIndex(where: { $0.node == remote.node }) else { return }
        outgoing[peer].messages.append(.reply(remote.attempt, .failed(failure)))
    }

    /// Keeps whom to answer, and under which number.
    func noteRemote(_ remote: RemoteRequest) -> UInt64 {
        lastRequest += 1
        remoteOrigins[lastRequest] = remote
        remoteRequests[remote.name] = lastRequest
        return lastRequest
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
    func evaluate(_ request: TabletRequest, at tablet: Tablet, origin: UInt64) {
        guard
            !postponed.isEmpty || request.sizeHint > Self.largeRequestBytes
                || faultPoint("cluster: postpone a request")
        else { return hand(request, to: tablet, origin: origin) }
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
        for (tablet, request, origin) in due { hand(request, to: tablet, origin: origin) }
    }

    private static let largeRequestBytes = 1 << 20

    /// Leadership may have changed, and changed back, since the request came.
    private func hand(_ request: TabletRequest, to tablet: Tablet, origin: UInt64) {
        if let remote = remoteOrigins[origin], !isMeant(remote, for: tablet) {
            return answer(origin, .failed(.init(.notLeader, "leadership has changed")))
        }
        if case .lock = request.body, isOfEarlierRun(request.transaction) {
            mark("cluster: a lock for an earlier run of its node is refused")
            return answer(origin, .failed(.init(.lockLost, "its node has been started anew since")))
        }
        tablet.handle(request, origin: origin)
    }

    /// Sends an answer to whoever asked: a client of this node, or another node.
    func answer(_ origin: UInt64, _ reply: TabletReply) {
        if let request = pending[origin] {
            let attempt = RequestAttempt(id: origin, number: request.attempt)
            complete(attempt, reply, from: configuration.node)
        } else if remoteOrigins[origin] != nil {
            answerPeer(origin, reply)
        } else {
            undo(origin, reply)
        }
    }

    func answerPeer(_ origin: UInt64, _ reply: TabletReply) {
        guard let remote = remoteOrigins.removeValue(forKey: origin) else { return }
        remoteRequests[remote.name] = nil
        guard let peer = outgoing.firstIndex(where: { $0.node == remote.node }) else { return }
        outgoing[peer].messages.append(.reply(remote.attempt, reply))
    }
}
