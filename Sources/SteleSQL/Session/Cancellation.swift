import SteleAPI
import Synchronization

/// Says to a running statement, from any thread, that it shall end, and why.
///
/// A statement looks before each call of the kernel. Waits are ended: that for locks, which may
/// take for ever, by rolling its transaction back, and a sleep by waking it.
final class Cancellation: Sendable {
    fileprivate struct State {
        var reason: SQLError?
        /// Which statement runs, so that the alarm of one that has ended does nothing to the next.
        var statement: UInt64 = 0
        /// The transaction that waits for locks.
        var waiting: (any TransactionBackend)?
        var sleeper: UnsafeContinuation<Void, Never>?
    }

    private let state = Mutex(State())

    /// Ends the running statement with an error.
    func request(_ reason: SQLError = .cancelled) {
        let (waiting, sleeper) = state.withLock { $0.end(reason) }
        waiting?.rollback()
        sleeper?.resume()
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
        let (waiting, sleeper) = state.withLock { state in
            state.statement == statement ? state.end(.timedOut) : (nil, nil)
        }
        waiting?.rollback()
        sleeper?.resume()
    }

    // MARK: Waits

    /// From here on a request ends the wait, and with it the transaction.
    func beginWait(of transaction: any TransactionBackend) throws(SQLError) {
        try check()
        state.withLock { $0.waiting = transaction }
        try check()
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
}

extension Cancellation.State {
    /// Notes why the statement ends; what is to be woken comes back, to be called without the lock.
    fileprivate mutating func end(
        _ error: SQLError
    ) -> (waiting: (any TransactionBackend)?, sleeper: UnsafeContinuation<Void, Never>?) {
        reason = reason ?? error
        return (waiting, sleeper.take())
    }
}
