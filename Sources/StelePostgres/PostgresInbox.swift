import SteleSQL
import Synchronization

// The meeting point of a connection's task and whatever carries its bytes. Both normally run on
// one event loop, so the mutex is never contended there; it keeps any other arrangement correct.

/// What has arrived for a connection and was not consumed yet: bytes, and the news that end it.
package final class PostgresInbox: Sendable {
    /// Unread bytes at which receiving pauses.
    package static let pauseBytes = 1 << 18

    /// What a connection's task finds.
    enum Arrival: Hashable {
        case bytes
        case nothing
        /// The client will send nothing more.
        case end
        /// The server ends the connection, with this error.
        case termination(SQLError)
    }

    private enum Need { case input, writability }

    private struct State {
        var input: [UInt8] = []
        var isPaused = false
        var hasInputEnded = false
        var isClosed = false
        var isWritable = true
        var termination: SQLError?
        var cancel: (@Sendable () -> Void)?
        var need = Need.input
        var waiter: UnsafeContinuation<Void, Never>?

        func has(_ need: Need) -> Bool {
            if isClosed || termination != nil { return true }
            return switch need {
            case .input: !input.isEmpty || hasInputEnded
            case .writability: isWritable
            }
        }
    }

    private let state = Mutex(State())

    package init() {}

    // MARK: The side of the transport

    /// Adds bytes that came from the client.
    ///
    /// - Returns: false when enough is waiting; ``PostgresTransport/resumeReading()`` follows.
    package func receive(_ bytes: some Collection<UInt8>) -> Bool {
        update {
            $0.input.append(contentsOf: bytes)
            if $0.input.count >= Self.pauseBytes { $0.isPaused = true }
            return !$0.isPaused
        }
    }

    /// The client will send nothing more. What it asked for is still done and answered.
    package func endInput() {
        update { $0.hasInputEnded = true }
    }

    /// The connection is gone: nobody will read an answer, so a running statement is cancelled.
    package func close() {
        let cancel = update {
            $0.isClosed = true
            return $0.cancel
        }
        cancel?()
    }

    /// Tells whether the transport takes more bytes without piling them up.
    package func setWritable(_ isWritable: Bool) {
        update { $0.isWritable = isWritable }
    }

    // MARK: The side of the service

    /// Cancels the statement that is running, if any.
    package func cancel() {
        state.withLock { $0.cancel }?()
    }

    /// Ends the connection with an error, in the middle of a statement too.
    package func terminate(_ reason: SQLError) {
        let cancel = update {
            $0.termination = $0.termination ?? reason
            return $0.cancel
        }
        cancel?()
    }

    /// Whether a session has begun.
    package var isOpen: Bool { state.withLock { $0.cancel != nil } }

    // MARK: The side of the connection's task

    /// Begins the session: from now on `cancel` is how to cancel its statements.
    func open(cancel: @escaping @Sendable () -> Void) {
        state.withLock { $0.cancel = cancel }
    }

    /// The error that the connection is to end with, if the server decided so.
    var termination: SQLError? { state.withLock { $0.termination } }

    /// Moves what has arrived to the end of `buffer`.
    func take(into buffer: inout [UInt8]) -> (arrival: Arrival, wasPaused: Bool) {
        state.withLock { state in
            if let termination = state.termination { return (.termination(termination), false) }
            guard !state.input.isEmpty else {
                return (state.hasInputEnded || state.isClosed ? .end : .nothing, false)
            }
            if buffer.isEmpty {
                swap(&buffer, &state.input)
            } else {
                buffer.append(contentsOf: state.input)
                state.input.removeAll(keepingCapacity: true)
            }
            let wasPaused = state.isPaused
            state.isPaused = false
            return (.bytes, wasPaused)
        }
    }

    /// Waits until there is something to take.
    func waitForInput() async { await wait(for: .input) }

    /// Waits until the transport takes more bytes.
    ///
    /// - Returns: false when the connection has ended instead.
    func waitUntilWritable() async -> Bool {
        await wait(for: .writability)
        return state.withLock { !$0.isClosed && $0.termination == nil }
    }

    private func wait(for need: Need) async {
        guard !state.withLock({ $0.has(need) }) else { return }
        await withUnsafeContinuation { continuation in
            let isReady = state.withLock { state in
                if state.has(need) { return true }
                state.need = need
                state.waiter = continuation
                return false
            }
            if isReady { continuation.resume() }
        }
    }

    /// Changes the state and wakes the task if that is what it waits for.
    private func update<Result: Sendable>(_ change: (inout State) -> Result) -> Result {
        let (result, waiter) = state.withLock { state in
            let result = change(&state)
            let isAwaited = state.waiter != nil && state.has(state.need)
            return (result, isAwaited ? state.waiter.take() : nil)
        }
        waiter?.resume()
        return result
    }
}
