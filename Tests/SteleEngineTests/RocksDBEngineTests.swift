import Foundation
import SteleBase
import SteleClock
import SteleEngine
import SteleRocksDB
import Testing

/// What only a store on disk can do wrong.
@Suite struct RocksDBEngineTests {
    private let tablet = TabletID(2)
    private let replica = ReplicaID(1)

    /// One entry of a log: a row and an intent of its own, and a row that every entry rewrites.
    private func apply(_ index: UInt64, to engine: RocksDBEngine, padding: Int = 0) throws {
        let name = withUnsafeBytes(of: index.bigEndian) { Array($0) }
        let list = mutations { list in
            list.put(
                key("row/") + name, [UInt8](repeating: 1, count: padding), at: time(index),
                by: writerID)
            list.put(key("last"), name, at: time(index), by: writerID)
            list.put(key("lock/") + name, name, in: .transactions)
        }
        try engine.apply(
            [list],
            applied: AppliedState(tablet: tablet, replica: replica, index: index, term: 1))
    }

    /// Checks that the store holds exactly the entries up to the applied index, which it returns.
    private func expectPrefix(_ engine: RocksDBEngine) throws -> UInt64 {
        let index = try engine.appliedState(tablet: tablet, replica: replica)?.index ?? 0
        let limits = ScanLimits(bytes: .max)
        let rows = try engine.page(KeyRange(prefix: key("row/")), limits: limits).plainRows
        let expected = Array(UInt64(0)..<index).map { time($0 + 1) }
        #expect(rows.map(\.timestamp) == expected)
        #expect(try engine.plainPairs(of: .all, in: .transactions).count == Int(index))
        let last = try engine.newestVersion(of: key("last"), at: .max)
        #expect(last?.timestamp.rawValue ?? 0 == index)
        let versions = try engine.versions(of: key("last"), above: .zero, limit: .max)
        #expect(versions.map(\.timestamp) == expected.reversed())
        return index
    }

    @Test func flushedStateIsThereAfterReopening() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/store"
            let engine = try RocksDBEngine(directory: path)
            for index: UInt64 in 1...100 { try apply(index, to: engine) }
            try engine.flush()
            for index: UInt64 in 101...150 { try apply(index, to: engine) }
            #expect(try expectPrefix(engine) == 150)
            engine.close()
            engine.close()

            let again = try RocksDBEngine(directory: path)
            defer { again.close() }
            #expect(try expectPrefix(again) == 100)
            for index: UInt64 in 101...120 { try apply(index, to: again) }
            #expect(try expectPrefix(again) == 120)
        }
    }

    /// Copies a directory as it was at one moment: again, if a background job changed it meanwhile.
    private func copyStore(at path: String, to copy: String) throws {
        func sizes(_ path: String) throws -> [String: UInt64] {
            var sizes: [String: UInt64] = [:]
            for name in try FileManager.default.contentsOfDirectory(atPath: path) {
                let attributes = try? FileManager.default.attributesOfItem(
                    atPath: path + "/" + name)
                sizes[name] = attributes?[.size] as? UInt64
            }
            return sizes
        }
        for _ in 0..<100 {
            let before = try sizes(path)
            try? FileManager.default.removeItem(atPath: copy)
            guard (try? FileManager.default.copyItem(atPath: path, toPath: copy)) != nil,
                try sizes(copy) == before, try sizes(path) == before
            else { continue }
            return
        }
        Issue.record("\(path) did not come to rest")
    }

    /// Copying the files of a running store is what a killed process leaves behind.
    @Test(arguments: [0, 20_000])
    func crashLeavesAPrefix(padding: Int) throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/store"
            let engine = try RocksDBEngine(directory: path, options: .small)
            defer { engine.close() }
            var flushed: UInt64 = 0
            var found: Set<UInt64> = []
            for index: UInt64 in 1...300 {
                try apply(index, to: engine, padding: padding)
                if index % 130 == 0 {
                    try engine.flush()
                    flushed = index
                }
                guard index % 45 == 0 else { continue }
                let copy = directory + "/copy\(index)"
                try copyStore(at: path, to: copy)
                let crashed = try RocksDBEngine(directory: copy, options: .small)
                defer { crashed.close() }
                let last = try expectPrefix(crashed)
                #expect(last >= flushed && last <= index)
                found.insert(last)
            }
            // With much data RocksDB also flushes by itself.
            if padding > 0 { #expect(found.contains { $0 != 0 && $0 % 130 != 0 }) }
        }
    }

    @Test func twoEnginesCannotShareADirectory() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/store"
            let engine = try RocksDBEngine(directory: path)
            try apply(1, to: engine)
            expectFailure(.locked, opening: path)
            #expect(try expectPrefix(engine) == 1)
            engine.close()
            try RocksDBEngine(directory: path).close()
        }
    }

    @Test func threeEnginesLiveInOneProcess() throws {
        try withTemporaryDirectory { directory in
            let engines = try (1...3).map { try RocksDBEngine(directory: "\(directory)/\($0)") }
            for (number, engine) in engines.enumerated() {
                for index in 1...UInt64(10 + number) { try apply(index, to: engine) }
            }
            engines[0].close()
            #expect(try expectPrefix(engines[1]) == 11)
            #expect(try expectPrefix(engines[2]) == 12)
            engines[1].close()
            engines[2].close()
        }
    }

    @Test func closedEngineRefusesCalls() throws {
        try withTemporaryDirectory { directory in
            let engine = try RocksDBEngine(directory: directory + "/store")
            engine.close()
            #expect(throws: EngineError.self) { try apply(1, to: engine) }
            #expect(throws: EngineError.self) { try engine.flush() }
            #expect(throws: EngineError.self) { try engine.newestVersion(of: [1], at: .max) }
        }
    }

    @Test func foreignDirectoryIsLeftAlone() throws {
        try withTemporaryDirectory { directory in
            try Data("hello".utf8).write(to: URL(fileURLWithPath: directory + "/notes.txt"))
            expectFailure(.incompatible, opening: directory)
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory) == ["notes.txt"])
        }
    }

    @Test func directoryThatCannotBeMadeIsAnIOError() throws {
        try withTemporaryDirectory { directory in
            expectFailure(.io, opening: directory + "/missing/store")
            let file = directory + "/file"
            try Data("hello".utf8).write(to: URL(fileURLWithPath: file))
            expectFailure(.io, opening: file)
        }
    }

    @Test(arguments: ["CURRENT", "MANIFEST-", ".sst"])
    func missingFileIsCorruption(name: String) throws {
        try withDamagedStore(file: name) { path, file in
            try FileManager.default.removeItem(at: file)
            let before = try FileManager.default.contentsOfDirectory(atPath: path).sorted()
            expectFailure([.corruption, .io], opening: path)
            #expect(try FileManager.default.contentsOfDirectory(atPath: path).sorted() == before)
        }
    }

    @Test(arguments: ["CURRENT", "MANIFEST-", ".sst"])
    func emptyFileIsCorruption(name: String) throws {
        try withDamagedStore(file: name) { path, file in
            try Data().write(to: file)
            expectFailure([.corruption, .io], opening: path)
        }
    }

    @Test func rottenBlockIsCorruptionAndEndsWrites() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/store"
            let engine = try RocksDBEngine(directory: path)
            for index: UInt64 in 1...200 { try apply(index, to: engine, padding: 1000) }
            try engine.flush()
            engine.close()
            for name in try FileManager.default.contentsOfDirectory(atPath: path)
            where name.hasSuffix(".sst") {
                let file = URL(fileURLWithPath: path + "/" + name)
                var bytes = try Data(contentsOf: file)
                guard bytes.count > 100_000 else { continue }
                for offset in 5000..<5100 { bytes[offset] ^= 0x55 }
                try bytes.write(to: file)
            }
            let again = try RocksDBEngine(directory: path)
            defer { again.close() }
            let error = #expect(throws: EngineError.self) {
                try again.page(limits: ScanLimits(bytes: .max))
            }
            #expect(error?.code == .corruption)
            #expect(throws: EngineError.self) { try apply(201, to: again) }
        }
    }

    @Test func readsRunBesideWritesAndFlushes() async throws {
        let directory = FileManager.default.temporaryDirectory
            .appendingPathComponent("stele-engine-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let engine = try RocksDBEngine(directory: directory, options: .small)
        defer { engine.close() }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for index: UInt64 in 1...2000 { try apply(index, to: engine, padding: 500) }
            }
            group.addTask {
                for _ in 0..<20 { try engine.flush() }
            }
            for _ in 0..<2 {
                group.addTask {
                    var last: UInt64 = 0
                    for _ in 0..<300 {
                        let found = try engine.newestVersion(of: key("last"), at: .max)
                        let seen = found?.timestamp.rawValue ?? 0
                        #expect(seen >= last)
                        last = seen
                        let limits = ScanLimits(rows: 10)
                        let rows = try engine.page(KeyRange(prefix: key("row/")), limits: limits)
                        #expect(rows.count >= min(10, Int(seen)))
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(try expectPrefix(engine) == 2000)
    }

    // MARK: Damage

    /// Runs `body` with a closed store and one of its files, named by its start or its ending.
    private func withDamagedStore(
        file part: String, _ body: (_ path: String, _ file: URL) throws -> Void
    ) throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/store"
            let engine = try RocksDBEngine(directory: path)
            try apply(1, to: engine)
            try engine.flush()
            engine.close()
            let names = try FileManager.default.contentsOfDirectory(atPath: path).sorted()
            let name = try #require(names.first { $0.hasPrefix(part) || $0.hasSuffix(part) })
            try body(path, URL(fileURLWithPath: path + "/" + name))
        }
    }

    @Test func aSnapshotMayOutliveTheClosing() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/store"
            let engine = try RocksDBEngine(directory: path)
            try apply(1, to: engine)
            var snapshot: (any EngineReader)? = try engine.snapshot()
            engine.close()
            #expect(throws: EngineError.self) { try snapshot?.page() }
            snapshot = nil
            try RocksDBEngine(directory: path).close()
        }
    }

    private func expectFailure(
        _ code: EngineError.Code, opening path: String,
        location: SourceLocation = #_sourceLocation
    ) {
        expectFailure([code], opening: path, location: location)
    }

    private func expectFailure(
        _ codes: [EngineError.Code], opening path: String,
        location: SourceLocation = #_sourceLocation
    ) {
        let error = #expect(throws: EngineError.self, sourceLocation: location) {
            try RocksDBEngine(directory: path).close()
        }
        guard let error else { return }
        #expect(codes.contains(error.code), "\(error)", sourceLocation: location)
        #expect(error.message.contains(path), "\(error)", sourceLocation: location)
    }

    @Test(arguments: ["/", "/.", "/../store"])
    func anotherSpellingOfTheDirectoryIsTheSameOne(suffix: String) throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/store"
            let workload = Workload()
            let engine = try RocksDBEngine(directory: path)
            try workload.apply(1...5, to: engine)
            let error = #expect(throws: EngineError.self) {
                try RocksDBEngine(directory: path + suffix).close()
            }
            #expect(error?.code == .locked)
            engine.close()
        }
    }
}
