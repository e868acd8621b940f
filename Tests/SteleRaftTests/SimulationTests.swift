import Foundation
import Testing

@testable import SteleRaft

/// Whole groups under faults, each seed another history.
@Suite
struct SimulationTests {
    /// As many as `STELE_RAFT_SEEDS` says, else 50.
    private static let seeds: Range<UInt64> = {
        let wanted = ProcessInfo.processInfo.environment["STELE_RAFT_SEEDS"]
        return 0..<(wanted.flatMap { UInt64($0) } ?? 50)
    }()

    @Test(arguments: seeds)
    func groupStaysSafeAndRecovers(seed: UInt64) throws {
        let group = SimulatedGroup(seed: seed)
        try group.run(steps: 2_000)
        try group.heal()
        #expect(group.committedEntries > 10, "hardly anything was committed")
        #expect(group.terms > 1, "no leader was ever replaced")
    }
}
