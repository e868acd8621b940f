import SteleAPI
import SteleBase
import SteleClock
import SteleCluster
import SteleEngine
import SteleRaft
import SteleTablet
import SteleTransaction
import Synchronization

/// A real node core of one replica behind the coordinator's port, on a clock that moves with each
/// turn: what was submitted runs at once, and a log record is durable as soon as it is written.
final class LocalKernel: RequestPort {
    private struct State: ~Copyable {
        var core: NodeCore
        var time: UInt64 = 1_000_000
        var token: UInt64 = 0
        var nextTransaction: UInt64 = 1
        var waiters: [UInt64: CheckedContinuation<TabletReply, Never>] = [:]
        var requests = 0
        var longestTurn = 0
    }

    /// What its transactions may hold together.
    let memory: BufferedBytes
    let readers = OpenReaders()
    private let engine: MemoryEngine
    private let state: Mutex<State>

    init(
        engine: MemoryEngine = MemoryEngine(), memory: BufferedBytes = BufferedBytes(),
        retention: UInt64 = 3_600_000_000
    ) throws {
        self.memory = memory
        self.engine = engine
        let replica = TabletDescriptor.Replica(node: NodeID(1), id: ReplicaID(1))
        var configuration = NodeCoreConfiguration(
            node: NodeID(1),
            tablets: [
                TabletDescriptor(
                    id: .system, range: Keyspace.systemRange, generation: 1, replicas: [replica]),
                TabletDescriptor(
                    id: .firstData, range: Keyspace.data, generation: 1, replicas: [replica]),
            ],
            members: [NodeID(1)], seed: 1)
        configuration.retention = retention
        let core = try NodeCore(
            configuration: configuration, engine: engine, recovered: RecoveredLog(),
            monotonic: 1_000_000, wall: 1_700_000_000_000_000)
        core.oldestReader = { [readers] limit in readers.oldest(notBelow: limit) }
        state = Mutex(State(core: core))
    }

    /// The last index of the log of the data tablet.
    var lastIndex: UInt64 { state.withLock { $0.core.tablets[1].group.lastIndex } }

    /// Lets time pass, in microseconds, and does what is due then.
    func pass(_ microseconds: UInt64) async {
        state.withLock { $0.time += microseconds }
        _ = await send(
            TabletRequest(transaction: .none, body: .read(keys: [[0x10]], at: nil)),
            timeout: .seconds(1), token: nextToken())
    }

    /// Requests that were not answered yet.
    var unanswered: Int { state.withLock { $0.waiters.count } }

    /// Requests that came so far.
    var requests: Int { state.withLock { $0.requests } }

    /// The most that one turn did, in nanoseconds as the core estimates them.
    var longestTurn: Int { state.withLock { $0.longestTurn } }

    /// Has the leader give up the locks of all transactions of this node, as if it had been silent.
    func loseLocks() {
        state.withLock { $0.core.tablets[1].releaseLocks(of: NodeID(1)) }
        // A turn delivers what that came to.
        run {
            $0.submit(
                TabletRequest(transaction: .none, body: .release(near: [0x10])), token: nil,
                timeoutMicroseconds: 0)
        }
    }

    var database: Database { Database(backend: backend) }

    var backend: KernelBackend { KernelBackend(port: self, keyspace: .user, memory: memory) }

    var now: UInt64 { state.withLock { $0.time } }

    func nextToken() -> UInt64 {
        state.withLock { state in
            state.token += 1
            return state.token
        }
    }

    func send(_ request: TabletRequest, timeout: Duration, token: UInt64) async -> TabletReply {
        await withCheckedContinuation { continuation in
            state.withLock { $0.waiters[token] = continuation }
            run {
                $0.submit(request, token: token, timeoutMicroseconds: timeout.microseconds)
            }
        }
    }

    func cancel(_ token: UInt64) { run { $0.cancel(token: token) } }

    func post(_ request: TabletRequest, whenDone: @escaping @Sendable () -> Void) {
        let token = nextToken()
        run { $0.submit(request, token: token, timeoutMicroseconds: 1_000_000) }
        whenDone()
    }

    func note(_ transaction: TransactionID, readsAt timestamp: Timestamp?) {
        readers.note(transaction, readsAt: timestamp)
    }

    func nextTransaction() throws(SteleError) -> TransactionID {
        state.withLock { state in
            defer { state.nextTransaction += 1 }
            return TransactionID(node: NodeID(1), sequence: state.nextTransaction)
        }
    }

    func standBack(upTo most: Duration) async { try? await Task.sleep(for: most / 2) }

    func inBackground(_ work: @escaping @Sendable () async -> Void) { Task { await work() } }

    private func run(_ input: (NodeCore) -> Void) {
        let answers = state.withLock { state in
            state.requests += 1
            var answers: [(CheckedContinuation<TabletReply, Never>, TabletReply)] = []
            var synced: UInt64?
            var isFirst = true
            var sweeps: [HistorySweep] = []
            repeat {
                state.time += 100
                state.core.beginTurn(
                    monotonic: state.time, wall: 1_700_000_000_000_000 + state.time)
                if let token = synced { state.core.logSynced(token) }
                synced = nil
                for sweep in sweeps {
                    if let found = try? sweep.look(in: engine) { state.core.swept(sweep, found) }
                }
                if isFirst { input(state.core) }
                isFirst = false
                let effects = state.core.endTurn(monotonic: state.time)
                state.longestTurn = max(state.longestTurn, effects.work)
                synced = effects.log?.token
                sweeps = effects.sweeps
                for (token, reply) in effects.replies {
                    if let waiter = state.waiters.removeValue(forKey: token) {
                        answers.append((waiter, reply))
                    }
                }
                if !effects.needsAnotherTurn, synced == nil, !state.core.tablets[1].isServing {
                    state.time += 100_000
                    isFirst = false
                    continue
                }
                if !effects.needsAnotherTurn, synced == nil, sweeps.isEmpty { break }
            } while true
            return answers
        }
        for (waiter, reply) in answers { waiter.resume(returning: reply) }
    }
}
