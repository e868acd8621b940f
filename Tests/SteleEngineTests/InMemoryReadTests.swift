import SteleBase
import SteleClock
import SteleEngine
import SteleRocksDB
import Testing

/// Reads that never wait for the disk: each says that it would have to, or finds what the engine does.
@Suite struct InMemoryReadTests {
    private static func key(_ number: Int) -> KeyBytes {
        Array("key \(String(number + 1_000_000))".utf8)
    }

    private static let keys = 4_000

    /// A store with three versions of each key in files, and some newer ones in memtables.
    private func withStore(
        cacheBytes: Int, _ body: (RocksDBEngine) throws -> Void
    ) throws {
        let disk = try RocksDBDisk()
        let options = RocksDBEngine.Options(cacheBytes: cacheBytes, disk: disk)
        let filled = try RocksDBEngine(directory: storePath, options: options)
        for version in 1...3 as ClosedRange<UInt64> {
            try filled.apply { list in
                for number in 0..<Self.keys {
                    let value = [UInt8](repeating: UInt8(version), count: 100)
                    if (number + Int(version)) % 7 == 0 {
                        list.delete(Self.key(number), at: time(version * 10), by: writerID)
                    } else {
                        list.put(Self.key(number), value, at: time(version * 10), by: writerID)
                    }
                }
            }
            try filled.flush()
        }
        filled.close()
        let engine = try RocksDBEngine(directory: storePath, options: options)
        defer { engine.close() }
        try engine.apply { list in
            for number in stride(from: 0, to: Self.keys, by: 50) {
                list.put(Self.key(number), [9], at: time(40), by: writerID)
            }
        }
        try body(engine)
    }

    /// What a read comes to; nil if it needs the disk.
    private func found<Result>(_ read: () throws -> Result) throws -> Result? {
        do {
            return try read()
        } catch let error as EngineError where error.code == .notInMemory {
            return nil
        }
    }

    @Test func `what a read lacks is in memory once the engine has made it`() throws {
        try withStore(cacheBytes: 8 << 20) { engine in
            let memory = engine.inMemory
            for number in [1, 777, 3_998, Self.keys + 5] {
                let key = Self.key(number)
                _ = try engine.newestVersion(of: key, at: time(15))
                let expected = try engine.newestVersion(of: key, at: time(15))
                let version = try found { try memory.newestVersion(of: key, at: time(15)) }
                #expect(version == .some(expected))
            }
            let range = KeyRange(start: Self.key(2_000), end: Self.key(2_900))
            for reverse in [false, true] {
                var page = ScanPage()
                var rows = ScanPage()
                let limits = ScanLimits(rows: 500)
                try engine.scan(range, at: time(25), limits: limits, reverse: reverse, into: &rows)
                try memory.scan(range, at: time(25), limits: limits, reverse: reverse, into: &page)
                #expect(page.bytes == rows.bytes && page.resumeKey == rows.resumeKey)
                #expect(page.count > 300)
            }
        }
    }

    @Test func `the first read of a store just opened needs the disk`() throws {
        try withStore(cacheBytes: 8 << 20) { engine in
            let memory = engine.inMemory
            let newest = try found { try memory.newestVersion(of: Self.key(1), at: .max) != nil }
            let versions = try found {
                try memory.versions(of: Self.key(1), above: time(5), limit: 9).count
            }
            let all = KeyRange(start: Self.key(1), end: Self.key(40))
            let change = try found { try memory.firstChange(in: all, above: time(50), keys: 10) }
            #expect(newest == nil && versions == nil && change == nil)
        }
    }

    /// The cache holds a part of the store, another one all the time.
    @Test func `with little memory no read finds anything else than the engine`() throws {
        try withStore(cacheBytes: 400 << 10) { engine in
            let memory = engine.inMemory
            var random = SeededRandom(seed: 3)
            var hits = 0
            var misses = 0
            func compare<Result: Equatable>(
                _ read: (any EngineReader) throws -> Result
            ) throws {
                let answer = try found { try read(memory) }
                let expected = try answer.map { _ in try read(engine) }
                #expect(answer == expected)
                if answer == nil { misses += 1 } else { hits += 1 }
                if answer == nil, random.oneIn(2) { _ = try read(engine) }
            }
            for _ in 0..<3_000 {
                let number = Int(random.below(UInt64(Self.keys)))
                let timestamp = time(random.below(45))
                let length = Int(random.below(60)) + 1
                let range = KeyRange(start: Self.key(number), end: Self.key(number + length))
                switch random.below(5) {
                case 0:
                    try compare { try $0.newestVersion(of: Self.key(number), at: timestamp) }
                case 1:
                    try compare {
                        try $0.versions(of: Self.key(number), above: timestamp, limit: .max)
                    }
                case 2: try compare { try $0.firstChange(in: range, above: timestamp, keys: 40) }
                default:
                    let reverse = random.oneIn(2)
                    try compare { reader in
                        var page = ScanPage()
                        try reader.scan(
                            range, at: timestamp, limits: ScanLimits(rows: 30), reverse: reverse,
                            into: &page)
                        return [page.bytes, page.resumeKey ?? []]
                    }
                }
            }
            #expect(hits > 300 && misses > 300, "\(hits) hits, \(misses) misses")
        }
    }
}
