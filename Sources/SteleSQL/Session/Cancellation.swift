import SteleAPI
import Synchronization

/// Says to a running statement, from any thread, that it shall end.
///
/// A statement looks before each call of the kernel; one that waits for locks, which may take for
/// ever, is woken by rolling its transaction back.
final class Cancellation: Sendable {
    private struct State {
        var isRequested = false
        /// The transaction that waits for locks.
        var waiting: (any TransactionBackend)?
    }

    private let state = Mutex(State())

    func request() {
        let waiting = state.withLock { state in
            state.isRequested = true
            return state.waiting
        }
        waiting?.rollback()
    }

    /// Forgets a request that came when nothing ran.
    func reset() { state.withLock { $0.isRequested = false } }

    func check() throws(SQLError) {
        if isRequested { throw .cancelled }
    }

    var isRequested: Bool { state.withLock(\.isRequested) }

    /// From here on a request ends the wait, and with it the transaction.
    func beginWait(of transaction: any TransactionBackend) throws(SQLError) {
        try check()
        state.withLock { $0.waiting = transaction }
        try check()
    }

    func endWait() { state.withLock { $0.waiting = nil } }
}
