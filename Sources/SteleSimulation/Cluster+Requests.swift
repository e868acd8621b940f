import SteleBase
import SteleClock
import SteleTablet

/// A request of a client that a node has taken in.
struct OutstandingRequest {
    var place: Int
    var life: Int
    var reply: (TabletReply?) -> Void
}

/// The clients' way into the nodes.
extension SimulatedCluster {
    /// Submits a request to a node; `reply` is called once, with nil if the node crashes first.
    func submit(
        _ request: TabletRequest, to node: SimulatedNode, token: UInt64, timeout: UInt64,
        _ reply: @escaping (TabletReply?) -> Void
    ) {
        guard node.isUp else { return reply(nil) }
        outstanding[token] = OutstandingRequest(
            place: node.place, life: node.life, reply: reply)
        trace.note(
            .client, at: now, UInt64(node.place), token,
            "request \(token) to \(node.id): \(request)")
        give(.request(request, token: token, timeout: timeout), to: node)
    }

    /// What a node reads between two turns, if it can. Nothing happens in a process that stands still.
    func answerAtOnce(_ request: TabletRequest, by node: SimulatedNode) -> TabletReply? {
        guard let core = node.core, !node.isTurnOpen, node.pausedUntil <= now,
            let permit = core.permitReads(request, monotonic: node.clock.monotonic(at: now)),
            let reply = permit.answer(request.body)
        else { return nil }
        trace.note(
            .reply, at: now, UInt64(node.place), reply.traceCode,
            "\(node.id) answers at once: \(request): \(reply)")
        return reply
    }

    /// A name for a request that is submitted next.
    func nextToken() -> UInt64 {
        lastToken += 1
        return lastToken
    }

    /// Hands a node's answer to whoever waits for it.
    func answer(_ token: UInt64, _ reply: TabletReply) {
        trace.note(.reply, at: now, token, reply.traceCode, "reply \(token): \(reply)")
        guard let request = outstanding.removeValue(forKey: token) else {
            return fail("request \(token) was answered twice")
        }
        if case .failed(let failure) = reply {
            // No request is wrong, and no disk tells of its faults while its node runs on.
            if [.storage, .invalid].contains(failure.reason) {
                return fail("a request was refused: \(failure.message)")
            }
        }
        request.reply(reply)
    }

    /// A node is gone, and with it the answers to what it was asked.
    func loseRequests(of node: SimulatedNode) {
        let tokens = outstanding.keys.filter { outstanding[$0]?.place == node.place }.sorted()
        for token in tokens { outstanding.removeValue(forKey: token)?.reply(nil) }
    }
}

extension TabletReply {
    /// Tells replies apart in a trace.
    fileprivate var traceCode: UInt64 {
        switch self {
        case .values(let values, let timestamp):
            values.reduce(timestamp.rawValue) { $0 &* 31 &+ Trace.digest($1 ?? []) }
        case .page(let page, let timestamp): timestamp.rawValue &+ Trace.digest(page.bytes)
        case .locked(_, _, let clock): clock.rawValue
        case .committed(let timestamp): timestamp.rawValue
        case .released: 1
        case .failed(let failure): UInt64(failure.reason.rawValue) &+ 2
        }
    }

    /// How a commit ended, as far as its client can tell.
    var commitOutcome: CommitOutcome {
        switch self {
        case .committed(let timestamp): .committed(timestamp)
        case .failed(let failure) where failure.reason == .outcomeUnknown: .unknown
        default: .failed
        }
    }
}

/// What a client knows about its commit.
enum CommitOutcome {
    case committed(Timestamp)
    case failed
    case unknown
}
