/// Decides whether a transaction that has failed is run again, and after which pause.
///
/// Of two that are in conflict one is let through, so running again gets on: often, and soon. Where
/// there is no leader or too much to do it is a matter of time, and the time is that which a single
/// call would wait.
struct Retries {
    private let deadline: Deadline
    /// Until when an unavailable or overloaded cluster is asked again.
    private let patienceEnds: Deadline
    private var count = 0

    /// Of what took longer than the past is kept it is seldom of use to try again.
    private static func most(after code: SteleError.Code) -> Int { code == .snapshotTooOld ? 3 : 100 }

    init(_ options: TransactionOptions, by deadline: Deadline, now: UInt64) {
        self.deadline = deadline
        patienceEnds = min(deadline, Deadline(after: options.callTimeout, from: now))
    }

    /// How long to wait at most before the next attempt; nil if there is to be none.
    mutating func pause(after error: SteleError, now: UInt64) -> Duration? {
        guard error.isRetryable, deadline.timeLeft(from: now) != nil else { return nil }
        count += 1
        if error.code == .unavailable || error.code == .overloaded {
            guard patienceEnds.timeLeft(from: now) != nil else { return nil }
            return .milliseconds(min(1 << min(count, 10), 100))
        }
        guard count <= Self.most(after: error.code) else { return nil }
        // Most conflicts are past by then. Later ones are kept apart: those that met once come back
        // at the same pace and would meet again, and one of them could lose each time.
        return count > 2 ? .microseconds(min(50 << min(count, 16), 10_000)) : .zero
    }
}
