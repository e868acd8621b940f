import SteleBase

/// What the connections of a node's clients hold together. On the loop only.
///
/// Invariant: `total` is the sum of what each of them has last told.
final class HeldBytes {
    private(set) var total = 0
    private let limit: Int

    init(limit: Int) { self.limit = limit }

    /// Takes in that a connection holds `bytes` instead of `before`.
    ///
    /// - Returns: why the connection has to end, if it takes part in an excess.
    func change(_ before: Int, to bytes: Int) -> String? {
        total += bytes - before
        guard bytes > before, bytes > Limits.spareConnectionBytes, total > limit else { return nil }
        return LimitExceeded(.connectionBytes, count: total, allowed: limit).description
    }
}
