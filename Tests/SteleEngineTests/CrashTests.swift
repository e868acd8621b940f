import SteleBase
import SteleEngine
import SteleRocksDB
import Testing

/// A crash at every operation of the disk takes the store back to a legal state, from which the log
/// leads on to the full one.
@Suite struct CrashTests {
    private let workload = Workload()
    private let neighbour = Workload(tablet: TabletID(3), replica: ReplicaID(9), prefix: "b/")

    /// Opens what a crash at each moment leaves and gives it to `check`; a state that was checked
    /// already is left out.
    private func forEachCrash(
        of disk: RocksDBDisk, seeds: [UInt64] = [0, 1],
        _ check: (RocksDBEngine, Comment) throws -> Void
    ) throws {
        var seen: Set<[String: [UInt8]]> = []
        for moment in 0..<disk.moments {
            for seed in seeds {
                let left = try disk.afterCrash(
                    at: moment, seed: seed == 0 ? 0 : UInt64(moment) * 31 + seed)
                guard try seen.insert(left.files()).inserted else { continue }
                let engine = try RocksDBEngine(directory: storePath, options: .on(left))
                defer { engine.close() }
                try check(engine, "crash \(seed) at operation \(moment) of \(disk.moments)")
            }
        }
        #expect(seen.count > 2)
    }

    @Test func flushIsAllOrNothingAtEveryOperation() throws {
        let disk = try RocksDBDisk()
        let engine = try RocksDBEngine(directory: storePath, options: .on(disk))
        try workload.apply(1...10, to: engine)
        try neighbour.apply(1...5, to: engine)
        try engine.flush()
        try workload.apply(11...20, to: engine)
        try neighbour.apply(6...7, to: engine)
        try disk.record()
        try engine.flush()
        try workload.apply(21...25, to: engine)
        let last = disk.moments - 1
        var found: Set<[UInt64]> = []
        try forEachCrash(of: disk) { crashed, comment in
            let state = [
                try workload.expectConsistent(crashed, comment),
                try neighbour.expectConsistent(crashed, comment),
            ]
            found.insert(state)
            let frontier = try crashed.persistedFrontier()
            #expect(frontier.map(\.index) == state, comment)
            // The log leads on.
            try workload.replay(through: 25, to: crashed, comment)
        }
        #expect(found == [[10, 5], [20, 7]])
        let final = try RocksDBEngine(
            directory: storePath, options: .on(disk.afterCrash(at: last)))
        #expect(try workload.expectConsistent(final) == 20)
        final.close()
        engine.close()
    }
}
