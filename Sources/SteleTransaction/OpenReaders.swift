import SteleBase
import SteleClock
import Synchronization

/// The timestamps at which transactions of a node read at present. Any thread may call.
package final class OpenReaders: Sendable {
    private let timestamps = Mutex<[TransactionID: Timestamp]>([:])

    package init() {}

    /// Notes at which timestamp a transaction reads; nil if at none (any more).
    package func note(_ transaction: TransactionID, readsAt timestamp: Timestamp?) {
        timestamps.withLock { $0[transaction] = timestamp }
    }

    /// The oldest of them that is not below `limit`. Looks at all.
    package func oldest(notBelow limit: Timestamp) -> Timestamp? {
        timestamps.withLock { $0.values.lazy.filter { $0 >= limit }.min() }
    }
}
