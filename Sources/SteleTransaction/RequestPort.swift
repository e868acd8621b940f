import SteleAPI
import SteleBase
import SteleClock
import SteleTablet

/// The way of a coordinator to the leaders of tablets: one message out, one answer back.
package protocol RequestPort: Sendable {
    /// Microseconds of the monotonic clock.
    var now: UInt64 { get }

    /// A name for a request that is sent next.
    func nextToken() -> UInt64

    /// Sends `request` to the leader of its tablet, wherever that is, and waits for the answer, or
    /// until ``cancel(_:)`` is called with its name or the task is cancelled.
    func send(_ request: TabletRequest, timeout: Duration, token: UInt64) async -> TabletReply

    /// The answer to a read that can be had without waiting; nil if `request` has to be sent.
    func answerAtOnce(_ request: TabletRequest) -> TabletReply?

    /// Ends the wait for a request, whatever becomes of it. Does nothing if it has ended.
    func cancel(_ token: UInt64)

    /// Sends `request` without waiting for the answer; when it comes is all that is told of it.
    func post(_ request: TabletRequest, whenDone: @escaping @Sendable () -> Void)

    /// Notes that a transaction reads at a timestamp, or with nil, that it does not any more: so long
    /// old versions are kept for it, within bounds.
    func note(_ transaction: TransactionID, readsAt timestamp: Timestamp?)

    /// A transaction id that was never given before and never will be again.
    func nextTransaction() throws(SteleError) -> TransactionID

    /// Waits for a random time of up to `most`.
    func standBack(upTo most: Duration) async

    /// Runs `work` where coordinators run, while its caller goes on.
    func inBackground(_ work: @escaping @Sendable () async -> Void)
}

extension RequestPort {
    package func answerAtOnce(_ request: TabletRequest) -> TabletReply? { nil }
}

extension TabletReply.Failure {
    /// The error as the caller of a transaction sees it.
    var error: SteleError {
        switch reason {
        case .notLeader: SteleError(.unavailable, message)
        case .outcomeUnknown: SteleError(.commitOutcomeUnknown, message)
        case .conflict, .lockLost: SteleError(.conflict, message)
        case .deadlock: SteleError(.deadlock, message)
        case .lockNotAvailable: SteleError(.lockNotAvailable, message)
        case .overloaded: SteleError(.overloaded, message)
        case .invalid: SteleError(.invalidArgument, message)
        case .storage: SteleError(.storage, message)
        case .tooLarge: SteleError(.limitExceeded, message)
        case .cancelled: SteleError(.cancelled, message)
        case .stopped: SteleError(.stopped, message)
        case .timedOut: SteleError(.timedOut, message)
        case .notInitialized: SteleError(.notInitialized, message)
        case .snapshotTooOld, .begunTooEarly: SteleError(.snapshotTooOld, message)
        }
    }
}

extension TabletReply {
    /// The error that this answer is, or that it is for not being of the kind asked for.
    package var error: SteleError {
        if case .failed(let failure) = self { return failure.error }
        return SteleError(.protocolViolation, "the leader answered something else than was asked")
    }

    /// The same for a request that commits nothing, of which nothing can be in effect.
    var errorWithoutEffect: SteleError {
        let error = error
        return error.code == .commitOutcomeUnknown
            ? SteleError(.unavailable, error.message) : error
    }
}
