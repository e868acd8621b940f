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

    /// The chunks of a replica with 30 entries.
    private func exportedChunks() throws -> [[UInt8]] {
        let sender = MemoryEngine()
        try workload.apply(1...30, to: sender)
        let export = try sender.export(workload.scope)
        var chunks: [[UInt8]] = []
        while let chunk = try export.nextChunk(maxBytes: 1000) { chunks.append(chunk) }
        return chunks
    }

    @Test func importIsAllOrNothingAtEveryOperation() throws {
        let chunks = try exportedChunks()
        let disk = try RocksDBDisk()
        let engine = try RocksDBEngine(directory: storePath, options: .on(disk))
        try workload.apply(1...10, to: engine)
        try neighbour.apply(1...5, to: engine)
        try engine.flush()
        try workload.apply(11...12, to: engine)
        try neighbour.apply(6...7, to: engine)
        try disk.record()
        let build = try engine.makeImport(of: workload.scope)
        for chunk in chunks { try build.add(chunk[...]) }
        #expect(try build.finish().index == 30)
        let finished = disk.moments - 1
        try workload.apply(31...33, to: engine)
        var found: Set<[UInt64]> = []
        try forEachCrash(of: disk) { crashed, comment in
            let state = [
                try workload.expectConsistent(crashed, comment),
                try neighbour.expectConsistent(crashed, comment),
            ]
            found.insert(state)
            // What was prepared for an import is gone.
            try workload.replay(through: 33, to: crashed, comment)
            try neighbour.replay(through: 9, to: crashed, comment)
            try crashed.flush()
            #expect(try crashed.persistedFrontier().map(\.index) == [33, 9], comment)
        }
        #expect(found == [[10, 5], [12, 7], [30, 7]])
        let left = try disk.afterCrash(at: finished)
        let again = try RocksDBEngine(directory: storePath, options: .on(left))
        #expect(try workload.expectConsistent(again) == 30)
        #expect(try left.files().keys.allSatisfy { !$0.contains("/import/") })
        again.close()
        engine.close()
    }

    @Test func removalIsAllOrNothingAtEveryOperation() throws {
        let disk = try RocksDBDisk()
        let engine = try RocksDBEngine(directory: storePath, options: .on(disk))
        try workload.apply(1...10, to: engine)
        try neighbour.apply(1...5, to: engine)
        try engine.flush()
        try disk.record()
        try engine.remove(workload.scope)
        try neighbour.apply(6...7, to: engine)
        try engine.flush()
        var found: Set<[UInt64]> = []
        try forEachCrash(of: disk) { crashed, comment in
            let state = [
                try workload.expectConsistent(crashed, comment),
                try neighbour.expectConsistent(crashed, comment),
            ]
            found.insert(state)
            // The log says that the replica was removed: it is, again.
            try crashed.remove(workload.scope)
            try crashed.flush()
            #expect(try workload.expectConsistent(crashed, comment) == 0)
            #expect(try neighbour.expectConsistent(crashed, comment) == state[1])
        }
        #expect(found == [[10, 5], [0, 7]])
        engine.close()
    }

    @Test func creationCutShortIsDoneAgain() throws {
        let disk = try RocksDBDisk()
        try disk.record()
        let engine = try RocksDBEngine(directory: storePath, options: .on(disk))
        try workload.apply(1...3, to: engine)
        try engine.flush()
        var found: Set<UInt64> = []
        try forEachCrash(of: disk) { crashed, comment in
            found.insert(try workload.expectConsistent(crashed, comment))
            try workload.replay(through: 3, to: crashed, comment)
        }
        #expect(found == [0, 3])
        engine.close()
    }
}
