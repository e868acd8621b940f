import DequeModule
import SteleAPI
import SteleBase

/// Who waits for a key, in the order in which they get it.
///
/// Thousands may wait for one row, and all of them leave at once when their host fails. So whoever
/// leaves is only marked, and goes when it comes to the front or when half of the queue are such.
///
/// Invariant: `left` holds tickets of the queue only, and never that of its first member.
struct LockQueue: Sendable {
    struct Waiter: Sendable {
        var transaction: TransactionID
        var mode: LockMode
        var ticket: UInt64
    }

    private var waiters = Deque<Waiter>()
    private var left: Set<UInt64> = []

    var isEmpty: Bool { waiters.isEmpty }
    var first: Waiter? { waiters.first }

    mutating func append(_ waiter: Waiter) { waiters.append(waiter) }

    mutating func prepend(_ waiter: Waiter) { waiters.prepend(waiter) }

    mutating func removeFirst() {
        waiters.removeFirst()
        settle()
    }

    /// Takes out who waits under `ticket`, which must be in the queue.
    mutating func remove(ticket: UInt64) {
        left.insert(ticket)
        settle()
    }

    /// Has who waits under `ticket` keep its place under another one. At the cost of the queue's
    /// length.
    mutating func rename(_ ticket: UInt64, to new: UInt64) {
        guard let place = waiters.firstIndex(where: { $0.ticket == ticket }) else { return }
        waiters[place].ticket = new
    }

    private mutating func settle() {
        while !left.isEmpty, let first = waiters.first, left.remove(first.ticket) != nil {
            waiters.removeFirst()
        }
        guard left.count > waiters.count / 2 else { return }
        waiters.removeAll { left.contains($0.ticket) }
        left = []
    }
}
