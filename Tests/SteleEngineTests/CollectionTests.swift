import Foundation
import SteleBase
import SteleClock
import SteleEngine
import SteleRocksDB
import Testing

/// Garbage collection below watermarks.
@Suite struct CollectionTests {
    private let tablet = TabletID(3)
    private let replica = ReplicaID(4)

    private func raise(
        _ timestamp: UInt64, _ range: KeyRange = .all, tablet: UInt64 = 3,
        in engine: some StorageEngine
    ) throws {
        try engine.apply { list in
            list.raise(
                Watermark(timestamp: time(timestamp), range: range), tablet: TabletID(tablet),
                replica: replica)
        }
    }

    private func expectRefused(
        _ read: () throws -> Void, location: SourceLocation = #_sourceLocation
    ) {
        let error = #expect(throws: EngineError.self, sourceLocation: location) { try read() }
        #expect(error?.code == .belowWatermark, sourceLocation: location)
        #expect(error?.isFatal == false, sourceLocation: location)
    }

    /// What a compaction dropped by a watermark is not there for who looks after that has gone.
    @Test func snapshotIsReadByTheWatermarksItWasTakenUnder() throws {
        let engine = try RocksDBEngine(directory: "/store", options: .init(disk: try RocksDBDisk()))
        defer { engine.close() }
        try engine.apply { list in
            for at: UInt64 in [3, 8] { list.put(key("k"), [1], at: time(at), by: writerID) }
        }
        try raise(10, in: engine)
        try engine.flush()
        try engine.compact(.all)
        let snapshot = try engine.snapshot()
        try engine.remove(ReplicaScope(tablet: tablet, replica: replica, range: .all))
        expectRefused { _ = try snapshot.read(key("k"), at: ReadPoint(time(5))) }
        expectRefused { _ = try snapshot.newestVersion(of: key("k"), at: time(5)) }
        expectRefused { _ = try snapshot.page(at: time(5)) }
        #expect(try snapshot.newestVersion(of: key("k"), at: time(10))?.timestamp == time(8))
        #expect(try engine.newestVersion(of: key("k"), at: time(5)) == nil)
    }

    /// Scans would pass over what was dropped one by one.
    @Test func filesOfDroppedVersionsAreCompactedUnasked() throws {
        let engine = try RocksDBEngine(
            directory: "/store", options: .init(disk: try RocksDBDisk()))
        defer { engine.close() }
        let names = (0..<20_000 as Range<UInt32>).map { number in
            withUnsafeBytes(of: number.bigEndian) { Array($0) }
        }
        try engine.apply { list in
            for name in names { list.put(name, [1], at: time(5), by: writerID) }
        }
        try engine.flush()
        try engine.apply { list in
            for name in names { list.dropVersions(of: name, upTo: time(5)) }
        }
        try engine.flush()
        var bytes = Int.max
        for _ in 0..<1000 where bytes > 10_000 {
            Thread.sleep(forTimeInterval: 0.01)
            bytes = try engine.statistics().levels.map(\.bytes).reduce(0, +)
        }
        // What is left is the store's format; 20,000 versions or deletions take 200 KB.
        #expect(bytes <= 10_000)
        #expect(try engine.page().count == 0)
    }

    @Test(arguments: EngineKind.allCases)
    func readsBelowTheWatermarkAreRefused(_ kind: EngineKind) throws {
        try withEngine(kind) { engine in
            try engine.apply { list in
                for name in ["a", "m", "z"] {
                    for at: UInt64 in 1...9 {
                        list.put(key(name), [UInt8(at)], at: time(at), by: writerID)
                    }
                }
            }
            let snapshot = try engine.snapshot()
            let range = KeyRange(start: key("b"), end: key("n"))
            try raise(5, range, in: engine)
            for reader in [engine, snapshot] as [any EngineReader] {
                expectRefused { _ = try reader.read(key("m"), at: ReadPoint(time(4))) }
                expectRefused { _ = try reader.newestVersion(of: key("m"), at: time(4)) }
                expectRefused { _ = try reader.versions(of: key("m"), above: time(4), limit: 1) }
                expectRefused { _ = try reader.firstChange(in: .all, above: time(4)) }
                for reverse in [false, true] {
                    expectRefused { _ = try reader.page(at: time(4), reverse: reverse) }
                    expectRefused {
                        _ = try reader.page(
                            KeyRange(start: key("a"), end: key("b\0")), at: time(4),
                            reverse: reverse)
                    }
                    let outside = KeyRange(start: key("n"), end: [])
                    #expect(try reader.page(outside, at: time(4), reverse: reverse).count == 1)
                    let before = KeyRange(start: [], end: key("b"))
                    #expect(try reader.page(before, at: time(4), reverse: reverse).count == 1)
                    #expect(try reader.page(at: time(5), reverse: reverse).count == 3)
                }
                #expect(try reader.read(key("a"), at: ReadPoint(time(4))).1 == [4])
                #expect(try reader.read(key("m"), at: ReadPoint(time(5))).1 == [5])
            }
            // It never goes back, and reaches as far as the tablet says.
            try raise(2, KeyRange(start: key("b"), end: key("c")), in: engine)
            expectRefused { _ = try engine.newestVersion(of: key("b"), at: time(4)) }
            #expect(try engine.newestVersion(of: key("c"), at: time(4)) == nil)
            try raise(7, KeyRange(start: key("b"), end: []), tablet: 9, in: engine)
            expectRefused { _ = try engine.newestVersion(of: key("b"), at: time(6)) }
            expectRefused { _ = try engine.newestVersion(of: key("zz"), at: time(6)) }
            // And goes with its tablet.
            let keys = [
                LocalKey(tablet: TabletID(9), replica: replica, item: .watermark),
                LocalKey(tablet: tablet, replica: replica, item: .watermark),
            ].map(\.bytes)
            try engine.apply { $0.delete(keys[0], in: .local) }
            _ = try engine.newestVersion(of: key("z"), at: time(6))
            expectRefused { _ = try engine.newestVersion(of: key("b"), at: time(4)) }
            #expect(try engine.value(of: keys[1], in: .local) != nil)
            try engine.apply { $0.clear(.all, in: .local) }
            #expect(try engine.newestVersion(of: key("b"), at: time(1)) == nil)
        }
    }

    @Test(arguments: EngineKind.allCases)
    func newestVersionAtTheWatermarkStays(_ kind: EngineKind) throws {
        try withEngine(kind) { engine in
            try engine.apply { list in
                for at: UInt64 in [1, 4, 6, 9] {
                    list.put(key("a"), [UInt8(at)], at: time(at), by: writerID)
                    list.put(key("b"), [UInt8(at)], at: time(at), by: writerID)
                }
                list.delete(key("b"), at: time(5), by: writerID)
                list.put(key("c"), [1], at: time(1), by: writerID)
                list.delete(key("d"), at: time(2), by: writerID)
                list.put(key("e"), [1], at: time(1), by: writerID)
                list.put(key("e"), [2], at: time(2), by: writerID)
            }
            try raise(5, KeyRange(start: [], end: key("e")), in: engine)
            try engine.flush()
            if let engine = engine as? RocksDBEngine {
                try engine.compact(.all)
                func stored(_ name: String) throws -> [UInt64] {
                    try engine.storedVersions(of: key(name)).map(\.timestamp.rawValue)
                }
                #expect(try stored("a") == [9, 6, 4])
                #expect(try stored("b") == [9, 6, 5])
                #expect(try stored("c") == [1])
                #expect(try stored("d") == [2])
                #expect(try stored("e") == [2, 1])
            } else {
                #expect(try engine.statistics().estimatedVersions == 10)
            }
            let page = try engine.page(KeyRange(start: [], end: key("e")), at: time(5))
            #expect(page.plainRows.map(\.value) == [[4], [1]])
            #expect(try engine.page(at: .max).plainRows.map(\.value) == [[9], [9], [1], [2]])
        }
    }

    /// What a compaction would take for hidden behind a version that was cleared is refused.
    @Test(arguments: EngineKind.allCases, [false, true])
    func writesBelowClearedVersionsAreRefused(_ kind: EngineKind, isFlushed: Bool) throws {
        try withCheckingEngine(kind) { engine in
            try engine.apply { list in
                list.put(key("a"), [1], at: time(100), by: writerID)
                list.put(key("b"), [1], at: time(100), by: writerID)
            }
            if isFlushed { try engine.flush() }
            try engine.apply { $0.clear(KeyRange(start: key("a"), end: key("b"))) }
            try engine.apply { $0.put(intent([2]), at: key("a")) }
            let refusals = [
                mutations { $0.put(key("a"), [2], at: time(70), by: writerID) },
                mutations { $0.delete(key("a"), at: time(100), by: writerID) },
                mutations { $0.resolveIntent(at: key("a"), of: writerID, committedAt: time(90)) },
                // What the same list cleared counts too, and what it had put.
                mutations { list in
                    list.clear(KeyRange(key: key("b")))
                    list.put(key("b"), [2], at: time(100), by: writerID)
                },
                mutations { list in
                    list.put(key("c"), [2], at: time(9), by: writerID)
                    list.clear(KeyRange(start: key("c"), end: []))
                    list.delete(key("c"), at: time(8), by: writerID)
                },
            ]
            for list in refusals {
                let error = #expect(throws: EngineError.self) {
                    try engine.apply([list], applied: nil)
                }
                #expect(error?.code == .invalidArgument && error?.isFatal == false)
                #expect(error?.message.contains("was cleared") == true)
            }
            // Another key, and a newer version, are as good as ever.
            try engine.apply { list in
                list.removeIntent(at: key("a"), of: writerID)
                list.put(key("b"), [2], at: time(70), by: writerID)
                list.put(key("a"), [3], at: time(170), by: writerID)
            }
            try raise(150, .all, in: engine)
            try engine.flush()
            if let engine = engine as? RocksDBEngine { try engine.compact(.all) }
            #expect(try engine.page(at: .max).plainRows.map(\.value) == [[3], [1]])
        }
    }

    /// What a read has already answered, or is refused for good, does not change.
    @Test(arguments: EngineKind.allCases)
    func writesAtOrBelowAWatermarkAreRefused(_ kind: EngineKind) throws {
        try withCheckingEngine(kind) { engine in
            try engine.apply { list in
                list.put(key("a"), [3], at: time(3), by: writerID)
                list.put(intent([4], at: time(4)), at: key("a"))
            }
            try raise(5, KeyRange(start: key("a"), end: key("n")), in: engine)
            let higher = Watermark(timestamp: time(9), range: .all)
            let refusals = [
                mutations { $0.put(key("b"), [1], at: time(5), by: writerID) },
                mutations { $0.delete(key("m"), at: time(2), by: writerID) },
                mutations { $0.resolveIntent(at: key("a"), of: writerID, committedAt: time(4)) },
                // What comes before it in the list goes too, and what it says itself counts.
                mutations { list in
                    list.put(key("b"), [1], at: time(6), by: writerID)
                    list.put(key("a"), [1], at: time(1), by: writerID)
                },
                mutations { list in
                    list.raise(higher, tablet: tablet, replica: replica)
                    list.put(key("z"), [1], at: time(9), by: writerID)
                },
            ]
            for list in refusals {
                let error = #expect(throws: EngineError.self) {
                    try engine.apply([list], applied: nil)
                }
                #expect(error?.code == .invalidArgument && error?.isFatal == false)
                #expect(error?.message.contains("watermark") == true, "\(error?.message ?? "")")
                #expect(try engine.page(at: time(5)).conflicts.map(\.key) == [key("a")])
                #expect(try engine.newestVersion(of: key("a"), at: time(5))?.value == [3])
                #expect(try engine.newestVersion(of: key("b"), at: .max) == nil)
            }
            try engine.apply { list in
                list.put(key("b"), [6], at: time(6), by: writerID)
                list.put(key("z"), [1], at: time(1), by: writerID)
                // Nothing is written where there is no such intent.
                list.resolveIntent(at: key("a"), of: TransactionID(99), committedAt: time(1))
                list.resolveIntent(at: key("c"), of: writerID, committedAt: time(1))
                list.resolveIntent(at: key("a"), of: writerID, committedAt: time(6))
                list.put(key("c"), [9], at: time(9), by: writerID)
                list.raise(higher, tablet: tablet, replica: replica)
            }
            #expect(try engine.page(at: time(9)).plainRows.map(\.value) == [[4], [6], [9], [1]])
            // It goes with its item.
            try engine.apply { list in
                list.delete(
                    LocalKey(tablet: tablet, replica: replica, item: .watermark).bytes, in: .local)
                list.put(key("d"), [2], at: time(2), by: writerID)
            }
            #expect(try engine.newestVersion(of: key("d"), at: time(2))?.value == [2])
        }
    }

    /// Compactions may use a watermark only once it is as durable as their result.
    @Test func unflushedWatermarkDropsNothing() throws {
        try withTemporaryDirectory { directory in
            let engine = try RocksDBEngine(directory: directory + "/store", options: .small)
            try engine.apply { list in
                for at: UInt64 in 1...5 { list.put(key("a"), [1], at: time(at), by: writerID) }
            }
            try engine.flush()
            try raise(4, in: engine)
            try engine.compact(.all)
            #expect(try engine.storedVersions(of: key("a")).count == 5)
            try engine.flush()
            engine.close()
            let again = try RocksDBEngine(directory: directory + "/store", options: .small)
            defer { again.close() }
            expectRefused { _ = try again.newestVersion(of: key("a"), at: time(3)) }
            #expect(try again.storedVersions(of: key("a")).count == 5)
            try again.compact(.all)
            #expect(try again.storedVersions(of: key("a")).count == 2)
        }
    }

    @Test(arguments: EngineKind.allCases)
    func obsoleteDeletionsAreDroppedByCommand(_ kind: EngineKind) throws {
        try withEngine(kind) { engine in
            try engine.apply { list in
                for name in ["a", "b", "c", "d"] {
                    list.put(key(name), [1], at: time(1), by: writerID)
                    list.put(key(name), [2], at: time(2), by: writerID)
                }
                for name in ["a", "b", "c"] { list.delete(key(name), at: time(3), by: writerID) }
                list.put(key("b"), [4], at: time(4), by: writerID)
                list.delete(key("e"), at: time(9), by: writerID)
            }
            let found = try engine.obsoleteDeletions(in: .all, upTo: time(5), keys: .max)
            #expect(found.deletions.map(\.key) == [key("a"), key("c")])
            #expect(found.deletions.map(\.timestamp) == [time(3), time(3)])
            #expect(found.resumeKey == nil)
            let some = try engine.obsoleteDeletions(in: .all, upTo: time(5), keys: 2)
            #expect(some.deletions.map(\.key) == [key("a")] && some.resumeKey == key("c"))
            try raise(5, in: engine)
            try engine.apply { list in
                list.put(key("f"), [1], at: time(6), by: writerID)
                list.delete(key("f"), at: time(7), by: writerID)
                list.put(key("f"), [1], at: time(8), by: writerID)
                for deletion in found.deletions {
                    list.dropVersions(of: deletion.key, upTo: deletion.timestamp)
                }
                // Those that the same batch puts are dropped too.
                list.dropVersions(of: key("f"), upTo: time(7))
                list.dropVersions(of: key("none"), upTo: time(7))
            }
            for name in ["a", "c"] {
                #expect(try engine.newestVersion(of: key(name), at: .max) == nil)
            }
            #expect(try engine.versions(of: key("f"), above: time(5), limit: 9).count == 1)
            #expect(try engine.page(at: .max).keys == ["b", "d", "f"])
            if let engine = engine as? RocksDBEngine {
                try engine.flush()
                try engine.compact(.all)
                #expect(try engine.storedVersions(of: key("a")).isEmpty)
                #expect(try engine.storedVersions(of: key("b")).count == 1)
            }
            #expect(try engine.page(at: .max).keys == ["b", "d", "f"])
        }
    }

    @Test(arguments: EngineKind.allCases, [false, true])
    func scanStopsAtItsLimitOfKeys(_ kind: EngineKind, reverse: Bool) throws {
        try withEngine(kind) { engine in
            try engine.apply { list in
                for index: UInt8 in 0..<100 {
                    list.put([index], [1], at: time(1), by: writerID)
                    if index % 10 != 0 { list.delete([index], at: time(2), by: writerID) }
                }
                list.put(intent([1]), at: [255])
            }
            let limits = ScanLimits(keys: 7)
            let page = try engine.page(at: time(0), limits: limits, reverse: reverse)
            #expect(page.count == 0 && page.resumeKey == (reverse ? [93] : [7]))
            let rows = try engine.rows(.all, at: time(0), limits: limits, reverse: reverse)
            #expect(rows.isEmpty)
            let range = KeyRange(start: [], end: [200])
            let all = try engine.rows(range, at: time(2), limits: limits, reverse: reverse)
            #expect(all.count == 10)
            #expect(all == (try engine.page(range, at: time(2), reverse: reverse).plainRows))
        }
    }

    /// A snapshot answers reads that the watermark allows as if nothing had been collected since.
    @Test(arguments: EngineKind.allCases)
    func snapshotIsNotCollectedFrom(_ kind: EngineKind) throws {
        try withEngine(kind) { engine in
            try engine.apply { $0.put(key("a"), [5], at: time(5), by: writerID) }
            let snapshot = try engine.snapshot()
            try engine.apply { $0.put(key("a"), [8], at: time(8), by: writerID) }
            try engine.apply { list in
                list.raise(
                    Watermark(timestamp: time(10), range: .all), tablet: tablet, replica: replica)
            }
            try engine.flush()
            if let engine = engine as? RocksDBEngine { try engine.compact(.all) }
            #expect(try snapshot.newestVersion(of: key("a"), at: time(10))?.value == [5])
            #expect(try snapshot.page(at: time(10)).plainRows.map(\.value) == [[5]])
        }
    }

    /// Who does not see a watermark yet sees what it allows to drop.
    @Test(arguments: EngineKind.allCases)
    func aWatermarkComesWithItsDrops(_ kind: EngineKind) async throws {
        let directory = FileManager.default.temporaryDirectory
            .appendingPathComponent("stele-engine-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let engine: any StorageEngine =
            kind == .memory
            ? MemoryEngine() : try RocksDBEngine(directory: directory, options: .small)
        defer { engine.close() }
        final class Shared: Sendable {
            let base = Locked<UInt64>(0)
        }
        let shared = Shared()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for step in 1...3000 as ClosedRange<UInt64> {
                    let base = step * 100
                    try engine.apply { $0.put(key("a"), [1], at: time(base + 5), by: writerID) }
                    shared.base.withLock { $0 = base }
                    try engine.apply { list in
                        list.raise(
                            Watermark(timestamp: time(base + 10), range: .all), tablet: tablet,
                            replica: replica)
                        list.dropVersions(of: key("a"), upTo: time(base + 10))
                        for name: UInt8 in 0..<40 {
                            list.put([name], [], at: time(base + 20), by: writerID)
                        }
                    }
                    shared.base.withLock { $0 = 0 }
                }
                shared.base.withLock { $0 = .max }
            }
            group.addTask {
                var wrong = 0
                while true {
                    let base = shared.base.withLock { $0 }
                    if base == .max { break }
                    if base == 0 { continue }
                    var buffer: [UInt8] = []
                    do throws(EngineError) {
                        let found = try engine.read(
                            key("a"), at: ReadPoint(time(base + 7)), into: &buffer)
                        if found == .none { wrong += 1 }
                    } catch {
                        if error.code != .belowWatermark { throw error }
                    }
                }
                #expect(wrong == 0)
            }
            try await group.waitForAll()
        }
    }
}
