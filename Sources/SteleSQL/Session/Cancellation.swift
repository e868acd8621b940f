import SteleAPI
import Synchronization

/// Says to a running statement, from any thread, that it shall end, and why.
///
/// A statement looks before each call of the kernel. Waits are ended, whatever becomes of what is
/// waited for: that for locks by rolling its transaction back, others by interrupting the call,
/// a sleep by waking it, and that for a worker by giving the work up.
final class Cancellation: Sendable {
    fileprivate struct State {
        var reason: SQLError?
        /// Which statement runs, so that the alarm of one that has ended does nothing to the next.
        var statement: UInt64 = 0
        /// The transaction that waits, and whether it does for locks.
        var waiting: Wait?
        var sleeper: UnsafeContinuation<Void, Never>?
        /// Gives up what waits for a worker.
        var giveUp: (@Sendable () -> Void)?
    }

    /// What is to be woken by a request, without the lock.
    fileprivate struct Wakes {
        var waiting: Wait?
        var sleeper: UnsafeContinuation<Void, Never>?
        var giveUp: (@Sendable () -> Void)?

        func wake() {
            waiting?.end()
            sleeper?.resume()
            giveUp?()
        }
    }

    fileprivate struct Wait {
        let transaction: any TransactionBackend
        let isForLocks: Bool

        func end() { isForLocks ? transaction.rollback() : transaction.interrupt() }
    }

    private let state = Mutex(State())

    /// Ends the running statement with an error.
    func request(_ reason: SQLError = .cancelled) {
        state.withLock { $0.end(reason) }.wake()
    }

    /// Forgets a request that came when nothing ran.
    func reset() { state.withLock { $0.reason = nil } }

    func check() throws(SQLError) {
        if let reason { throw reason }
    }

    /// The error of a request that was made.
    var reason: SQLError? { state.withLock(\.reason) }

    // MARK: Time limits

    /// A statement begins; the result ends it after some milliseconds, unless it has ended.
    ///
    /// - Returns: what to call when the statement has ended.
    func limit(_ milliseconds: Int, _ environment: SQLEnvironment) -> () -> Void {
        guard milliseconds > 0 else { return {} }
        let statement = state.withLock { state in
            state.statement += 1
            return state.statement
        }
        let callOff = environment.schedule(milliseconds) { [weak self] in
            self?.expire(statement)
        }
        return {
            self.state.withLock { $0.statement += 1 }
            callOff()
        }
    }

    private func expire(_ statement: UInt64) {
        state.withLock { state in
            state.statement == statement ? state.end(.timedOut) : Wakes()
        }.wake()
    }

    // MARK: Waits

    /// From here on a request ends the wait, and if it is for locks the transaction with it.
    func beginWait(
        of transaction: any TransactionBackend, forLocks: Bool = false
    ) throws(SQLError) {
        transaction.expectInterruption()
        let reason = state.withLock { state in
            state.waiting = Wait(transaction: transaction, isForLocks: forLocks)
            return state.reason
        }
        if let reason {
            endWait()
            throw reason
        }
    }

    func endWait() { state.withLock { $0.waiting = nil } }

    /// Waits for some milliseconds, or until a request.
    func sleep(_ milliseconds: Int, _ environment: SQLEnvironment) async throws(SQLError) {
        try check()
        var callOff: (() -> Void)?
        await withUnsafeContinuation { continuation in
            let isCancelled = state.withLock { state in
                if state.reason == nil { state.sleeper = continuation }
                return state.reason != nil
            }
            if isCancelled { return continuation.resume() }
            callOff = environment.schedule(milliseconds) { [weak self] in self?.wake() }
        }
        callOff?()
        try check()
    }

    private func wake() {
        state.withLock { $0.sleeper.take() }?.resume()
    }

    /// Work waits for a worker until it is begun; a request gives it up.
    func beginQueueing(_ giveUp: @escaping @Sendable () -> Void) {
        let isRequested = state.withLock { state in
            if state.reason == nil { state.giveUp = giveUp }
            return state.reason != nil
        }
        if isRequested { giveUp() }
    }

    func endQueueing() { state.withLock { $0.giveUp = nil } }
}

extension Cancellation.State {
    /// Notes why the statement ends.
    fileprivate mutating func end(_ error: SQLError) -> Cancellation.Wakes {
        reason = reason ?? error
        return Cancellation.Wakes(
            waiting: waiting, sleeper: sleeper.take(), giveUp: giveUp.take())
    }
}
