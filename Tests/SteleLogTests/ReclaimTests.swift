import SteleBase
import SteleRaft
import Testing

@testable import SteleLog

/// Segments leave when nothing needs them, and nothing needed leaves with them.
@Suite struct ReclaimTests {
    private func compaction(_ index: LogIndex, term: Term = 1) -> LogBatch {
        LogBatch(parts: [
            LogBatch.Part(
                tablet: TabletID(1), replica: ReplicaID(1),
                compacted: LogPosition(index: index, term: term))
        ])
    }

    @Test func compactedSegmentsAreUsedAgain() throws {
        let disk = SimulatedFileSystem(seed: 1)
        let (writer, _) = try openWriter(disk)
        var batch = single(1, [1])
        batch.nodeRecord = [42]
        batch.parts[0].hardState = HardState(term: 1, vote: ReplicaID(3), commit: 1)
        try writer.commit(batch)
        for index in 2...500 as ClosedRange<LogIndex> {
            try writer.commit(single(index, [UInt8](repeating: 1, count: 300)))
            if index % 10 == 0 { try writer.commit(compaction(index - 3)) }
        }
        #expect(disk.paths.count <= 7)
        #expect(writer.bytesOnDisk <= 7 * (8 << 10))
        #expect(writer.statistics.reclaimedSegments > 20)
        let total = disk.paths.reduce(0) { $0 + (disk.content(of: $1)?.count ?? 0) }
        #expect(writer.bytesOnDisk == total)
        disk.crash()
        let (_, recovered) = try openWriter(disk)
        #expect(recovered.nodeRecord == [42])
        let replica = try #require(recovered.replicas.first)
        #expect(replica.hardState.vote == ReplicaID(3))
        #expect(replica.compacted == LogPosition(index: 497, term: 1))
        #expect(replica.tail.map(\.index) == [498, 499, 500])
    }

    /// A disk has space for records as long as the log holds files that it does not need.
    @Test func sparesMakeSpaceForRecords() throws {
        let disk = SimulatedFileSystem(seed: 1)
        let (writer, _) = try openWriter(disk)
        func total() -> Int { disk.paths.reduce(0) { $0 + (disk.content(of: $1)?.count ?? 0) } }
        func spares() -> [String] { disk.paths.filter { $0.hasSuffix(".spare") } }
        var last: LogIndex = 0
        func commitNext() throws {
            try writer.commit(single(last + 1, [UInt8](repeating: 1, count: 300)))
            last += 1
        }
        while spares().isEmpty {
            for _ in 0..<10 { try commitNext() }
            try writer.commit(compaction(last - 3))
        }
        let saved = spares().reduce(0) { $0 + (disk.content(of: $1)?.count ?? 0) }
        disk.limit(toBytes: total())
        let before = last
        let error = #expect(throws: LogError.self) { while true { try commitNext() } }
        guard case .file(let cause) = error else { throw try #require(error) }
        #expect(cause.isNoSpace)
        // Each took a sector or two; the last segment that was begun may have room left.
        #expect(Int(last - before) * 2 * LogFormat.alignment >= saved)
        #expect(spares().isEmpty)
        #expect(writer.bytesOnDisk == total())
        disk.crash()
        disk.limit(toBytes: SimulatedFileSystem.unlimited)
        let (_, recovered) = try openWriter(disk)
        #expect(try #require(recovered.replicas.first).lastIndex >= last)
    }

    @Test func aColdReplicaDoesNotHoldUpTheRest() throws {
        let disk = SimulatedFileSystem(seed: 1)
        let (writer, _) = try openWriter(disk)
        let cold = (1...9).map { index in
            Entry(term: 4, index: LogIndex(index), payload: [UInt8(index), 1, 2][...])
        }
        try writer.commit(
            LogBatch(parts: [
                LogBatch.Part(tablet: TabletID(9), replica: ReplicaID(1), entries: cold)
            ]))
        for index in 1...500 as ClosedRange<LogIndex> {
            try writer.commit(single(index, [UInt8](repeating: 1, count: 300)))
            if index % 10 == 0 { try writer.commit(compaction(index - 3)) }
        }
        #expect(writer.statistics.movedEntries >= 9)
        #expect(disk.paths.count <= 10)
        disk.crash()
        let (again, recovered) = try openWriter(disk)
        #expect(recovered.replicas.last?.tail == cold)
        // An overwrite after the move wins over the copy.
        try again.commit(
            LogBatch(parts: [
                LogBatch.Part(
                    tablet: TabletID(9), replica: ReplicaID(1),
                    entries: [Entry(term: 5, index: 4, payload: [0])])
            ]))
        disk.crash()
        let (_, after) = try openWriter(disk)
        #expect(after.replicas.last?.lastIndex == 4)
        #expect(after.replicas.last?.termRuns.map(\.term) == [4, 5])
    }

    /// Their originals are gone, so damage to the copies is no write that was cut short.
    /// In small segments the copy is found at the end of a walk, in large ones long before.
    @Test(arguments: [8 << 10, 256 << 10])
    func damageToTheLastCopyIsFound(segmentBytes: Int) throws {
        let disk = SimulatedFileSystem(seed: 1)
        let (writer, _) = try openWriter(disk, smallOptions(segmentBytes: segmentBytes))
        let marker = [UInt8](repeating: 0xC7, count: 9)
        try writer.commit(
            LogBatch(parts: [
                LogBatch.Part(
                    tablet: TabletID(9), replica: ReplicaID(1),
                    hardState: HardState(term: 4, vote: ReplicaID(1), commit: 1),
                    entries: [Entry(term: 4, index: 1, payload: marker[...])])
            ]))
        var index: LogIndex = 0
        while writer.statistics.movedEntries == 0 {
            index += 1
            try writer.commit(single(index, [UInt8](repeating: 1, count: 300)))
            if index % 10 == 0 { try writer.commit(compaction(index - 3)) }
        }
        disk.killProcess()
        // Behind the copy lies only what vouches for it.
        let newest = try #require(disk.paths.last { $0.hasSuffix(".log") })
        let content = try #require(disk.content(of: newest))
        let copy = try #require(
            content.indices.last { content[$0...].prefix(9).elementsEqual(marker) })
        disk.rot(newest, at: copy, mask: 1)
        let offset = copy - LogFormat.recordHeaderBytes
        do {
            _ = try openWriter(disk)
            Issue.record("damage was taken for the end of the log")
        } catch LogError.corrupt(let file, let place, _) {
            #expect(file == newest && place == offset)
        }
    }

    @Test func openingAgainAndAgainDoesNotFillTheDisk() throws {
        let disk = SimulatedFileSystem(seed: 5)
        var options = smallOptions(segmentBytes: 64 << 10)
        options.zeroedBytes = 16 << 10
        let (first, _) = try openWriter(disk, options)
        let payload = [UInt8](repeating: 7, count: 500)
        for index: LogIndex in 1...40 { try first.commit(single(index, payload)) }
        first.close()
        for round in 0..<60 {
            let (writer, recovered) = try openWriter(disk, options)
            #expect(recovered.replicas.first?.lastIndex == 40)
            let entries = try writer.entries(
                of: TabletID(1), replica: ReplicaID(1), from: 1, upTo: .max, maxBytes: .max)
            #expect(entries.map(\.payload) == Array(repeating: payload[...], count: 40))
            let segments = disk.paths.count { $0.hasSuffix(".log") }
            #expect(segments <= 6, "opening \(round)")
            // Killed as often as closed.
            if round % 2 == 0 { writer.close() } else { disk.crash() }
        }
    }

    @Test func aSnapshotBeyondTheLogStartsItAgain() throws {
        let disk = SimulatedFileSystem(seed: 1)
        let (writer, _) = try openWriter(disk)
        for index in 1...5 as ClosedRange<LogIndex> { try writer.commit(single(index, [1])) }
        try writer.commit(compaction(100, term: 7))
        try writer.commit(single(101, term: 7, [2]))
        #expect(throws: Never.self) {
            let gone = try writer.entries(
                of: TabletID(1), replica: ReplicaID(1), from: 3, upTo: 9, maxBytes: 100)
            #expect(gone.isEmpty)
        }
        disk.crash()
        let (_, recovered) = try openWriter(disk)
        #expect(recovered.replicas.first?.compacted == LogPosition(index: 100, term: 7))
        #expect(recovered.replicas.first?.tail.map(\.index) == [101])
    }

    @Test func severalPartsOfOneReplicaInABatch() throws {
        let disk = SimulatedFileSystem(seed: 1)
        let (writer, _) = try openWriter(disk)
        var batch = single(1, [1])
        batch.parts += single(2, [2]).parts
        batch.parts += compaction(1).parts
        batch.parts += single(3, [3]).parts
        try writer.commit(batch)
        disk.crash()
        let (_, recovered) = try openWriter(disk)
        #expect(recovered.replicas.first?.compacted.index == 1)
        #expect(recovered.replicas.first?.tail.map(\.index) == [2, 3])
    }

    @Test func aRemovedReplicaIsForgottenOnceThatIsSynced() throws {
        let removal = LogBatch(parts: [.init(removing: ReplicaID(1), of: TabletID(9))])
        let other = LogBatch(parts: [
            LogBatch.Part(
                tablet: TabletID(9), replica: ReplicaID(1),
                hardState: HardState(term: 3, vote: ReplicaID(1), commit: 1),
                entries: [Entry(term: 1, index: 1, type: .normal, payload: [9])])
        ])
        for isSynced in [false, true] {
            let disk = SimulatedFileSystem(seed: 1)
            var (writer, recovered) = try openWriter(disk)
            try writer.commit(single(1, [1]))
            try writer.commit(other)
            if isSynced { try writer.commit(removal) } else { try writer.encode(removal) }
            // What it holds in memory is gone at once.
            let left = try writer.entries(
                of: TabletID(9), replica: ReplicaID(1), from: 1, upTo: 2, maxBytes: .max)
            #expect(left.isEmpty)
            disk.crash()
            (writer, recovered) = try openWriter(disk)
            #expect(recovered.replicas.map(\.tablet.rawValue) == (isSynced ? [1] : [1, 9]))
            #expect(recovered.replicas.last?.hardState.term == (isSynced ? 0 : 3))
        }
    }

    /// Neither the entries of replicas that are gone nor their names stay, whatever comes after.
    @Test func replicasThatComeAndGoLeaveNothing() throws {
        let disk = SimulatedFileSystem(seed: 1)
        var (writer, recovered) = try openWriter(disk)
        for number in 10...400 as ClosedRange<UInt64> {
            let payload = [UInt8](repeating: 1, count: 200)
            try writer.commit(
                LogBatch(parts: [
                    LogBatch.Part(
                        tablet: TabletID(number), replica: ReplicaID(1),
                        hardState: HardState(term: 1),
                        entries: [Entry(term: 1, index: 1, type: .normal, payload: payload[...])])
                ]))
            if number > 12 {
                try writer.commit(
                    LogBatch(parts: [.init(removing: ReplicaID(1), of: TabletID(number - 3))]))
            }
            while try writer.upkeep() {}
        }
        #expect(writer.bytesOnDisk <= 4 * smallOptions().segmentBytes)
        disk.crash()
        (writer, recovered) = try openWriter(disk)
        #expect(recovered.replicas.map(\.tablet.rawValue) == [398, 399, 400])
    }

    @Test func theOnlyHeaderIsVouchedFor() throws {
        let disk = SimulatedFileSystem(seed: 1)
        var (writer, _) = try openWriter(disk)
        try writer.commit(single(1, [1]))
        try writer.commit(compaction(1))
        writer.close()
        (writer, _) = try openWriter(disk)
        disk.crash()
        let segments = disk.paths.filter { $0.hasSuffix(".log") }
        #expect(segments.count == 1)
        disk.rot(segments[0], at: 20, mask: 1)
        #expect(throws: LogError.self) { try openWriter(disk) }
    }

    @Test func aFileIsNotUsedAgainWhileItIsRead() throws {
        for readers in 0...1 {
            let disk = SimulatedFileSystem(seed: 1)
            let (writer, _) = try openWriter(disk)
            try writer.commit(single(1, [1]))
            writer.catalog.state.withLock { state in
                guard let oldest = state.segments.oldest else { return }
                state.segments.countReader(sequence: oldest.sequence, by: readers)
            }
            try writer.beginSegment()
            try writer.commit(compaction(1))
            #expect(writer.statistics.reclaimedSegments == 1)
            #expect(disk.paths.filter { $0.hasSuffix(".spare") }.count == 1 - readers)
        }
    }

    @Test func aHugeBatchGetsASegmentOfItsSize() throws {
        let disk = SimulatedFileSystem(seed: 1)
        let (writer, _) = try openWriter(disk)
        let huge = [UInt8](repeating: 0x5A, count: 5 << 20)
        try writer.commit(single(1, [1]))
        try writer.commit(single(2, huge))
        try writer.commit(single(3, [3]))
        disk.crash()
        let (again, recovered) = try openWriter(disk)
        #expect(recovered.replicas.first?.lastIndex == 3)
        // The entry exceeds what is kept of a tail.
        #expect(recovered.replicas.first?.tail.map(\.index) == [3])
        let entries = try again.entries(
            of: TabletID(1), replica: ReplicaID(1), from: 2, upTo: 4, maxBytes: 1)
        #expect(entries.map(\.payload) == [huge[...]])
        try again.commit(compaction(2))
        while try again.upkeep() {}
        #expect(again.bytesOnDisk < 1 << 20)
    }
}
