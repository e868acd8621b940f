import SteleAPI
import SteleBase
import Synchronization

/// What the open transactions of a node and the requests of its clients hold together, and how much
/// that may be.
///
/// A transaction stays open for as long as its client likes, and a request waits for as long as its
/// tablet has no leader, so a bound on each bounds nothing yet.
package final class BufferedBytes: Sendable {
    private let total = Atomic<Int>(0)
    private let limit: Int

    package init(limit: Int = Limits.bufferedBytes) { self.limit = limit }

    /// What is held at this moment.
    package var held: Int { total.load(ordering: .relaxed) }

    /// Takes in what is about to be held.
    ///
    /// Nothing always has room.
    ///
    /// - Throws: ``SteleError/Code/overloaded`` if there is no room for it; nothing changes then.
    package func add(_ bytes: Int) throws(SteleError) {
        let sum = total.wrappingAdd(bytes, ordering: .relaxed).newValue
        guard sum <= limit || bytes == 0 else {
            remove(bytes)
            throw SteleError(LimitExceeded(.bufferedBytes, count: sum, allowed: limit))
        }
    }

    /// Takes in what cannot be refused.
    func insist(on bytes: Int) { total.wrappingAdd(bytes, ordering: .relaxed) }

    /// Takes out what is held no more.
    package func remove(_ bytes: Int) { total.wrappingSubtract(bytes, ordering: .relaxed) }
}
