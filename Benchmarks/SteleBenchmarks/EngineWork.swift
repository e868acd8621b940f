import Glibc
import SteleBase
import SteleClock
import SteleEngine
import SteleRocksDB

/// The storage engine against RocksDB itself, on the same disk and with the same options.
func engineWork(_ directory: String) throws -> [Row] {
    let bench = EngineBench(directory, keys: 1_000_000, cacheBytes: 1 << 30)
    // Before there are stores whose compactions could go on meanwhile.
    let applies = try bench.applies()
    let engine = try bench.filledEngine()
    defer { engine.close() }
    _ = try bench.rival.run("fillseq", "compact", "readseq", options: ["--disable_wal=1"])
    return try bench.pointReads(engine) + [try bench.scans(engine), applies]
}

/// Reads of data four times the cache, which the operating system's holds.
func largeEngineWork(_ directory: String) throws -> [Row] {
    let bench = EngineBench(directory, keys: 8_000_000, cacheBytes: 128 << 20)
    let engine = try bench.filledEngine()
    defer { engine.close() }
    _ = try bench.rival.run("fillseq", "compact", "readseq", options: ["--disable_wal=1"])
    return try bench.missingReads(engine)
}

/// Keys of 16 bytes and values of 100 on both sides, half of which can be compressed.
private struct EngineBench {
    static let valueBytes = 100
    static let rounds = 5
    static let putsOfList = 100

    private let directory: String
    let keys: Int
    private let cacheBytes: Int
    /// What CRocksDB sets in Options.cpp, so that what differs is the versioning, the intents and
    /// the language on top.
    let rival: DbBench

    init(_ directory: String, keys: Int, cacheBytes: Int) {
        self.directory = directory
        self.keys = keys
        self.cacheBytes = cacheBytes
        rival = DbBench(
            directory: directory + "/rival",
            options: [
                "--num=\(keys)", "--key_size=16", "--value_size=\(Self.valueBytes)",
                "--compression_ratio=0.5", "--threads=1", "--cache_size=\(cacheBytes)",
                "--bloom_bits=10", "--block_size=16384", "--cache_index_and_filter_blocks=true",
                "--write_buffer_size=\(64 << 20)", "--max_write_buffer_number=4",
                "--max_background_jobs=2", "--level0_slowdown_writes_trigger=40",
                "--level0_stop_writes_trigger=200", "--level_compaction_dynamic_level_bytes=true",
                "--compression_type=lz4", "--min_level_to_compress=2",
                "--allow_concurrent_memtable_write=false", "--bytes_per_sync=\(1 << 20)",
            ])
    }

    static func fill(_ key: inout KeyBytes, _ index: UInt64) {
        key.withUnsafeMutableBytes { $0.storeBytes(of: index.bigEndian, as: UInt64.self) }
    }

    /// A store of all keys, compacted into the last level, and read through once.
    func filledEngine() throws -> RocksDBEngine {
        let engine = try RocksDBEngine(
            directory: directory + "/stele", options: .init(cacheBytes: cacheBytes))
        var random = SeededRandom(seed: 1)
        for start in stride(from: 0, to: keys, by: Self.putsOfList) {
            try engine.applyPatiently(list(at: start, &random, inOrder: true))
        }
        try engine.flush()
        try engine.compact(.all)
        var range = KeyRange(start: [], end: [])
        var count = 0
        while true {
            var page = ScanPage()
            try engine.scan(
                range, at: ReadPoint(.max), limits: ScanLimits(rows: 100_000, bytes: .max),
                reverse: false, into: &page)
            count += page.count
            guard let next = page.resumeKey else { break }
            range.start = next
        }
        guard count == keys else {
            throw DbBench.Failure(description: "\(count) keys of \(keys) are there")
        }
        return engine
    }

    /// Lists of puts that make up as many puts as there are keys.
    private func lists(_ random: inout SeededRandom) -> [ArraySlice<UInt8>] {
        stride(from: 0, to: keys, by: Self.putsOfList).map { list(at: $0, &random, inOrder: false) }
    }

    private func list(
        at start: Int, _ random: inout SeededRandom, inOrder: Bool
    ) -> ArraySlice<UInt8> {
        var key = KeyBytes(repeating: 0x30, count: 16)
        var value = [UInt8](repeating: 0, count: Self.valueBytes)
        var list = MutationList(reserving: 16 << 10)
        for index in start..<start + Self.putsOfList {
            Self.fill(&key, inOrder ? UInt64(index) : random.below(UInt64(keys)))
            for at in 0..<Self.valueBytes / 2 { value[at] = UInt8(random.below(256)) }
            list.put(
                key, value, at: Timestamp(rawValue: UInt64(start + 1) << 12), by: TransactionID(1))
        }
        return list.bytes[...]
    }

    /// Gets of keys that were read before, and of keys whose blocks alone were: reads of a snapshot
    /// keep no rows.
    func pointReads(_ engine: RocksDBEngine) throws -> [Row] {
        let count = 500_000
        var reads = PointReads(keys)
        for index in 0..<keys { try reads.read(index, engine) }
        let allocations = try countOwnAllocations {
            for index in 0..<count { try reads.read(index, engine) }
        }
        guard allocations == 0 else {
            throw DbBench.Failure(description: "\(allocations) allocations in \(count) cached gets")
        }
        return [
            try getContest("cached point get at a timestamp, 1 M keys", count, engine, "readseq"),
            try getContest("the same of a snapshot, from blocks", count, engine.snapshot(), "readseq"),
        ]
    }

    /// Gets of any keys, most of whose blocks are not in the cache.
    func missingReads(_ engine: RocksDBEngine) throws -> [Row] {
        let count = 300_000
        var reads = PointReads(keys)
        for _ in 0..<count { try reads.readAny(engine) }
        return [try getContest("get, data 4 times the cache", count, engine, "readrandom", floor: 0.7)]
    }

    /// Gets of `count` random keys on both sides.
    ///
    /// - Parameter warming: what the rival does before.
    private func getContest(
        _ name: String, _ count: Int, _ reader: some EngineReader, _ warming: String,
        floor: Double = 0.65
    ) throws -> Row {
        var reads = PointReads(keys)
        return try contest(
            name, floor: floor, rounds: Self.rounds, rivalName: "readrandom",
            rival: {
                try rival.run(
                    warming, "readrandom", "readrandom",
                    options: ["--use_existing_db=1", "--reads=\(count)"])
            },
            ours: { try measure(count: count, rounds: 1) { _ in try reads.readAny(reader) } })
    }

    func scans(_ engine: RocksDBEngine) throws -> Row {
        let count = 20_000
        let rows = 100
        let point = ReadPoint(.max)
        let limits = ScanLimits(rows: rows)
        var random = SeededRandom(seed: 3)
        var range = KeyRange(start: KeyBytes(repeating: 0x30, count: 16), end: [])
        var page = ScanPage()
        func scan(_: Int) throws {
            Self.fill(&range.start, random.below(UInt64(keys - rows)))
            page.bytes.removeAll(keepingCapacity: true)
            page.count = 0
            try engine.scan(range, at: point, limits: limits, reverse: false, into: &page)
            guard page.count == rows else {
                throw DbBench.Failure(description: "a scan found \(page.count) rows of \(rows)")
            }
        }
        return try contest(
            "scan of 100 rows at a timestamp", floor: 0.8, rounds: Self.rounds,
            rivalName: "seekrandom --seek_nexts=100",
            rival: {
                try rival.run(
                    "readseq", "seekrandom", "seekrandom",
                    options: [
                        "--use_existing_db=1", "--seek_nexts=\(rows)", "--reads=\(count)",
                    ])
            },
            ours: { try measure(count: count, rounds: 1, scan) })
    }

    /// Each round fills a fresh store with as many random puts as there are keys; its flushes and
    /// compactions go on meanwhile. The figures are those of one put.
    func applies() throws -> Row {
        let fill = DbBench(directory: directory + "/fill", options: rival.options)
        var random = SeededRandom(seed: 4)
        var round = 0
        return try contest(
            "put in an applied mutation list of 100, WAL off", floor: 0.7, rounds: Self.rounds,
            rivalName: "fillrandom --disable_wal=1",
            rival: { try fill.run("fillrandom", options: ["--disable_wal=1"]) },
            ours: {
                round += 1
                let path = directory + "/apply-\(round)"
                let lists = lists(&random)
                let engine = try RocksDBEngine(
                    directory: path, options: .init(cacheBytes: cacheBytes))
                var cost = try timed(keys) {
                    for list in lists { try engine.applyPatiently(list) }
                }
                let some = lists.prefix(100)
                cost.allocations =
                    try countAllocations { for list in some { try engine.applyPatiently(list) } }
                    / Double(some.count * Self.putsOfList)
                engine.close()
                try removeAll(path)
                return cost
            })
    }
}

/// Gets of the keys of a filled store.
private struct PointReads {
    private let keys: UInt64
    private var random = SeededRandom(seed: 2)
    private var key = KeyBytes(repeating: 0x30, count: 16)
    private var buffer: [UInt8] = []

    init(_ keys: Int) {
        self.keys = UInt64(keys)
        buffer.reserveCapacity(4096)
    }

    mutating func read(_ index: Int, _ reader: some EngineReader) throws {
        EngineBench.fill(&key, UInt64(index))
        buffer.removeAll(keepingCapacity: true)
        guard case .value = try reader.read(key, at: ReadPoint(.max), into: &buffer) else {
            throw DbBench.Failure(description: "a key is missing")
        }
    }

    mutating func readAny(_ reader: some EngineReader) throws {
        try read(Int(random.below(keys)), reader)
    }
}

extension RocksDBEngine {
    /// Waits while the store is busy, where a node would spread the work over its turns.
    fileprivate func applyPatiently(_ list: ArraySlice<UInt8>) throws {
        while true {
            do throws(EngineError) {
                return try apply([list], applied: nil)
            } catch {
                guard error.code == .busy else { throw error }
                usleep(1000)
            }
        }
    }
}
