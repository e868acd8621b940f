import Glibc
import SteleBase
import SteleRaft
import Testing

@testable import SteleLog

/// How many seeds to try: what a variable of the environment says, for long runs.
func longRun(_ variable: String, otherwise: UInt64) -> UInt64 {
    getenv(variable).flatMap { UInt64(String(cString: $0)) } ?? otherwise
}

/// What comes back after a close or a crash. `STELE_LOG_SEEDS=5000 swift test --filter
/// RecoveryTests` tries more crashes than the suite does.
@Suite struct RecoveryTests {
    @Test func anEmptyLogComesBackEmpty() throws {
        let disk = SimulatedFileSystem(seed: 1)
        for _ in 0..<3 {
            let (writer, recovered) = try openWriter(disk)
            #expect(recovered.replicas.isEmpty)
            #expect(recovered.nodeRecord == nil)
            writer.close()
        }
        #expect(disk.paths.count <= 4)
    }

    @Test(arguments: 0..<20 as Range<UInt64>)
    func whatWasAppendedComesBack(seed: UInt64) throws {
        let disk = SimulatedFileSystem(seed: seed)
        var source = BatchSource(seed: seed)
        for life in 0..<6 {
            let (writer, recovered) = try openWriter(disk, smallOptions(seed: seed + UInt64(life)))
            let found = try ModelLog(recovered, writer)
            #expect(found == source.model, "life \(life)")
            for _ in 0..<60 { try writer.commit(source.next()) }
            writer.close()
        }
    }

    /// Crashes between any two steps; whatever was synced is there, in order, nothing else.
    @Test(arguments: 0..<longRun("STELE_LOG_SEEDS", otherwise: 20))
    func acknowledgedSurvivesCrashes(seed: UInt64) throws {
        #if DEBUG || STELE_PROBES
            // Every other run takes permitted detours on its way.
            try Probes(faultOdds: seed % 2 == 0 ? 0 : 8, seed: seed).observe { () throws in
                try crashes(seed: seed)
            }
        #else
            try crashes(seed: seed)
        #endif
    }

    private func crashes(seed: UInt64) throws {
        let disk = SimulatedFileSystem(seed: seed)
        var source = BatchSource(seed: seed &* 7)
        source.replicas = 2 + seed % 8
        var random = SeededRandom(seed: seed ^ 0xABCD)
        for life in 0..<12 {
            let (writer, recovered) = try openWriter(disk, smallOptions(seed: random.next()))
            var states = [source.model]
            let found = try ModelLog(recovered, writer)
            #expect(found == source.model, "seed \(seed) life \(life)")
            var acknowledged = 0
            for _ in 0..<random.below(60) {
                for _ in 0...random.below(3) {
                    try writer.encode(source.next())
                    states.append(source.model)
                    if random.oneIn(6) { try writer.write() }
                }
                if random.oneIn(20) { break }
                try writer.write()
                if random.oneIn(20) { break }
                try writer.sync()
                acknowledged = states.count - 1
                if random.oneIn(2) { _ = try writer.upkeep() }
            }
            if random.oneIn(4) { disk.killProcess() } else { disk.crash() }
            // A second crash while recovering must not lose anything either.
            if random.oneIn(3) {
                disk.inject(.init(.sync, after: Int(random.below(3)), code: 5))
                _ = try? openWriter(disk, smallOptions(seed: random.next()))
                disk.clearFaults()
                disk.crash()
            }
            let (again, log) = try openWriter(disk, smallOptions(seed: random.next()))
            let kept = try ModelLog(log, again)
            guard let position = states.lastIndex(of: kept) else {
                Issue.record("seed \(seed) life \(life): a state that never was")
                return
            }
            #expect(position >= acknowledged, "seed \(seed) life \(life)")
            source.model = kept
            if random.oneIn(2) { again.close() } else { disk.crash() }
        }
    }

    @Test func oneTornGroupLeavesThoseBeforeIt() throws {
        let disk = SimulatedFileSystem(seed: 3)
        let (writer, _) = try openWriter(disk)
        try writer.commit(single(1, [1]))
        try writer.encode(single(2, [2]))
        disk.crash()
        let (_, recovered) = try openWriter(disk)
        #expect(recovered.replicas.first?.lastIndex == 1)
    }

    @Test func recordsLeftByAFailedSyncAreWrittenAnew() throws {
        let disk = SimulatedFileSystem(seed: 4)
        let (writer, _) = try openWriter(disk)
        try writer.commit(single(1, [1]))
        try writer.encode(single(2, [2]))
        try writer.write()
        disk.inject(.init(.sync, code: 5))
        #expect(throws: LogError.self) { try writer.sync() }
        disk.killProcess()
        // The page cache still shows entry 2, so it counts from now on, and must stay.
        let (_, recovered) = try openWriter(disk)
        #expect(recovered.replicas.first?.lastIndex == 2)
        for _ in 0..<3 {
            disk.crash()
            let (_, after) = try openWriter(disk)
            #expect(after.replicas.first?.lastIndex == 2)
        }
    }

    /// A segment whose checkpoint was lost in a crash, with its header there, is no damage, not even
    /// once it is the oldest one.
    @Test func aSegmentWithoutCheckpointMayBecomeTheOldest() throws {
        let disk = SimulatedFileSystem(seed: 6)
        let first = "log/" + LogFormat.fileName(sequence: 1)
        let second = "log/" + LogFormat.fileName(sequence: 2)
        var (writer, _) = try openWriter(disk)
        try writer.commit(single(1, [1]))
        disk.killProcess()
        disk.inject(.init(.sync, after: 1, code: EIO))
        disk.inject(.init(.remove, code: EIO))
        #expect(throws: LogError.self) { try openWriter(disk) }
        disk.killProcess()
        disk.clearFaults()
        let written = try #require(disk.content(of: second))
        #expect(written.count > LogFormat.segmentHeaderBytes)
        disk.setContent(of: second, to: Array(written[..<LogFormat.segmentHeaderBytes]))

        (writer, _) = try openWriter(disk)
        // Nothing lives in the first two segments any more; the second one cannot be put aside.
        try writer.encode(
            LogBatch(parts: [
                LogBatch.Part(
                    tablet: TabletID(1), replica: ReplicaID(1),
                    compacted: LogPosition(index: 1, term: 1))
            ]))
        try writer.write()
        try writer.sync()
        disk.inject(.init(.rename, after: 1, code: EIO))
        #expect(throws: LogError.self) { while try writer.upkeep() {} }
        #expect(disk.content(of: first) == nil && disk.content(of: second) != nil)
        disk.crash()
        disk.clearFaults()
        let (_, recovered) = try openWriter(disk)
        #expect(recovered.replicas.first?.compacted.index == 1)
    }

    /// In one part, far beyond what was written to the log so far.
    @Test func aSnapshotFarAheadWithTheEntriesBehindIt() throws {
        let disk = SimulatedFileSystem(seed: 1)
        let (writer, _) = try openWriter(disk)
        try writer.commit(single(1, [1]))
        var batch = single(1_000_001, term: 7, [2])
        batch.parts[0].compacted = LogPosition(index: 1_000_000, term: 7)
        try writer.commit(batch)
        disk.crash()
        let (_, recovered) = try openWriter(disk)
        let replica = try #require(recovered.replicas.first)
        #expect(replica.compacted == LogPosition(index: 1_000_000, term: 7))
        #expect(replica.tail.map(\.index) == [1_000_001])
    }

    @Test func tailsAreLimited() throws {
        let disk = SimulatedFileSystem(seed: 5)
        let (writer, _) = try openWriter(disk)
        for index in 1...20 as ClosedRange<LogIndex> {
            try writer.commit(single(index, [UInt8](repeating: 7, count: 100)))
        }
        writer.close()
        var options = smallOptions()
        options.tailBytesPerReplica = 450
        let (again, recovered) = try openWriter(disk, options)
        #expect(recovered.replicas.first?.tail.map(\.index) == [17, 18, 19, 20])
        let entries = try again.entries(
            of: TabletID(1), replica: ReplicaID(1), from: 3, upTo: 10, maxBytes: 250)
        #expect(entries.map(\.index) == [3, 4])
        let one = try again.entries(
            of: TabletID(1), replica: ReplicaID(1), from: 3, upTo: 10, maxBytes: 0)
        #expect(one.map(\.index) == [3])
        let none = try again.entries(
            of: TabletID(1), replica: ReplicaID(1), from: 21, upTo: 30, maxBytes: 9)
        #expect(none.isEmpty)
    }
}
