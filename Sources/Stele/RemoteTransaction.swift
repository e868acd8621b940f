import SteleAPI
import SteleBase
import SteleWire

/// A transaction that a client drives from afar: its steps take effect in order, one at a time.
///
/// Once a step's local effects could not be applied, everything but a rollback fails, so that a
/// commit can never leave some of the writes out.
final class RemoteTransaction: @unchecked Sendable {
    // Safety: touched on the node's loop only; its task runs on the loop's executor.
    private let backend: any TransactionBackend
    private let executor: LoopExecutor
    private var queue = BoundedQueue<(step: TransactionStep, answer: ClientService.Answer)>(
        limit: Limits.queuedSteps)
    private var isRunning = false
    private var failure: SteleError?
    private var savepoints: [UInt64: Savepoint] = [:]

    init(_ backend: any TransactionBackend, executor: LoopExecutor) {
        self.backend = backend
        self.executor = executor
    }

    func enqueue(_ step: TransactionStep, _ answer: @escaping ClientService.Answer) {
        if step.action == .rollback {
            rollback()
            return answer(.done)
        }
        guard queue.append((step, answer)) else {
            rollback()
            let excess = LimitExceeded(.queuedSteps, count: queue.count + 1)
            return answer(.failed(SteleError(excess)))
        }
        guard !isRunning else { return }
        isRunning = true
        Task(executorPreference: executor) { await self.run() }
    }

    /// Ends the transaction ahead of the steps that wait, and of one that waits for a lock.
    func rollback() { backend.rollback() }

    /// Ends the transaction because one of its steps could not be taken in.
    func fail(_ error: SteleError) {
        failure = failure ?? error
        backend.rollback()
    }

    private func run() async {
        while let (step, answer) = queue.popFirst() {
            do {
                answer(try await perform(step))
            } catch {
                answer(.failed(error))
            }
        }
        isRunning = false
    }

    private func perform(_ step: TransactionStep) async throws(SteleError) -> ClientReply.Body {
        if let failure { throw failure }
        do {
            for effect in step.effects { try await apply(effect) }
        } catch {
            fail(error)
            throw error
        }
        switch step.action {
        case .none: return .done
        case .get(let keys): return .values(try await backend.get(keys))
        case .scan(let scan):
            return .page(
                try await backend.scan(
                    scan.range, limit: scan.limit, reverse: scan.reverse, seeing: scan.writes))
        case .lock(let keys, let mode, let wait, let others):
            return .locked(try await backend.lock(keys, mode, wait, reading: others))
        case .commit: return .committed(try await backend.commit())
        case .rollback: return .done
        }
    }

    private func apply(_ effect: TransactionStep.Effect) async throws(SteleError) {
        switch effect {
        case .write(let key, let value): try backend.write(key, value)
        case .beginStatement: backend.beginStatement()
        case .expect(let key, let value): try backend.expect(key, value)
        case .savepoint(let number): savepoints[number] = try backend.savepoint()
        case .rollbackTo(let number):
            guard let savepoint = savepoints[number] else {
                throw SteleError(.protocolViolation, "there is no savepoint \(number)")
            }
            await backend.rollback(to: savepoint)
        }
    }
}
