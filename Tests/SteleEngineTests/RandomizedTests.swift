import Foundation
import SteleBase
import SteleClock
import SteleEngine
import SteleRocksDB
import Testing

/// Both engines against the naive model, operation by operation.
///
/// `STELE_ENGINE_OPERATIONS` sets how many operations, `STELE_ENGINE_SEED` which ones.
@Suite struct RandomizedTests {
    @Test func enginesAgreeWithTheModel() throws {
        let environment = ProcessInfo.processInfo.environment
        let operations = environment["STELE_ENGINE_OPERATIONS"].flatMap { Int($0) } ?? 5_000
        let seed = environment["STELE_ENGINE_SEED"].flatMap { UInt64($0) } ?? 1
        try withTemporaryDirectory { directory in
            var run = try RandomRun(seed: seed, directory: directory + "/store")
            defer { run.close() }
            for operation in 0..<operations {
                try run.step()
                // One report says enough, with what it takes to see it again.
                if !run.agrees {
                    Issue.record("seed \(seed), operation \(operation): \(run.difference)")
                    return
                }
            }
            try run.compareEverything()
            #expect(run.agrees, "seed \(seed), at the end: \(run.difference)")
            // A run that held nothing, or never went back to disk, would prove nothing.
            #expect(run.mostKeys > 100)
            #expect(operations < 5_000 || run.reopenCount > 0)
        }
    }
}

private struct RandomRun {
    private var random: SeededRandom
    private let directory: String
    private let memory = MemoryEngine(checksHistory: false)
    private var rocksDB: RocksDBEngine
    private var model = NaiveModel()
    private var index: UInt64 = 0
    private(set) var difference = ""
    private(set) var mostKeys = 0
    private(set) var reopenCount = 0

    init(seed: UInt64, directory: String) throws {
        random = SeededRandom(seed: seed)
        self.directory = directory
        rocksDB = try RocksDBEngine(directory: directory, options: .small)
    }

    var agrees: Bool { difference.isEmpty }

    private var engines: [any StorageEngine] { [memory, rocksDB] }

    func close() { rocksDB.close() }

    mutating func step() throws {
        switch random.below(1000) {
        case 0..<2:
            try rocksDB.flush()
        case 2:
            try rocksDB.flush()
            rocksDB.close()
            rocksDB = try RocksDBEngine(directory: directory, options: .small)
            reopenCount += 1
            try compareEverything()
        case 3..<500: try apply()
        case 500..<600: try compareNewest()
        case 600..<700: try compareVersions()
        case 700..<880: try compareScan()
        case 880..<940: try compareFirstChange()
        default: try comparePlain()
        }
        mostKeys = max(mostKeys, model.keyCount)
    }

    mutating func compareEverything() throws {
        for timestamp in [time(10), time(30), .max] as [Timestamp] {
            for reverse in [false, true] {
                let expected = model.rows(.all, at: timestamp, reverse: reverse)
                for engine in engines {
                    let rows = try engine.page(.all, at: timestamp, reverse: reverse).plainRows
                    compare(rows, expected, "all at \(timestamp), reverse \(reverse)")
                }
            }
        }
        for family in [PlainFamily.transactions] {
            let expected = model.pairs(of: .all, in: family)
            for engine in engines {
                compare(try engine.plainPairs(of: .all, in: family), expected, "all of \(family)")
            }
        }
    }

    // MARK: One operation

    private mutating func apply() throws {
        var lists: [ArraySlice<UInt8>] = []
        for _ in 0...random.below(3) {
            var list = MutationList()
            for _ in 0...random.below(4) { mutate(&list) }
            lists.append(list.bytes[...])
        }
        index += 1
        let applied = AppliedState(
            tablet: .firstData, replica: ReplicaID(1), index: index, term: 1)
        for engine in engines {
            if random.oneIn(5) {
                for list in lists {
                    var offset = 0
                    while offset < list.count {
                        offset = try engine.applyPart(of: list, from: offset, maxBytes: 30)
                    }
                }
                try engine.apply([], applied: applied)
            } else {
                try engine.apply(lists, applied: applied)
            }
            let state = try engine.appliedState(tablet: .firstData, replica: ReplicaID(1))
            compare(state, applied, "applied state")
        }
    }

    private mutating func mutate(_ list: inout MutationList) {
        switch random.below(400) {
        case 0:
            let range = KeyRange(start: randomKey(), end: [])
            list.clear(range)
            model.clear(range)
        case 1..<12:
            // From a key to a key close by.
            let start = randomKey()
            let range = KeyRange(start: start, end: start + [UInt8(random.below(256))])
            list.clear(range)
            model.clear(range)
        case 12..<260:
            let version = Version(
                timestamp: randomTime(), transaction: TransactionID(random.next()),
                value: randomValue())
            let key = randomKey()
            list.put(key, version.value ?? [], at: version.timestamp, by: version.transaction)
            model.put(key, version)
        case 260..<320:
            let version = Version(
                timestamp: randomTime(), transaction: TransactionID(random.next()), value: nil)
            let key = randomKey()
            list.delete(key, at: version.timestamp, by: version.transaction)
            model.put(key, version)
        case 320..<370:
            let (key, value, family) = (randomKey(), randomValue(), randomFamily())
            list.put(key, value, in: family)
            model.put(key, value, in: family)
        default:
            let (key, family) = (randomKey(), randomFamily())
            list.delete(key, in: family)
            model.put(key, nil, in: family)
        }
    }

    private mutating func compareNewest() throws {
        let (key, timestamp) = (randomKey(), randomTime())
        let expected = model.newestVersion(of: key, at: timestamp)
        for engine in engines {
            compare(
                try engine.newestVersion(of: key, at: timestamp), expected,
                "newest of \(key.keyDescription) at \(timestamp)")
        }
    }

    private mutating func compareVersions() throws {
        let (key, timestamp, limit) = (randomKey(), randomTime(), Int(random.below(6)))
        let expected = model.versions(of: key, above: timestamp, limit: limit)
        for engine in engines {
            compare(
                try engine.versions(of: key, above: timestamp, limit: limit), expected,
                "versions of \(key.keyDescription) above \(timestamp), limit \(limit)")
        }
    }

    private mutating func compareScan() throws {
        let (range, timestamp, reverse) = (randomRange(), randomTime(), random.oneIn(2))
        let limits = ScanLimits(
            rows: random.oneIn(2) ? .max : Int(random.below(8)),
            bytes: random.oneIn(2) ? 1 << 20 : Int(random.below(400)))
        let what = "scan of \(range) at \(timestamp), \(limits), reverse \(reverse)"
        let expected = model.rows(range, at: timestamp, reverse: reverse)
        var pages: [ScanPage] = []
        for engine in engines {
            let page = try engine.page(range, at: timestamp, limits: limits, reverse: reverse)
            pages.append(page)
            compare(page.plainRows, Array(expected.prefix(page.count)), what)
            if page.resumeKey == nil { compare(page.count, expected.count, what + ", count") }
            compare(page.count > 0, !expected.isEmpty, what + ", at least one row")
            let rows = try engine.rows(range, at: timestamp, limits: limits, reverse: reverse)
            compare(rows, expected, what + ", page by page")
        }
        compare(pages[1].bytes, pages[0].bytes, what + ", page")
        compare(pages[1].resumeKey, pages[0].resumeKey, what + ", resume key")
    }

    private mutating func compareFirstChange() throws {
        let (range, timestamp) = (randomRange(), randomTime())
        let expected = model.firstChange(in: range, above: timestamp)
        let step = random.oneIn(2) ? .max : Int(random.below(4))
        for engine in engines {
            compare(
                try engine.firstChange(in: range, above: timestamp, step: step), expected,
                "first change in \(range) above \(timestamp)")
        }
    }

    private mutating func comparePlain() throws {
        let (key, range, family) = (randomKey(), randomRange(), randomFamily())
        let limits = PairLimits(
            pairs: random.oneIn(2) ? .max : Int(random.below(8)),
            bytes: random.oneIn(2) ? 1 << 20 : Int(random.below(400)))
        for engine in engines {
            compare(
                try engine.value(of: key, in: family), model.value(of: key, in: family),
                "\(key.keyDescription) in \(family)")
            let what = "\(range) in \(family), \(limits)"
            let page = try engine.pairs(of: range, in: family, limits: limits)
            let expected = model.page(of: range, in: family, limits: limits)
            compare(page.plainPairs, expected.pairs, what)
            compare(page.resumeKey, expected.resumeKey, what + ", resume key")
            compare(
                try engine.plainPairs(of: range, in: family, limits: limits),
                model.pairs(of: range, in: family), what + ", page by page")
        }
    }

    private mutating func compare<Value: Equatable>(
        _ found: Value, _ expected: Value, _ what: @autoclosure () -> String
    ) {
        if found != expected, difference.isEmpty {
            difference = "\(what()): found \(found), expected \(expected)"
        }
    }

    // MARK: Random parts

    private mutating func randomKey() -> KeyBytes {
        let alphabet: [UInt8] = [0, 1, 0x61, 0x62, 0xFE, 0xFF]
        let count = random.oneIn(50) ? random.below(12) : random.below(5)
        return (0..<count).map { _ in alphabet[Int(random.below(UInt64(alphabet.count)))] }
    }

    private mutating func randomTime() -> Timestamp {
        switch random.below(40) {
        case 0: .zero
        case 1: .max
        default: time(random.below(50))
        }
    }

    private mutating func randomValue() -> [UInt8] {
        let count = random.oneIn(40) ? 5000 : Int(random.below(60))
        return [UInt8](repeating: UInt8(random.below(256)), count: count)
    }

    private mutating func randomRange() -> KeyRange {
        switch random.below(6) {
        case 0: .all
        case 1: KeyRange(start: randomKey(), end: [])
        case 2: KeyRange(prefix: randomKey())
        default: KeyRange(start: randomKey(), end: randomKey())
        }
    }

    private mutating func randomFamily() -> PlainFamily { .transactions }
}
