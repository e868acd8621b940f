import Foundation
import SteleBase
import SteleClock
import SteleEngine
import SteleRocksDB
import Synchronization
import Testing

/// Rows, by which keys that were read are read again; see `Rows.hpp`.
@Suite struct RowTests {
    private let scope = ReplicaScope(
        tablet: TabletID(3), replica: ReplicaID(4), range: KeyRange(start: key("a"), end: key("c")))

    private func withStore(
        cacheBytes: Int = 4 << 20, _ body: (RocksDBEngine) throws -> Void
    ) throws {
        let engine = try RocksDBEngine(
            directory: storePath,
            options: .init(cacheBytes: cacheBytes, disk: try RocksDBDisk()))
        defer { engine.close() }
        try body(engine)
    }

    /// Reads a key in both ways, and returns how many of the two answers came from a row.
    private func hits(_ key: KeyBytes, in engine: RocksDBEngine) throws -> Int {
        let before = try engine.statistics().rowHits
        let (outcome, value) = try engine.read(key, at: ReadPoint(.max))
        let newest = try engine.newestVersion(of: key, at: .max)
        switch outcome {
        case .value(let timestamp, let transaction, _):
            #expect(
                newest
                    == Version(timestamp: timestamp, transaction: transaction, value: value))
        case .deletion(let timestamp, let transaction):
            #expect(
                newest == Version(timestamp: timestamp, transaction: transaction, value: nil))
        case .none: #expect(newest == nil)
        case .conflict: break
        }
        return try engine.statistics().rowHits - before
    }

    @Test func aKeyThatWasReadIsReadFromItsRow() throws {
        try withStore { engine in
            try engine.apply { list in
                list.put(key("b"), [1], at: time(5), by: writerID)
                list.delete(key("d"), at: time(5), by: writerID)
                list.put([], [2], at: time(5), by: writerID)
            }
            for key in [key("b"), key("d"), []] {
                #expect(try hits(key, in: engine) == 1)
                #expect(try hits(key, in: engine) == 2)
            }
            try engine.flush()
            #expect(try hits(key("b"), in: engine) == 2)
            // Of a key without versions nothing is kept.
            #expect(try hits(key("c"), in: engine) == 0)
            #expect(try hits(key("c"), in: engine) == 0)
        }
    }

    @Test func aWriteIsSeenByTheNextRead() throws {
        let writes: [(String, (inout MutationList) -> Void, left: [UInt8]?)] = [
            ("put", { $0.put(key("b"), [2], at: time(6), by: writerID) }, [2]),
            ("delete", { $0.delete(key("b"), at: time(6), by: writerID) }, nil),
            ("drop", { $0.dropVersions(of: key("b"), upTo: time(5)) }, nil),
            ("clear", { $0.clear(KeyRange(start: key("a"), end: key("b\0"))) }, nil),
            ("clear all", { $0.clear(.all) }, nil),
            (
                "resolve",
                { $0.resolveIntent(at: key("b"), of: writerID, committedAt: time(7)) }, [9]
            ),
        ]
        for (name, write, left) in writes {
            try withStore { engine in
                try engine.apply { $0.put(key("b"), [1], at: time(5), by: writerID) }
                if name == "resolve" {
                    try engine.apply { $0.put(intent([9], at: time(6)), at: key("b")) }
                }
                for _ in 1...2 { _ = try hits(key("b"), in: engine) }
                try engine.apply(write)
                #expect(
                    try engine.newestVersion(of: key("b"), at: .max)?.value == left, "\(name)")
                #expect(try engine.read(key("b"), at: ReadPoint(.max)).1 == left ?? [], "\(name)")
            }
        }
    }

    @Test func aReplicaThatIsRemovedOrReplacedTakesItsRowsAlong() throws {
        try withStore { engine in
            try engine.apply { $0.put(key("b"), [1], at: time(5), by: writerID) }
            try engine.apply(
                [],
                applied: AppliedState(
                    tablet: scope.tablet, replica: scope.replica, index: 1, term: 1))
            var chunks: [[UInt8]] = []
            let export = try engine.export(scope)
            while let chunk = try export.nextChunk(maxBytes: 1000) { chunks.append(chunk) }
            try engine.apply { $0.put(key("b"), [2], at: time(6), by: writerID) }
            for _ in 1...2 { _ = try hits(key("b"), in: engine) }
            let replacement = try engine.makeImport(of: scope)
            for chunk in chunks { try replacement.add(chunk[...]) }
            _ = try replacement.finish()
            #expect(try engine.newestVersion(of: key("b"), at: .max)?.value == [1])
            #expect(try hits(key("b"), in: engine) == 2)
            try engine.remove(scope)
            #expect(try engine.newestVersion(of: key("b"), at: .max) == nil)
            #expect(try engine.read(key("b"), at: ReadPoint(.max)).0 == .none)
        }
    }

    @Test func aRowAnswersOnlyWhatTheNewestVersionAnswers() throws {
        try withStore { engine in
            try engine.apply { list in
                for at: UInt64 in 1...9 {
                    list.put(key("b"), [UInt8(at)], at: time(10 * at), by: writerID)
                }
            }
            let snapshot = try engine.snapshot()
            for _ in 1...2 {
                #expect(try engine.read(key("b"), at: ReadPoint(time(90))).1 == [9])
                #expect(try engine.read(key("b"), at: ReadPoint(time(89))).1 == [8])
                #expect(try engine.newestVersion(of: key("b"), at: time(9)) == nil)
                let uncertain = ReadPoint(time(45), uncertaintyLimit: time(95))
                #expect(
                    try engine.read(key("b"), at: uncertain).0 == .conflict(.uncertain(time(90))))
            }
            // Intents of one's own and of others come before it.
            let own = TransactionID(8)
            try engine.apply { $0.put(intent([7], by: own, at: time(95)), at: key("b")) }
            #expect(
                try engine.read(key("b"), at: ReadPoint(time(94), transaction: own)).1 == [7])
            #expect(try engine.read(key("b"), at: ReadPoint(time(94))).1 == [9])
            guard case .conflict(.intent) = try engine.read(key("b"), at: ReadPoint(time(95))).0
            else {
                Issue.record("the intent was not met")
                return
            }
            try engine.apply { list in
                list.resolveIntent(at: key("b"), of: own, committedAt: time(95))
                list.raise(
                    Watermark(timestamp: time(50), range: .all), tablet: scope.tablet,
                    replica: scope.replica)
            }
            #expect(try engine.read(key("b"), at: ReadPoint(time(95))).1 == [7])
            #expect(try snapshot.read(key("b"), at: ReadPoint(time(95))).1 == [9])
            let error = #expect(throws: EngineError.self) {
                try engine.read(key("b"), at: ReadPoint(time(49)))
            }
            #expect(error?.code == .belowWatermark)
        }
    }

    @Test func whatIsTooLongHasNoRow() throws {
        try withStore { engine in
            let long = KeyBytes(repeating: 7, count: 496)
            try engine.apply { list in
                list.put(long, [1], at: time(5), by: writerID)
                list.put(long.dropLast() + [], [2], at: time(5), by: writerID)
                let value = [UInt8](repeating: 3, count: 16 << 10)
                list.put(key("big"), value, at: time(5), by: writerID)
            }
            for _ in 1...2 {
                #expect(try hits(long, in: engine) == 0)
                #expect(try hits(key("big"), in: engine) == 0)
            }
            #expect(try engine.newestVersion(of: key("big"), at: .max)?.value?.count == 16 << 10)
            #expect(try hits(long.dropLast() + [], in: engine) == 1)
        }
    }

    @Test func rowsKeepToTheCacheAndAreTheirStoresOwn() throws {
        let resources = try RocksDBResources(cacheBytes: 1 << 20)
        let engines = try (0..<2).map { _ in
            try RocksDBEngine(
                directory: storePath, options: .init(resources: resources, disk: try RocksDBDisk()))
        }
        defer { for engine in engines { engine.close() } }
        for (index, engine) in engines.enumerated() {
            for start in stride(from: UInt32(0), to: 20_000, by: 500) {
                try engine.apply { list in
                    for number in start..<start + 500 {
                        let value = [UInt8](repeating: UInt8(index), count: 100)
                        withUnsafeBytes(of: number.bigEndian) {
                            list.put(Array($0), value, at: time(5), by: writerID)
                        }
                    }
                }
            }
        }
        for _ in 1...2 {
            for number in UInt32(0)..<20_000 {
                let name = withUnsafeBytes(of: number.bigEndian) { Array($0) }
                for (index, engine) in engines.enumerated() {
                    let found = try engine.newestVersion(of: name, at: .max)?.value
                    guard found == [UInt8](repeating: UInt8(index), count: 100) else {
                        Issue.record("store \(index) shows something else at \(number)")
                        return
                    }
                }
            }
        }
        let statistics = try engines[0].statistics()
        #expect(statistics.cacheBytes > 1 << 17)
        #expect(statistics.cacheBytes <= statistics.cacheCapacity)
    }

    /// While one thread writes, no read shows less than what was acknowledged before it began. With
    /// one key every version comes as an intent first, with several keys every other one.
    @Test(arguments: [1, 4])
    func readsBesideAWriterAreNeverStale(keys: Int) throws {
        try withStore { engine in
            let acknowledged = (0..<keys).map { Acknowledged(key: key("hot \($0)")) }
            let isDone = Atomic(false)
            let seen = Locked<(reads: Int, stale: [String])>((0, []))
            let readers = (0..<3).map { number in
                Thread.start {
                    var buffer: [UInt8] = []
                    var reads = 0
                    while !isDone.load(ordering: .relaxed) {
                        let state = acknowledged[(reads + number) % acknowledged.count]
                        let floor = state.value.load(ordering: .acquiring)
                        buffer.removeAll(keepingCapacity: true)
                        let outcome = try? engine.read(
                            state.key, at: ReadPoint(.max), into: &buffer)
                        let found: UInt64?
                        switch outcome {
                        case .value(let timestamp, _, _): found = timestamp.rawValue
                        case .conflict(.intent(let owner)): found = owner.timestamp.rawValue
                        default: found = floor == 0 ? 0 : nil
                        }
                        reads += 1
                        if (found ?? 0) < floor {
                            let text = "\(floor): \(String(describing: outcome))"
                            seen.withLock { $0.stale.append(text) }
                        }
                    }
                    seen.withLock { $0.reads += reads }
                }
            }
            let deadline = Date() + 2
            var now: UInt64 = 0
            while Date() < deadline {
                now += 1
                let state = acknowledged[Int(now / 2) % acknowledged.count]
                if keys > 1, now % 4 < 2 {
                    try engine.apply { $0.put(state.key, [1], at: time(now), by: writerID) }
                } else {
                    try engine.apply { $0.put(intent([1], at: time(now)), at: state.key) }
                    state.value.store(now, ordering: .releasing)
                    try engine.apply {
                        $0.resolveIntent(at: state.key, of: writerID, committedAt: time(now))
                    }
                }
                state.value.store(now, ordering: .releasing)
            }
            isDone.store(true, ordering: .relaxed)
            for reader in readers { reader.wait() }
            let (reads, stale) = seen.withLock { $0 }
            #expect(stale.isEmpty, "of \(reads) reads and \(now) writes: \(stale.prefix(3))")
            #expect(reads > 100 && now > 100)
            #expect(try engine.statistics().rowHits > 0)
        }
    }
}

/// The timestamp of a key's version that was acknowledged last.
private final class Acknowledged: Sendable {
    let key: KeyBytes
    let value = Atomic<UInt64>(0)

    init(key: KeyBytes) { self.key = key }
}
