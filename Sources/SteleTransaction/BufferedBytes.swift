import SteleAPI
import SteleBase
import Synchronization

/// What the open transactions of a node hold together, and how much that may be.
///
/// A transaction stays open for as long as its client likes, so a bound on each bounds nothing yet.
package final class BufferedBytes: Sendable {
    private let total = Atomic<Int>(0)
    private let limit: Int

    package init(limit: Int = Limits.bufferedBytes) { self.limit = limit }

    /// What is held at this moment.
    package var held: Int { total.load(ordering: .relaxed) }

    /// Takes in what a transaction is about to hold.
    ///
    /// - Throws: ``SteleError/Code/overloaded`` if there is no room for it; nothing changes then.
    func add(_ bytes: Int) throws(SteleError) {
        let sum = total.wrappingAdd(bytes, ordering: .relaxed).newValue
        guard sum <= limit else {
            remove(bytes)
            throw SteleError(LimitExceeded(.bufferedBytes, count: sum, allowed: limit))
        }
    }

    /// Takes out what a transaction holds no more.
    func remove(_ bytes: Int) { total.wrappingSubtract(bytes, ordering: .relaxed) }
}
