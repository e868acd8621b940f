import SteleBase

/// What all tablets of a node have read in the present turn, for answers that leave at its end.
///
/// A request for a large value is small: a client can ask for more in one turn than fits in memory.
package final class TurnAnswers {
    private var bytes = 0
    private let limit: Int

    package init(limit: Int = Limits.turnAnswerBytes) { self.limit = limit }

    /// Whether what is still asked for has to wait for the next turn.
    var isUsedUp: Bool { bytes >= limit }

    func add(_ read: Int) { bytes += read }

    /// A turn begins.
    package func begin() { bytes = 0 }
}

extension Tablet {
    /// Whether requests wait for the next turn.
    package var hasDeferred: Bool { !deferred.isEmpty }

    /// Looks at the requests that earlier turns had no room for, oldest first and before any that
    /// comes in this turn. One that has waited for long is sent back: whoever asked may be gone.
    package func resumeDeferred() {
        let tickets = deferred
        deferred = []
        for (place, ticket) in tickets.enumerated() {
            if answers.isUsedUp {
                deferred += tickets[place...]
                return
            }
            guard let waiter = waiting.removeValue(forKey: ticket) else { continue }
            if let until = waiter.deferredUntil, clock.monotonic >= until {
                fail(waiter, .overloaded, "more is read at once than the node can answer")
            } else {
                evaluate(waiter, ticket: ticket)
            }
        }
    }
}
