import SteleBase
import SteleRaft
import SteleTablet

/// A request that entered the cluster at this node, or is passed on by it, and is not answered yet.
struct PendingRequest {
    enum Asker {
        /// Nobody waits for the answer.
        case nobody
        /// A client of this node; the host's name for the request.
        case client(UInt64)
        /// Another node, which cannot reach the leader itself; see ``NodeCore/remoteOrigins``.
        case peer
    }

    var request: TabletRequest
    var asker: Asker
    /// How long it may take, and the monotonic time after which it is given up.
    var timeout: UInt64
    var deadline: UInt64
    /// Of a request for locks: the monotonic time after which it waits for none. Each leader that is
    /// asked waits for what is left.
    var lockDeadline: UInt64?
    /// The node that was asked and has not answered; none while it waits for its next try.
    var target = NodeID.none
    /// Counts how often it was sent or handed to a replica of this node.
    var attempt: UInt64 = 0
    /// When that was last.
    var askedAt: UInt64 = 0
    /// When to try again.
    var retryAt: UInt64?
    /// How long to wait before that if nothing is known by then.
    var backoff = Self.shortestBackoff
    /// Whether an attempt to commit ended without an answer: it may be in effect.
    var isAmbiguous = false
    /// Attempts that were sent and are not answered: the last one to each node, with the term of the
    /// leader it is meant for, nil if it was to be passed on. The connections that they travel on do not
    /// keep their order with attempts by another way.
    private(set) var openAttempts: [(node: NodeID, number: UInt64, term: Term?)] = []
    /// The same of the last attempt.
    private(set) var term: Term?
    /// All nodes that it was sent to; none once the only attempt is answered.
    var asked: [NodeID] = []

    static let shortestBackoff: UInt64 = 20_000
    private static let longestBackoff: UInt64 = 160_000

    /// Has the next leader wait for a lock only for as long as is left; false if nothing is.
    mutating func shortenLockWait(at now: UInt64) -> Bool {
        guard attempt > 0, let lockDeadline, case .lock(var lock) = request.body else { return true }
        guard lockDeadline > now else { return false }
        lock.timeoutMicroseconds = lockDeadline - now
        request.body = .lock(lock)
        return true
    }

    /// How long to wait for the next try, longer each time.
    mutating func nextBackoff() -> UInt64 {
        defer { backoff = min(2 * backoff, Self.longestBackoff) }
        return backoff
    }

    /// It is sent, or handed to a replica of this node.
    ///
    /// - Parameter term: that of the leader it is meant for; nil if it may be passed on to another.
    mutating func noteAttempt(at node: NodeID, term: Term?, isSent: Bool) {
        target = node
        attempt += 1
        self.term = term
        guard isSent else { return }
        openAttempts.removeAll { $0.node == node && $0.term == term }
        openAttempts.append((node, attempt, term))
    }

    /// An attempt was answered, and with it those before it at that node. One whose outcome the node
    /// does not know may still be under way.
    mutating func noteAnswer(to number: UInt64, from node: NodeID, _ reply: TabletReply) {
        if case .failed(let failure) = reply, failure.reason == .outcomeUnknown { return }
        openAttempts.removeAll { $0.node == node && $0.number <= number }
    }

    var hasOpenAttempts: Bool { !openAttempts.isEmpty }

    /// Whether another attempt could be carried out by the leader that answered the last one. What is
    /// meant for the leader of another term is refused.
    var hasAttemptOfSameTerm: Bool {
        openAttempts.contains { $0.term == nil || term == nil || $0.term == term }
    }

    /// Whether it has been tried for a while.
    var hasWaited: Bool { backoff == Self.longestBackoff }

    /// How long a node may take to answer before it is asked again, in microseconds: an answer
    /// may have been lost with the connection that it was sent on.
    var patience: UInt64 { request.sizeHint > 64 << 10 ? 5_000_000 : 1_000_000 }

    var isPassedOn: Bool { if case .peer = asker { true } else { false } }
}

/// A request that another node forwarded.
struct RemoteRequest {
    /// What that node calls it.
    struct Name: Hashable {
        var node: NodeID
        var id: UInt64
    }

    var node: NodeID
    /// The newest attempt that came.
    var attempt: RequestAttempt
    /// The term of the leader that it is meant for.
    var term: Term

    var name: Name { Name(node: node, id: attempt.id) }
}

/// Who leads a tablet, as far as a node has heard.
struct LeaderHint {
    var node: NodeID
    var term: Term
}

/// Lock requests that ended at this node although an attempt of theirs may still be carried out:
/// the answers to those are awaited for a while, so that the locks are given up again.
struct AbandonedLocks {
    struct Lock {
        let transaction: TransactionID
        /// One of the keys.
        let key: KeyBytes
        /// Nodes that may have taken it, or passed it on, and whose answer may be on its way.
        fileprivate var nodes: [NodeID]
    }

    private var locks: [UInt64: Lock] = [:]
    private var order = BoundedQueue<(id: UInt64, until: UInt64)>(limit: 1 << 14)
    private static let lifetime: UInt64 = 60_000_000

    mutating func note(_ id: UInt64, _ request: PendingRequest, at monotonic: UInt64) {
        while let oldest = order.first, order.isFull || oldest.until <= monotonic {
            _ = order.popFirst()
            locks[oldest.id] = nil
        }
        locks[id] = Lock(
            transaction: request.request.transaction, key: request.request.routingKey,
            nodes: request.asked)
        _ = order.append((id, monotonic + Self.lifetime))
    }

    /// Whose lock was granted, and near which key, if nobody waits for the answer to `id` any more.
    func lock(of id: UInt64) -> Lock? { locks[id] }

    /// The locks that a node may have granted without its answer ever coming, since a connection
    /// with it was lost.
    mutating func unanswered(by node: NodeID) -> [Lock] {
        var found: [Lock] = []
        for id in locks.keys.sorted() {
            guard let place = locks[id]?.nodes.firstIndex(of: node) else { continue }
            locks[id]?.nodes.remove(at: place)
            if let lock = locks[id] { found.append(lock) }
        }
        return found
    }
}
