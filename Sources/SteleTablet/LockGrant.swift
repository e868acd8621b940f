/// Names an unbroken holding of row locks: whose table it is, and which owner in it.
///
/// A lock is worth something only as long as it was held without a break since its key was read. A
/// leader that fell loses its table, and a node that fell silent has its transactions' locks given
/// up; should the transaction lock the same keys again, that is another grant, and others may have
/// changed the rows in between. So every later lock and the commit name the first grant.
package struct LockGrant: Hashable, Sendable {
    /// The term of the leader whose table it is.
    package var term: UInt64
    /// The order in which the owner came to that table.
    package var arrival: UInt64

    package init(term: UInt64, arrival: UInt64) {
        self.term = term
        self.arrival = arrival
    }
}
