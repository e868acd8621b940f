import SteleBase
import SteleRaft
import SteleTablet

/// A large request that is being sent to a peer.
struct RequestInParts {
    var header: RequestHeader
    /// How much of it was sent.
    var sent = CommitPlace()
    /// How many of its parts the peer is known to have taken in.
    var taken = 0
}

/// What has come of a large request of a peer.
struct IncomingParts {
    let attempt: RequestAttempt
    var count: Int
    var commit: TabletRequest.CommitRequest
}

/// How a very large commit travels to the leader: in parts, one a turn.
///
/// To write a million locks and writes into one message, and to read them, takes as long as a leader
/// may be silent. So they travel some at a time, and the commit itself last; heartbeats and other
/// requests go in between. Should a part get lost, what has come is of no use, and the request is
/// asked again like any other that stays unanswered.
///
/// What is sent and not yet taken in is limited: whatever else goes to the peer meanwhile waits
/// behind it, in buffers of two kernels that hold many megabytes.
///
/// Invariant: parts of one request at a time are on the way to a peer, in order; parts of another
/// one mean that the rest of the first will not come.
extension NodeCore {
    /// A commit of more bytes than this travels in parts.
    private static let wholeRequestBytes = 128 << 10
    private static let requestPartBytes = 64 << 10
    /// Parts that may be on the way: what a connection takes in a few milliseconds, or with a tenth of
    /// a second of delay 10 MiB a second.
    private static let partsOnTheWay = 16

    func travelsInParts(_ request: TabletRequest) -> Bool {
        request.isCommit
            && (request.sizeHint > Self.wholeRequestBytes
                || faultPoint("cluster: a request travels in parts"))
    }

    /// Whether the next turn has a part to send.
    var hasPartsToSend: Bool {
        areRequestsInParts && outgoing.indices.contains(where: mayTakePart)
    }

    private func mayTakePart(_ peer: Int) -> Bool {
        guard let first = requestsInParts[peer].first, !outgoing[peer].isCongested else {
            return false
        }
        return first.header.parts - first.taken < Self.partsOnTheWay
    }

    /// Sends the next part to each peer that takes it.
    func sendParts() {
        guard areRequestsInParts else { return }
        for peer in outgoing.indices where mayTakePart(peer) { sendPart(to: peer) }
        areRequestsInParts = requestsInParts.contains { !$0.isEmpty }
    }

    private func sendPart(to peer: Int) {
        noteProgress(to: peer)
        while var next = requestsInParts[peer].first {
            let attempt = next.header.attempt
            // Given up, or asked again, since.
            guard let request = pending[attempt.id], request.attempt == attempt.number,
                request.target == outgoing[peer].node,
                case .commit(let commit) = request.request.body
            else {
                requestsInParts[peer].removeFirst()
                continue
            }
            let bytes =
                faultPoint("cluster: a small part of a request") ? 1 : Self.requestPartBytes
            if let part = commit.part(from: &next.sent, bytes: bytes) {
                outgoing[peer].messages.append(
                    .requestPart(
                        attempt, number: next.header.parts,
                        TabletRequest(
                            transaction: request.request.transaction, body: .commit(part))))
                next.header.parts += 1
                requestsInParts[peer][0] = next
                outgoing[peer].added += part.sizeHint
            } else {
                mark("cluster: a request has travelled in parts")
                outgoing[peer].messages.append(
                    .request(
                        next.header,
                        TabletRequest(
                            transaction: request.request.transaction,
                            body: .commit(commit.withoutParts))))
                requestsInParts[peer].removeFirst()
            }
            return
        }
    }

    /// While parts go and are taken in, none of the requests is overdue.
    private func noteProgress(to peer: Int) {
        for request in requestsInParts[peer]
        where pending[request.header.attempt.id]?.attempt == request.header.attempt.number {
            pending[request.header.attempt.id]?.askedAt = clock.monotonic
        }
    }

    func partsTaken(_ count: Int, of attempt: RequestAttempt, by peer: Int) {
        guard let first = requestsInParts[peer].first, first.header.attempt == attempt,
            count > first.taken, count <= first.header.parts
        else { return }
        requestsInParts[peer][0].taken = count
        noteProgress(to: peer)
    }

    /// Takes in the next part of a request.
    func takePart(
        _ request: TabletRequest, _ number: Int, of attempt: RequestAttempt, from peer: Int
    ) {
        guard case .commit(let part) = request.body else { return }
        if number == 0 {
            incomingParts[peer] = IncomingParts(attempt: attempt, count: 1, commit: part)
        } else if incomingParts[peer]?.attempt == attempt, incomingParts[peer]?.count == number,
            incomingParts[peer]?.commit.append(part) ?? false
        {
            incomingParts[peer]?.count += 1
        } else {
            incomingParts[peer] = nil
            return
        }
        outgoing[peer].messages.append(.partsTaken(attempt, count: number + 1))
    }

    /// A request with the parts that came before it; nil if it lacks any.
    func assembled(
        _ request: TabletRequest, _ header: RequestHeader, from peer: Int
    ) -> TabletRequest? {
        guard header.parts > 0 else { return request }
        guard case .commit(let commit) = request.body, let parts = incomingParts[peer],
            parts.attempt == header.attempt, parts.count == header.parts
        else {
            mark("cluster: a request lacks a part")
            return nil
        }
        incomingParts[peer] = nil
        return TabletRequest(
            transaction: request.transaction, body: .commit(commit.with(parts.commit)))
    }
}
