import SteleBase
import SteleTablet

/// How locks are found whose transactions are over.
///
/// A request for a lock may be carried out long after its transaction has ended: by a node that
/// passes it on, over a connection that its sender has lost, in a queue that nobody waits in any
/// more. Whoever asked gives up what it hears of; but an answer can be lost with the node that was
/// to bring it. So a leader asks the nodes of those whose locks it has had for a while, as long as
/// it has them, and a node to whom one of its transactions is over has it released like any other.
///
/// Invariant: a transaction is over for its node once it has asked for its commit or release and
/// nothing of it is under way: from then on it relies on no lock.
extension NodeCore {
    /// How often a leader asks, in microseconds; what it got since it asked last it has not had for
    /// long.
    private static let lockAuditInterval: UInt64 = 1_000_000
    /// More are asked about the next time.
    private static let mostAsked = 256

    /// Asks about the owners of locks that were there the last time.
    func askAboutLocks() {
        guard clock.monotonic >= lockAuditAt else { return }
        lockAuditAt = clock.monotonic + Self.lockAuditInterval
        for index in tablets.indices {
            for (transaction, key) in tablets[index].oldLockOwners(atMost: Self.mostAsked) {
                if transaction.node == configuration.node {
                    releaseIfOver(transaction, near: key)
                } else if let peer = outgoing.firstIndex(where: { $0.node == transaction.node }) {
                    outgoing[peer].messages.append(.holding(transaction, near: key))
                }
            }
        }
    }

    /// A leader told that a transaction of this node holds or awaits locks.
    func releaseIfOver(_ transaction: TransactionID, near key: KeyBytes) {
        guard transaction.node == configuration.node, !lockers.contains(transaction),
            !pending.values.contains(where: { $0.request.transaction == transaction })
        else { return }
        mark("cluster: locks of a transaction that is over are found and given up")
        release(transaction, near: key)
    }
}
