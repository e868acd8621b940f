import Glibc
import SteleBase
import SteleRaft
import Testing

@testable import SteleLog

#if DEBUG || STELE_PROBES
    /// Rare branches of the log: a test that never takes them proves nothing about them.
    @Suite struct RarePathTests {
        @Test func marksOfRareBranches() throws {
            let probes = Probes(faultOdds: 8, seed: 1)
            var missing: Set<String> = [
                "log: a segment of its own for a large record", "log: a file is used again",
                "log: a segment file is removed", "log: entries are copied forward",
                "log: a segment whose creation was cut short is dropped",
                "log: the end of the log was not proven to be synced",
                "log: a compaction voids what lies above it", "log: no space for zeros",
                "log: a segment that could not be begun is removed",
                "log: a spare file makes space for a record",
                // Detours that fault points ask for.
                "log: a new file though there is a spare", "log: a segment ends early",
                "log: entries are moved one by one",
            ]
            for seed in 0..<60 as Range<UInt64> where !missing.isEmpty {
                probes.observe { Self.rareLife(seed) }
                missing.subtract(probes.places)
            }
            #expect(missing.isEmpty)
        }

        private static func rareLife(_ seed: UInt64) {
            let disk = SimulatedFileSystem(seed: seed)
            var source = BatchSource(seed: seed)
            source.replicas = 5
            var random = SeededRandom(seed: seed)
            for _ in 0..<4 {
                var options = smallOptions(segmentBytes: 3 << 10)
                options.spareSegments = Int(random.below(3))
                guard let opened = try? openWriter(disk, options) else { return }
                source.payloadBytes = random.oneIn(8) ? 8_000 : 200
                // Any failure ends the life; what is asked for here is only what was passed.
                for _ in 0..<random.below(80) { try? opened.writer.commit(source.next()) }
                if random.oneIn(2) { disk.limit(toBytes: Int(random.uniform(1 << 10...20 << 10))) }
                for _ in 0..<random.below(20) { try? opened.writer.commit(source.next()) }
                disk.inject(.init(.write, after: Int(random.below(3)), code: EIO))
                try? opened.writer.beginSegment()
                disk.clearFaults()
                disk.crash()
                _ = try? openWriter(disk)
                disk.limit(toBytes: SimulatedFileSystem.unlimited)
                disk.crash()
                if let again = try? openWriter(disk), let kept = try? ModelLog(again.1, again.0) {
                    source.model = kept
                    again.0.close()
                }
            }
        }
    }
#endif
