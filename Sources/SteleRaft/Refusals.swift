/// Counts what a replica refused because no correct replica would have sent it.
///
/// Some of it happens now and then while the membership changes; numbers that keep growing mean a
/// replica that is broken, or one that should not be there.
package struct Refusals: Hashable, Sendable {
    /// Types that only the replica itself may create.
    package var local: UInt32 = 0
    /// Answers of replicas that are no members.
    package var fromStrangers: UInt32 = 0
    /// Fields that contradict each other or cannot be.
    package var malformed: UInt32 = 0
    /// Meant for another replica, or from this one to itself.
    package var misaddressed: UInt32 = 0
    /// Snapshots that do not name this replica as a member.
    package var foreignSnapshots: UInt32 = 0
    /// Acknowledgements and commit indices beyond the end of the log.
    package var beyondLog: UInt32 = 0
    /// Requests for an election that did not come from the leader.
    package var forgedTransfers: UInt32 = 0
    /// Changes that do not fit the membership that they met when they were applied.
    package var membershipChanges: UInt32 = 0

    package init() {}

    /// All of them.
    package var total: UInt64 {
        let counts = [
            local, fromStrangers, malformed, misaddressed, foreignSnapshots, beyondLog,
            forgedTransfers, membershipChanges,
        ]
        return counts.reduce(0) { $0 + UInt64($1) }
    }
}

extension UInt32 {
    /// Adds one where that is possible: whoever sends enough must not end the process.
    mutating func countUp() {
        if self < .max { self += 1 }
    }
}
