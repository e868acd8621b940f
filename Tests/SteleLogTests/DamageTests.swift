import SteleBase
import SteleRaft
import Testing

@testable import SteleLog

/// Damage to the files: recovery returns what was once the state, or a typed error, nothing else.
@Suite struct DamageTests {
    /// A small log of two segments with the states that it went through, and how many of them
    /// damage to one place cannot undo because a later record proves that they were synced.
    struct SmallLog {
        let disk = SimulatedFileSystem(seed: 9)
        var states: [ModelLog] = [ModelLog()]

        init(closes: Bool) throws {
            let (writer, _) = try openWriter(disk, smallOptions(segmentBytes: 3 << 10))
            var source = BatchSource(seed: 11)
            source.payloadBytes = 60
            for _ in 0..<7 {
                let batch = source.next()
                if batch.isEmpty { continue }
                try writer.commit(batch)
                states.append(source.model)
            }
            if closes { writer.close() } else { disk.killProcess() }
        }

        var segments: [String] { disk.paths.filter { $0.hasSuffix(".log") } }

        /// A disk with the same files, one of them changed.
        func copy(changing path: String, _ change: (inout [UInt8]) -> Void) -> SimulatedFileSystem {
            let copy = SimulatedFileSystem(seed: 1)
            for name in disk.paths {
                var bytes = disk.content(of: name) ?? []
                if name == path { change(&bytes) }
                copy.setContent(of: name, to: bytes)
            }
            return copy
        }

        /// Opens and says which state came back, nil for an error that names the damage.
        func outcome(_ disk: SimulatedFileSystem) throws -> Int? {
            let before = disk.paths.map { disk.content(of: $0) }
            do {
                let (writer, recovered) = try openWriter(disk)
                let found = try ModelLog(recovered, writer)
                let state = states.lastIndex(of: found)
                #expect(state != nil, "wrong data")
                return state ?? 0
            } catch let error as LogError {
                switch error {
                case .corrupt: break
                default: Issue.record("unexpected \(error)")
                }
                #expect(disk.paths.map { disk.content(of: $0) } == before, "disk was changed")
                return nil
            }
        }
    }

    private static let oneBitOfPadding = longRun("STELE_LOG_EVERY_BIT", otherwise: 0) == 0

    /// `STELE_LOG_EVERY_BIT=1 swift test --filter DamageTests` flips each bit of the padding too.
    @Test(arguments: [false, true]) func everyFlippedBit(closes: Bool) throws {
        let log = try SmallLog(closes: closes)
        #expect(log.segments.count >= 2)
        // Without a clean end only the last record has nothing behind it that vouches for it.
        let safe = log.states.count - (closes ? 1 : 2)
        var errors = 0
        for path in log.segments {
            let bytes = try #require(log.disk.content(of: path))
            // Every byte; of the log without an end only those that are not zeros.
            for offset in bytes.indices where closes || bytes[offset] != 0 {
                // Each bit of what is written, and one bit of each byte of the padding.
                let isPadding = bytes[offset] == 0 && Self.oneBitOfPadding
                for bit in 0..<8 where !isPadding || bit == offset % 8 {
                    let damaged = log.copy(changing: path) { $0[offset] ^= 1 << UInt8(bit) }
                    if let state = try log.outcome(damaged) {
                        #expect(state >= safe, "\(path) byte \(offset) bit \(bit)")
                    } else {
                        errors += 1
                    }
                }
            }
        }
        #expect(errors > 500)
    }

    /// Once older segments are gone, nothing but its own rules vouches for the checkpoint.
    @Test func everyFlippedBitOfALogWhoseOldSegmentsAreGone() throws {
        let disk = SimulatedFileSystem(seed: 9)
        let (writer, _) = try openWriter(disk)
        var batch = single(1, [1])
        batch.nodeRecord = [42]
        batch.parts[0].hardState = HardState(term: 7, vote: ReplicaID(3), commit: 1)
        try writer.commit(batch)
        try writer.commit(
            LogBatch(parts: [
                LogBatch.Part(
                    tablet: TabletID(1), replica: ReplicaID(1),
                    compacted: LogPosition(index: 1, term: 1))
            ]))
        disk.killProcess()
        let (again, recovered) = try openWriter(disk)
        let truth = try ModelLog(recovered, again)
        disk.killProcess()
        let segments = disk.paths.filter { $0.hasSuffix(".log") }
        let path = try #require(segments.first)
        #expect(segments == ["log/0000000000000002.log"] && truth.nodeRecord == [42])
        // The header and the checkpoint, each a sector.
        let written = 2 * LogFormat.alignment
        func expect(_ what: String, _ change: (inout [UInt8]) -> Void) throws {
            let copy = SimulatedFileSystem(seed: 1)
            for name in disk.paths {
                var bytes = disk.content(of: name) ?? []
                if name == path { change(&bytes) }
                copy.setContent(of: name, to: bytes)
            }
            do {
                let (writer, recovered) = try openWriter(copy)
                #expect(try ModelLog(recovered, writer) == truth, "\(what)")
            } catch let error as LogError {
                guard case .corrupt = error else { throw error }
            }
        }
        for bit in 0..<8 * written {
            try expect("bit \(bit)") { $0[bit / 8] ^= 1 << UInt8(bit % 8) }
        }
        for length in 0..<written { try expect("\(length) bytes") { $0 = Array($0[..<length]) } }
    }

    @Test func everyTruncation() throws {
        let log = try SmallLog(closes: false)
        let newest = try #require(log.segments.last)
        for path in log.segments {
            let count = try #require(log.disk.content(of: path)).count
            for length in 0..<count {
                let cut = log.copy(changing: path) { $0.removeLast($0.count - length) }
                // Nothing in a file can vouch for what is missing at its own end.
                guard let state = try log.outcome(cut), path != newest else { continue }
                #expect(state == log.states.count - 1, "\(path) cut to \(length)")
            }
        }
    }

    @Test func everyTornSectorOfTheLastWrite() throws {
        for kept in 0..<64 {
            let disk = SimulatedFileSystem(seed: UInt64(kept))
            let (writer, _) = try openWriter(disk, smallOptions(segmentBytes: 64 << 10))
            try writer.commit(single(1, [1]))
            for index in 2...5 as ClosedRange<LogIndex> {
                try writer.encode(single(index, [UInt8](repeating: 9, count: 1500)))
            }
            try writer.write()
            disk.crash()
            let (again, recovered) = try openWriter(disk)
            let last = try #require(recovered.replicas.first?.lastIndex)
            #expect((1...5).contains(last))
            try again.commit(single(last + 1, term: 2, [2]))
            disk.crash()
            let (_, after) = try openWriter(disk)
            #expect(after.replicas.first?.lastIndex == last + 1)
        }
    }

    @Test func aNewerFormatIsRefused() throws {
        let log = try SmallLog(closes: true)
        let path = try #require(log.segments.last)
        // Of the header, a newer version shares magic, version and checksum, and nothing else.
        let newer = log.copy(changing: path) { bytes in
            bytes[8] = 2
            for place in 12..<44 { bytes[place] = 0xEE }
            var checksum = ByteWriter()
            checksum.write(CRC32C.of(bytes[..<44]))
            bytes.replaceSubrange(44..<48, with: checksum.bytes)
        }
        #expect(throws: LogError.unsupportedVersion(file: path, version: 2)) {
            try openWriter(newer)
        }
    }

    /// A bit that flipped is damage, not another version.
    @Test func aDamagedVersionIsDamage() throws {
        let log = try SmallLog(closes: true)
        for path in log.segments {
            for bit in 0..<32 {
                let damaged = log.copy(changing: path) { $0[8 + bit / 8] ^= 1 << UInt8(bit % 8) }
                let error = #expect(throws: LogError.self) { try openWriter(damaged) }
                guard case .corrupt(path, 0, _) = error else {
                    Issue.record("\(path) bit \(bit): \(String(describing: error))")
                    return
                }
            }
        }
    }

    /// A change of the format needs a new version, and this file as a fixture to be read.
    @Test func theFormatIsPinned() throws {
        let disk = SimulatedFileSystem(seed: 1)
        let (writer, _) = try openWriter(disk)
        var batch = single(1, [1, 2, 3])
        batch.nodeRecord = [4, 5]
        batch.parts[0].hardState = HardState(term: 300, vote: ReplicaID(2), commit: 1)
        try writer.commit(batch)
        let path = try #require(disk.paths.first { $0.hasSuffix(".log") })
        let bytes = try #require(disk.content(of: path))
        #expect(path == "log/0000000000000001.log")
        #expect(CRC32C.of(bytes) == 0x267E_B889)
    }

    /// What a file that is used again still holds of values is no evidence, whatever they say.
    @Test func aPayloadIsNoEvidenceOfDamage() throws {
        var encoder = RecordEncoder()
        encoder.begin(position: 1 << 40, parts: 0, nodeRecord: nil)
        _ = encoder.finish(salt: 1, synced: 1 << 40, previous: 0)
        // A record of a log that has come far, at each place within a sector.
        let record = Array(encoder.output.bytes[..<LogFormat.alignment]) + [0]
        let payload = Array(repeatElement(record, count: LogFormat.alignment).joined())
        let disk = SimulatedFileSystem(seed: 1)
        let options = smallOptions(segmentBytes: 512 << 10)
        let (writer, _) = try openWriter(disk, options)
        disk.record()
        for index in 1...6 as ClosedRange<LogIndex> {
            var batch = single(index, payload)
            if index > 1 { batch.parts[0].compacted = LogPosition(index: index - 1, term: 1) }
            try writer.commit(batch)
        }
        for seed in 0..<4 as Range<UInt64> {
            for (number, disk) in disk.crashPoints(seed: seed) {
                disk.crash()
                #expect(throws: Never.self, "seed \(seed), change \(number)") {
                    try openWriter(disk, options)
                }
            }
        }
    }

    /// Values that look like the heads of long records do not make opening slow.
    @Test func theEndOfASegmentUsedAgainIsFoundSoon() throws {
        let disk = SimulatedFileSystem(seed: 1)
        let options = smallOptions(segmentBytes: 16 << 20)
        let (writer, _) = try openWriter(disk, options)
        // As lengths of payloads and metadata: 2 MiB each.
        let payload = Array(repeatElement([0, 0, 32, 0] as [UInt8], count: 256 << 10).joined())
        for index in 1...40 as ClosedRange<LogIndex> {
            var batch = single(index, payload)
            if index > 1 { batch.parts[0].compacted = LogPosition(index: index - 1, term: 1) }
            try writer.commit(batch)
        }
        #expect(writer.statistics.reclaimedSegments >= 2)
        writer.close()
        let duration = try ContinuousClock().measure { _ = try openWriter(disk, options) }
        #expect(duration < .seconds(2))
    }

    @Test func aMissingSegmentIsFound() throws {
        let disk = SimulatedFileSystem(seed: 2)
        var options = smallOptions(segmentBytes: 2 << 10)
        options.segmentsBeforeMoving = .max
        let (writer, _) = try openWriter(disk, options)
        for index in 1...30 as ClosedRange<LogIndex> { try writer.commit(single(index, [1])) }
        writer.close()
        let segments = disk.paths.filter { $0.hasSuffix(".log") }
        #expect(segments.count > 5)
        for victim in segments.dropLast() {
            let copy = SimulatedFileSystem(seed: 1)
            for path in disk.paths where path != victim {
                copy.setContent(of: path, to: disk.content(of: path) ?? [])
            }
            #expect(throws: LogError.self) { try openWriter(copy) }
        }
    }

    /// Also one that held all there is of a replica that was never written again.
    @Test func theSegmentOfAColdReplicaIsMissed() throws {
        let disk = SimulatedFileSystem(seed: 2)
        var options = smallOptions(segmentBytes: 2 << 10)
        options.segmentsBeforeMoving = .max
        let (writer, _) = try openWriter(disk, options)
        try writer.commit(
            LogBatch(parts: [
                LogBatch.Part(
                    tablet: TabletID(7), replica: ReplicaID(1),
                    entries: [Entry(term: 1, index: 1, payload: [1])])
            ]))
        try writer.beginSegment()
        for index in 1...10 as ClosedRange<LogIndex> { try writer.commit(single(index, [1])) }
        writer.close()
        let first = try #require(disk.paths.first { $0.hasSuffix(".log") })
        try disk.remove(first)
        let error = #expect(throws: LogError.self) { try openWriter(disk) }
        #expect(try #require(error).description.contains("entry 1 of"))
    }

    @Test func aLogThatNoSegmentCanFollowIsRefused() throws {
        let disk = SimulatedFileSystem(seed: 1)
        try openWriter(disk).writer.close()
        disk.setContent(of: "log/ffffffffffffffff.log", to: [])
        let before = disk.paths
        #expect(throws: LogError.self) { try openWriter(disk) }
        #expect(disk.paths == before)
    }

    @Test func rotIsFoundOnReading() throws {
        let disk = SimulatedFileSystem(seed: 2)
        let (writer, _) = try openWriter(disk)
        try writer.commit(single(1, [UInt8](repeating: 0xAA, count: 700)))
        let path = try #require(disk.paths.first { $0.hasSuffix(".log") })
        let content = try #require(disk.content(of: path))
        disk.rot(path, at: try #require(content.firstIndex(of: 0xAA)) + 300, mask: 4)
        #expect(throws: LogError.self) {
            try writer.entries(
                of: TabletID(1), replica: ReplicaID(1), from: 1, upTo: 2, maxBytes: 100)
        }
    }
}
