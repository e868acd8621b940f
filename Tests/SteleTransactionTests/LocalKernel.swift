import SteleAPI
import SteleBase
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
    }

    /// What its transactions may hold together.
    let memory: BufferedBytes
    private let state: Mutex<State>

    init(engine: MemoryEngine = MemoryEngine(), memory: BufferedBytes = BufferedBytes()) throws {
        self.memory = memory
        let replica = TabletDescriptor.Replica(node: NodeID(1), id: ReplicaID(1))
        let configuration = NodeCoreConfiguration(
            node: NodeID(1),
            tablets: [
                TabletDescriptor(
                    id: .system, range: Keyspace.systemRange, generation: 1, replicas: [replica]),
                TabletDescriptor(
                    id: .firstData, range: Keyspace.data, generation: 1, replicas: [replica]),
            ],
            members: [NodeID(1)], seed: 1)
        let core = try NodeCore(
            configuration: configuration, engine: engine, recovered: RecoveredLog(),
            monotonic: 1_000_000, physical: 1_700_000_000_000_000)
        state = Mutex(State(core: core))
    }

    /// Requests that were not answered yet.
    var unanswered: Int { state.withLock { $0.waiters.count } }

    var database: Database { Database(backend: backend) }

    var backend: KernelBackend { KernelBackend(port: self, keyspace: .user, memory: memory) }

    func send(_ request: TabletRequest, timeout: Duration) async -> TabletReply {
        await withCheckedContinuation { continuation in
            run(request, timeout: timeout, continuation)
        }
    }

    func post(_ request: TabletRequest, whenDone: @escaping @Sendable () -> Void) {
        run(request, timeout: .seconds(1), nil)
        whenDone()
    }

    func nextTransaction() throws(SteleError) -> TransactionID {
        state.withLock { state in
            defer { state.nextTransaction += 1 }
            return TransactionID(node: NodeID(1), sequence: state.nextTransaction)
        }
    }

    func standBack(upTo most: Duration) async { try? await Task.sleep(for: most / 2) }

    private func run(
        _ request: TabletRequest, timeout: Duration,
        _ continuation: CheckedContinuation<TabletReply, Never>?
    ) {
        let answers = state.withLock { state in
            state.token += 1
            let token = state.token
            state.waiters[token] = continuation
            var answers: [(CheckedContinuation<TabletReply, Never>, TabletReply)] = []
            var synced: UInt64?
            var isFirst = true
            repeat {
                state.time += 100
                state.core.beginTurn(
                    monotonic: state.time, physical: 1_700_000_000_000_000 + state.time)
                if let token = synced { state.core.logSynced(token) }
                synced = nil
                if isFirst {
                    state.core.submit(
                        request, token: token, timeoutMicroseconds: timeout.microseconds)
                }
                isFirst = false
                let effects = state.core.endTurn(monotonic: state.time)
                synced = effects.log?.token
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
                if !effects.needsAnotherTurn, synced == nil { break }
            } while true
            return answers
        }
        for (waiter, reply) in answers { waiter.resume(returning: reply) }
    }
}
