import SteleAPI
import SteleBase
import SteleClock
import SteleTablet
import SteleTransaction

/// How the coordinators of one run of a node reach it, and all that is learnt from their requests
/// and answers.
///
/// Invariant: once the run has ended nothing of it has an effect: what was under way has an unknown
/// outcome, and what is asked later is not done.
final class SimulatedPort: RequestPort, @unchecked Sendable {
    // Safety: used in the thread that runs the simulation only.
    private let cluster: SimulatedCluster
    private let node: SimulatedNode
    private let life: Int
    /// What the transactions of this run hold together.
    let memory = BufferedBytes()
    /// The timestamps at which they read.
    let readers = OpenReaders()

    init(cluster: SimulatedCluster, node: SimulatedNode) {
        self.cluster = cluster
        self.node = node
        life = node.life
    }

    private var isOpen: Bool { node.isUp && node.life == life }

    var now: UInt64 { cluster.now }

    func nextToken() -> UInt64 { cluster.nextToken() }

    func send(_ request: TabletRequest, timeout: Duration, token: UInt64) async -> TabletReply {
        guard isOpen else { return .failed(.init(.notLeader, "the node has crashed")) }
        let asked = cluster.defect.spoiled(request)
        let reply = await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                cluster.submit(
                    asked, to: node, token: token, timeout: timeout.microseconds
                ) { [cluster] reply in
                    cluster.note(reply, to: asked)
                    continuation.resume(returning: reply)
                }
                // The handler came too early if the task was cancelled before.
                if Task.isCancelled { cancel(token) }
            }
        } onCancel: {
            cancel(token)
        }
        return reply ?? .failed(.init(.outcomeUnknown, "the node has crashed"))
    }

    /// Every other time, so that reads come by both ways.
    func answerAtOnce(_ request: TabletRequest) -> TabletReply? {
        guard isOpen, cluster.taskRandom.oneIn(2) else { return nil }
        let asked = cluster.defect.spoiled(request)
        guard let reply = cluster.answerAtOnce(asked, by: node) else { return nil }
        cluster.note(reply, to: asked)
        return reply
    }

    func cancel(_ token: UInt64) {
        if isOpen { cluster.give(.cancel(token), to: node) }
    }

    func post(_ request: TabletRequest, whenDone: @escaping @Sendable () -> Void) {
        guard isOpen else { return whenDone() }
        cluster.submit(request, to: node, token: nextToken(), timeout: 10_000_000) { _ in
            whenDone()
        }
    }

    func note(_ transaction: TransactionID, readsAt timestamp: Timestamp?) {
        readers.note(transaction, readsAt: timestamp)
    }

    func nextTransaction() throws(SteleError) -> TransactionID {
        guard isOpen else { throw SteleError(.stopped, "the node has crashed") }
        guard let transaction = node.takeTransaction() else {
            throw SteleError(.overloaded, "the log is too slow to number transactions")
        }
        return transaction
    }

    func inBackground(_ work: @escaping @Sendable () async -> Void) {
        guard isOpen else { return }
        Task(executorPreference: node.executor(in: cluster)) { await work() }
    }

    func standBack(upTo most: Duration) async {
        await cluster.sleep(cluster.taskRandom.uniform(0...most.microseconds))
    }
}

extension SimulatedNode {
    /// The database as whoever embeds this node sees it, until the node crashes.
    func backend(_ keyspace: Keyspace, in cluster: SimulatedCluster) -> KernelBackend {
        let port = self.port ?? SimulatedPort(cluster: cluster, node: self)
        self.port = port
        return KernelBackend(port: port, keyspace: keyspace, memory: port.memory)
    }

    func database(_ keyspace: Keyspace, in cluster: SimulatedCluster) -> Database {
        Database(backend: backend(keyspace, in: cluster))
    }

    func executor(in cluster: SimulatedCluster) -> SimulatedExecutor {
        let executor = self.executor ?? SimulatedExecutor(cluster: cluster, node: self)
        self.executor = executor
        return executor
    }
}

extension SimulatedCluster {
    /// Learns from what a node answered; nil is a node that crashed before it did.
    func note(_ reply: TabletReply?, to request: TabletRequest) {
        noteRefusal(reply)
        switch (request.body, reply) {
        case (.read(let keys, _), .values(let values, let timestamp)?):
            checks.served(keys, values, at: timestamp)
        case (.scan(let scan), .page(let page, let timestamp)?):
            checks.served(scan.range, page, reverse: scan.reverse, at: timestamp)
        case (.commit(let commit), _) where !commit.writes.isEmpty:
            note(reply, of: request.transaction)
        default: break
        }
    }

    /// Notes how a commit ended.
    @discardableResult
    func note(_ reply: TabletReply?, of transaction: TransactionID) -> CommitOutcome {
        let outcome = reply?.commitOutcome ?? .unknown
        workload.outcomes.append((transaction, outcome))
        switch outcome {
        case .committed: result.counts.commits += 1
        case .failed: result.counts.failed += 1
        case .unknown: result.counts.unknown += 1
        }
        return outcome
    }
}

extension HostDefect {
    /// The request as a coordinator with this defect sends it.
    fileprivate func spoiled(_ request: TabletRequest) -> TabletRequest {
        var request = request
        switch (self, request.body) {
        case (.forgetsLockGrants, .lock(var lock)):
            lock.grant = nil
            request.body = .lock(lock)
        case (.readsOutsideSnapshot, .read(let keys, _)):
            request.body = .read(keys: keys, at: nil)
        case (.readsOutsideSnapshot, .scan(var scan)):
            scan.timestamp = nil
            request.body = .scan(scan)
        case (_, .commit(var commit)) where !commit.writes.isEmpty:
            switch self {
            case .forgetsReadKeys: commit.readKeys = []
            case .forgetsReadRanges: commit.readRanges = []
            case .forgetsFirstCommitter: commit.firstCommitterWins = false
            case .forgetsExpected: commit.expected = []
            case .forgetsHeldLocks: commit.locks = []
            default: return request
            }
            request.body = .commit(commit)
        default: break
        }
        return request
    }
}
