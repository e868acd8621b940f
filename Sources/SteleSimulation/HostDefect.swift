/// A fault planted into the simulated host, to prove that the simulator finds what it should.
///
/// The product code stays as it is: each defect is something that a real host could get wrong.
package enum HostDefect: String, Hashable, Sendable, CaseIterable {
    /// Everything is as it should be.
    case none
    /// Reports log records as synced when they are only written.
    case reportsSyncEarly
    /// The monotonic clocks of nodes that lead when the load begins run three times too slow.
    case slowMonotonicClock
    /// Ends turns with the time at which they began, so reads are released without the last check.
    case endsTurnsWithOldTime
    /// Reports flushes of the store as done that it never makes.
    case neverFlushes
    /// Clients take locks to be held without a break if they were granted again.
    case forgetsLockGrants
    /// Shows a node its own clock wherever a peer's was read, so that no clock is ever found wrong.
    case hidesPeerClocks
    /// Starts nodes without the record that they left in their log.
    case losesNodeRecord
    /// Reads are not at the snapshot of their transaction, but at the leader's time.
    case readsOutsideSnapshot
    /// Commits do not name the keys that were read.
    case forgetsReadKeys
    /// Commits do not name the ranges that were scanned.
    case forgetsReadRanges
    /// Commits under snapshot isolation do not look whether what they write has changed.
    case forgetsFirstCommitter
    /// Commits do not name what they rely on without having read it.
    case forgetsExpected
    /// Commits do not name the locks that they rely on.
    case forgetsHeldLocks
}
