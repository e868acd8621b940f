import Glibc
import SteleBase
import SteleClock
import SteleEngine
import SteleRocksDB

/// The storage engine against RocksDB itself, on the same disk and with the same options.
///
/// Both sides take turns, and each one's fastest round counts.
func engineWork(_ directory: String) throws -> [Row] {
    var storage = try StorageBenchmark(directory: directory)
    defer { storage.engine.close() }
    return try [storage.pointReads(), storage.scans(), storage.applies()]
}

private struct StorageBenchmark {
    static let keys = 1_000_000
    static let valueBytes = 100
    static let rounds = 3

    let directory: String
    let engine: RocksDBEngine
    let rival: EngineRival
    private var random = SeededRandom(seed: 1)
    private let now = Timestamp(microseconds: 1)

    /// Fills both stores with all keys in order, as far as that goes into the last level.
    init(directory: String) throws {
        self.directory = directory
        let cache = 1 << 30
        engine = try RocksDBEngine(
            directory: directory + "/stele", options: .init(blockCacheBytes: cache))
        rival = EngineRival(
            directory: directory + "/rival", keys: Self.keys, valueBytes: Self.valueBytes,
            cacheBytes: cache)
        _ = try rival.run("fillseq,compact", ["--disable_wal=1"])
        var value = [UInt8](repeating: 0, count: Self.valueBytes)
        for start in stride(from: 0, to: Self.keys, by: 100) {
            var list = MutationList(reserving: 16 << 10)
            for index in start..<start + 100 {
                for at in 0..<Self.valueBytes / 2 { value[at] = UInt8(random.below(256)) }
                list.put(Self.key(index), value, at: now, by: TransactionID(1))
            }
            try apply(list.bytes[...])
        }
        try engine.flush()
        try engine.compact(.all)
    }

    static func key(_ index: Int) -> KeyBytes {
        var key = KeyBytes(repeating: 0x30, count: 16)
        fill(&key, index)
        return key
    }

    static func fill(_ key: inout KeyBytes, _ index: Int) {
        withUnsafeBytes(of: UInt64(index).bigEndian) { bytes in
            for at in 0..<8 { key[at] = bytes[at] }
        }
    }

    /// Waits where a node would spread the work over its turns.
    private func apply(_ list: ArraySlice<UInt8>) throws {
        while true {
            do throws(EngineError) {
                return try engine.apply([list], applied: nil)
            } catch {
                guard error.code == .busy else { throw error }
                usleep(1000)
            }
        }
    }

    mutating func pointReads() throws -> Row {
        let point = ReadPoint(now.next)
        var key = Self.key(0)
        var buffer: [UInt8] = []
        buffer.reserveCapacity(4096)
        var missing = 0
        func read(_ index: Int) throws {
            Self.fill(&key, index)
            buffer.removeAll(keepingCapacity: true)
            if case .value = try engine.read(key, at: point, into: &buffer) { return }
            missing += 1
        }
        for index in 0..<Self.keys { try read(index) }
        var ours = Cost(nanoseconds: .infinity, processorMicroseconds: .infinity, allocations: 0)
        var theirs = Double.infinity
        for _ in 0..<Self.rounds {
            var generator = random.split()
            let cost = try measure(count: 200_000, rounds: 1) { _ in
                try read(Int(generator.below(UInt64(Self.keys))))
            }
            ours.take(cost)
            theirs = min(
                theirs,
                try rival.run(
                    "readseq,readrandom,readrandom",
                    ["--use_existing_db=1", "--reads=200000"]))
        }
        guard missing == 0 else { throw EngineRival.Failure(description: "\(missing) keys are missing") }
        return Row(
            "cached point get at a timestamp, 1 M keys", ours.full,
            other: "readrandom \(short(theirs)) µs",
            ratio: (theirs * 1000 / ours.nanoseconds, 0.65))
    }

    mutating func scans() throws -> Row {
        let point = ReadPoint(now.next)
        let limits = ScanLimits(rows: 100)
        var range = KeyRange(start: Self.key(0), end: [])
        var page = ScanPage()
        var ours = Cost(nanoseconds: .infinity, processorMicroseconds: .infinity, allocations: 0)
        var theirs = Double.infinity
        for _ in 0..<Self.rounds {
            var generator = random.split()
            let cost = try measure(count: 10_000, rounds: 1) { _ in
                Self.fill(&range.start, Int(generator.below(UInt64(Self.keys - 100))))
                page.bytes.removeAll(keepingCapacity: true)
                page.count = 0
                try engine.scan(range, at: point, limits: limits, reverse: false, into: &page)
                guard page.count == 100 else {
                    throw EngineRival.Failure(description: "a scan found \(page.count) rows of 100")
                }
            }
            ours.take(cost)
            theirs = min(
                theirs,
                try rival.run(
                    "readseq,seekrandom,seekrandom",
                    ["--use_existing_db=1", "--seek_nexts=100", "--reads=10000"]))
        }
        return Row(
            "scan of 100 rows at a timestamp", ours.full,
            other: "seekrandom --seek_nexts=100 \(short(theirs)) µs",
            ratio: (theirs * 1000 / ours.nanoseconds, 0.8))
    }

    /// Each round writes a fresh store of as many keys, flushes and compactions in the background
    /// included; per list of 100 puts.
    mutating func applies() throws -> Row {
        var ours = Cost(nanoseconds: .infinity, processorMicroseconds: .infinity, allocations: 0)
        var theirs = Double.infinity
        var batched = Double.infinity
        for round in 0..<2 {
            let engine = try RocksDBEngine(directory: directory + "/apply-\(round)")
            defer { engine.close() }
            var generator = random.split()
            var value = [UInt8](repeating: 0, count: Self.valueBytes)
            for at in 0..<Self.valueBytes / 2 { value[at] = UInt8(generator.below(256)) }
            var key = Self.key(0)
            var version = now
            let lists = (0..<Self.keys / 100).map { _ in
                var list = MutationList(reserving: 16 << 10)
                for _ in 0..<100 {
                    Self.fill(&key, Int(generator.below(UInt64(Self.keys))))
                    list.put(key, value, at: version, by: TransactionID(1))
                }
                version = version.next
                return list.bytes
            }
            let wall = time(CLOCK_MONOTONIC)
            let processor = time(CLOCK_PROCESS_CPUTIME_ID)
            let allocations = try countAllocations {
                for list in lists {
                    while true {
                        do throws(EngineError) {
                            try engine.apply([list[...]], applied: nil)
                            break
                        } catch {
                            guard error.code == .busy else { throw error }
                            usleep(1000)
                        }
                    }
                }
            }
            let count = Double(lists.count)
            ours.take(
                Cost(
                    nanoseconds: (time(CLOCK_MONOTONIC) - wall) / count,
                    processorMicroseconds: (time(CLOCK_PROCESS_CPUTIME_ID) - processor) / count
                        / 1000,
                    allocations: allocations / count))
            let fill = EngineRival(
                directory: directory + "/fill", keys: Self.keys, valueBytes: Self.valueBytes,
                cacheBytes: rival.cacheBytes)
            theirs = min(theirs, try fill.run("fillrandom", ["--disable_wal=1"]) * 100)
            batched = min(
                batched, try fill.run("fillrandom", ["--disable_wal=1", "--batch_size=100"]) * 100)
        }
        return Row(
            "apply of a mutation list of 100 puts, WAL off", ours.full,
            other: "100 of fillrandom --disable_wal=1 \(short(theirs)) µs, in one batch "
                + "\(short(batched)) µs",
            ratio: (theirs * 1000 / ours.nanoseconds, 0.7))
    }
}

extension Cost {
    /// Keeps the best of several rounds.
    fileprivate mutating func take(_ other: Cost) {
        nanoseconds = min(nanoseconds, other.nanoseconds)
        processorMicroseconds = min(processorMicroseconds, other.processorMicroseconds)
        allocations = other.allocations
    }

    fileprivate var full: String {
        "\(short(nanoseconds / 1000)) µs, \(short(processorMicroseconds)) µs of CPU, "
            + "\(short(allocations)) allocations"
    }
}
