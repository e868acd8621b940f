import DequeModule
import SteleBase

/// Releases of locks taken after savepoints that wait for a turn with room, oldest first, and the
/// requests of their transactions that come after them: for locks, or to commit.
///
/// A transaction that went back to a savepoint may ask for a lock again before the release of it was
/// looked at: evaluated first, the request would find the lock held and lose it to the release. So it
/// waits for the last release of its transaction. It is woken up then rather than asked every turn:
/// hundreds of sessions may go back to savepoints at once, and the turns go to their releases.
struct UnlockQueue {
    private struct Release {
        let ticket: UInt64
        let transaction: TransactionID
    }

    /// What a transaction has in the queue.
    private struct Pending {
        var releases = 0
        /// Tickets of its requests, in the order in which they came.
        var requests: [UInt64] = []
    }

    private var releases = Deque<Release>()
    private var pending: [TransactionID: Pending] = [:]

    var isEmpty: Bool { releases.isEmpty }
    var count: Int { releases.count }

    /// Whether a release of the transaction waits here.
    func contains(_ transaction: TransactionID) -> Bool { pending[transaction] != nil }

    mutating func append(_ ticket: UInt64, of transaction: TransactionID) {
        releases.append(Release(ticket: ticket, transaction: transaction))
        pending[transaction, default: Pending()].releases += 1
    }

    /// Has a request wait for the releases of its transaction that are here.
    mutating func wait(_ ticket: UInt64, for transaction: TransactionID) {
        invariant(pending[transaction] != nil, "a request waits for a release that waits itself")
        pending[transaction]?.requests.append(ticket)
    }

    /// Takes out the oldest release, and the requests that waited for it if it was its transaction's
    /// last one.
    mutating func removeFirst() -> (release: UInt64, awakened: [UInt64])? {
        guard let release = releases.popFirst() else { return nil }
        guard var rest = pending.removeValue(forKey: release.transaction) else {
            invariant(false, "a release that waits is counted for its transaction")
            return (release.ticket, [])
        }
        rest.releases -= 1
        guard rest.releases > 0 else { return (release.ticket, rest.requests) }
        pending[release.transaction] = rest
        return (release.ticket, [])
    }
}
