import Foundation
import SteleBase
import SteleClock
import SteleEngine
import SteleRocksDB
import Testing

/// A million operations on both engines and on a naive model, with crashes, garbage collection,
/// snapshots, and replicas that are removed and moved from engine to engine.
///
/// `STELE_ENGINE_MILLION` sets how many operations, `STELE_ENGINE_SEED` which ones.
@Suite struct MillionTests {
    @Test func enginesAgreeWithTheModelOverAMillionOperations() throws {
        let environment = ProcessInfo.processInfo.environment
        let wanted = environment["STELE_ENGINE_MILLION"].flatMap { Int($0) } ?? 1_000_000
        let seed = environment["STELE_ENGINE_SEED"].flatMap { UInt64($0) } ?? 1
        try withTemporaryDirectory { directory in
            var run = try MillionRun(seed: seed, directory: directory + "/store")
            while run.operations < wanted, run.difference == nil { try run.turn() }
            if run.difference == nil { try run.compareEverything() }
            run.close()
            let difference = run.difference ?? ""
            #expect(difference.isEmpty, "seed \(seed), operation \(run.operations): \(difference)")
            // A run that never went back, collected, or met anything, would prove nothing.
            guard wanted >= 1_000_000, run.difference == nil else { return }
            let seen = run.seen
            #expect(seen.crashes > 10 && seen.reopenings > 10 && seen.compactions > 5)
            #expect(seen.refusals > 100 && seen.conflicts > 1000 && seen.rows > 10_000)
            #expect(seen.values > 1000 && seen.deletions > 1000 && seen.resumptions > 100)
            #expect(seen.snapshotReads > 1000 && seen.imports > 20 && seen.removals > 10)
        }
    }
}

struct MillionRun {
    struct Seen {
        var crashes = 0, reopenings = 0, compactions = 0, refusals = 0, conflicts = 0, rows = 0
        var values = 0, deletions = 0, resumptions = 0, snapshotReads = 0, imports = 0
        var removals = 0
    }

    /// What is read at one state, and what is expected there.
    struct View {
        var memory: any EngineReader
        var rocksDB: any EngineReader
        var model: IndexedModel
    }

    private(set) var operations = 0
    var difference: String?
    var seen = Seen()

    var random: SeededRandom
    private let directory: String
    let memory = MemoryEngine()
    private(set) var rocksDB: RocksDBEngine
    var model = IndexedModel()
    private var flushed = IndexedModel()
    var index: UInt64 = 0
    private var snapshot: View?
    private var buffers: ([UInt8], [UInt8]) = ([], [])
    private var pages = (ScanPage(), ScanPage())

    init(seed: UInt64, directory: String) throws {
        random = SeededRandom(seed: seed)
        self.directory = directory
        rocksDB = try RocksDBEngine(directory: directory, options: Self.options)
    }

    /// No memtable fills up, so that what a crash leaves is exactly what was flushed.
    private static let options = {
        var options = RocksDBEngine.Options(
            cacheBytes: 8 << 20, writeBufferBytes: 256 << 20)
        options.checksHistory = true
        return options
    }()

    mutating func close() {
        snapshot = nil
        rocksDB.close()
    }

    mutating func turn() throws {
        try mutate()
        for _ in 0..<16 { try compareRead() }
        for _ in 0..<2 { try compareScan() }
        switch random.below(3000) {
        case 0..<90: try flush()
        case 90..<100:
            try flush()
            try rocksDB.compact(.all)
            seen.compactions += 1
        case 100..<106:
            seen.reopenings += 1
            snapshot = nil
            if random.oneIn(2) { try flush() } else { seen.crashes += 1 }
            memory.crash()
            rocksDB.close()
            rocksDB = try RocksDBEngine(directory: directory, options: Self.options)
            model = flushed
            try compareEverything()
        case 106..<136:
            snapshot = View(
                memory: try memory.snapshot(), rocksDB: try rocksDB.snapshot(), model: model)
        case 136..<144:
            try moveReplica()
            // An import makes durable all that came before it, too.
            flushed = model
            try compareEverything()
        default: break
        }
    }

    private mutating func flush() throws {
        try rocksDB.flush()
        try memory.flush()
        flushed = model
    }

    // MARK: Writes

    private mutating func mutate() throws {
        var list = MutationList(reserving: 4096)
        for _ in 0..<64 { add(to: &list) }
        operations += 64
        index += 1
        let applied = AppliedState(
            tablet: .firstData, replica: ReplicaID(1), index: index, term: 1)
        try memory.apply([list.bytes[...]], applied: applied)
        try rocksDB.apply([list.bytes[...]], applied: applied)
        model.applied[.firstData] = index
    }

    private mutating func add(to list: inout MutationList) {
        let key = Int(random.below(UInt64(IndexedModel.keys.count)))
        let bytes = IndexedModel.keys[key]
        let transaction = random.below(6) + 1
        switch random.below(1000) {
        case 0..<550:
            let (at, value) = (model.writeTime(key, &random), model.value(&random))
            list.put(
                bytes, IndexedModel.values[value], at: time(at), by: TransactionID(transaction))
            model.put(key, at, transaction, value)
        case 550..<700:
            let at = model.writeTime(key, &random)
            list.delete(bytes, at: time(at), by: TransactionID(transaction))
            model.put(key, at, transaction, nil)
        case 700..<800:
            let at = model.writeTime(key, &random)
            let value = random.oneIn(4) ? nil : model.value(&random)
            let intent = IndexedModel.Intent(transaction: transaction, timestamp: at, value: value)
            list.put(intent.encoded, at: bytes)
            model.intents[key] = intent
        case 800..<890:
            let at = model.writeTime(key, &random)
            list.resolveIntent(
                at: bytes, of: TransactionID(transaction), committedAt: time(at))
            model.resolve(key, transaction, at)
        case 890..<985:
            list.removeIntent(at: bytes, of: TransactionID(transaction))
            model.remove(key, transaction)
        case 985..<995:
            let at = random.below(model.watermark(of: key) + 1)
            list.dropVersions(of: bytes, upTo: time(at))
            model.drop(key, upTo: at)
        case 995..<997:
            let last = min(key + Int(random.below(8)), IndexedModel.keys.count - 1)
            let range = KeyRange(start: bytes, end: IndexedModel.keys[last])
            list.clear(range)
            model.clear(key..<last)
            if random.oneIn(2) {
                list.clear(range, in: .locks)
                model.clearIntents(key..<last)
            }
        default:
            let tablet = Int(random.below(UInt64(IndexedModel.tablets.count)))
            let at = model.raise(tablet, by: random.below(4))
            list.raise(
                Watermark(timestamp: time(at), range: IndexedModel.tablets[tablet]),
                tablet: TabletID(UInt64(tablet)), replica: ReplicaID(1))
        }
    }

    // MARK: Reads

    private mutating func view() -> View {
        if let snapshot, random.oneIn(4) {
            seen.snapshotReads += 1
            return snapshot
        }
        return View(memory: memory, rocksDB: rocksDB, model: model)
    }

    /// A point above what a view has collected; the watermark may have gone with its replica since.
    private mutating func point(in view: View) -> ReadPoint {
        var point = point()
        if model.greatestWatermark < view.model.greatestWatermark {
            point.timestamp = max(point.timestamp, time(view.model.greatestWatermark))
        }
        return point
    }

    private mutating func point() -> ReadPoint {
        let at = random.oneIn(20) ? UInt64.max : model.readTime(&random)
        return ReadPoint(
            time(at), uncertaintyLimit: random.oneIn(3) ? time(at &+ random.below(9)) : nil,
            transaction: TransactionID(random.oneIn(2) ? 0 : random.below(6) + 1))
    }

    mutating func compareRead() throws {
        operations += 1
        let key = Int(random.below(UInt64(IndexedModel.keys.count)))
        let bytes = IndexedModel.keys[key]
        let view = view()
        let point = point(in: view)
        if point.timestamp.rawValue < model.watermark(of: key) {
            seen.refusals += 1
            for engine in [view.memory, view.rocksDB] {
                do throws(EngineError) {
                    _ = try engine.read(bytes, at: point, into: &buffers.0)
                    difference = "a read of \(bytes) at \(point) was not refused"
                } catch {
                    if error.code != .belowWatermark { throw error }
                }
            }
            return
        }
        buffers.0.removeAll(keepingCapacity: true)
        buffers.1.removeAll(keepingCapacity: true)
        let found = (
            try view.memory.read(bytes, at: point, into: &buffers.0),
            try view.rocksDB.read(bytes, at: point, into: &buffers.1)
        )
        let expected = view.model.read(key, at: point)
        var value: [UInt8] = []
        switch expected {
        case .value(let version):
            value = IndexedModel.values[version.value ?? 0]
            seen.values += 1
        case .deletion: seen.deletions += 1
        case .conflict: seen.conflicts += 1
        case .none: break
        }
        let outcome = expected.outcome
        if found.0 != outcome || found.1 != outcome || buffers.0 != value || buffers.1 != value {
            difference = "a read of \(bytes) at \(point): \(found), expected \(outcome)"
        }
    }

    mutating func compareScan() throws {
        operations += 1
        let count = IndexedModel.keys.count
        let start = Int(random.below(UInt64(count)))
        let range = start..<min(start + Int(random.below(40)), count)
        let bounds = KeyRange(
            start: IndexedModel.keys[start],
            end: range.upperBound == count ? [] : IndexedModel.keys[range.upperBound])
        let reverse = random.oneIn(2)
        let limits = ScanLimits(
            rows: random.oneIn(2) ? .max : Int(random.below(8)),
            bytes: random.oneIn(2) ? 1 << 20 : Int(random.below(400)),
            keys: random.oneIn(2) ? .max : Int(random.below(12)),
            conflicts: random.oneIn(2) ? 64 : Int(random.below(3)))
        let view = view()
        var point = point(in: view)
        point.timestamp = max(point.timestamp, time(model.greatestWatermark))
        if range.isEmpty { return }
        pages = (ScanPage(), ScanPage())
        try view.memory.scan(bounds, at: point, limits: limits, reverse: reverse, into: &pages.0)
        try view.rocksDB.scan(bounds, at: point, limits: limits, reverse: reverse, into: &pages.1)
        let expected = view.model.scan(range, at: point, limits: limits, reverse: reverse)
        seen.rows += expected.count
        if expected.resumeKey != nil { seen.resumptions += 1 }
        for page in [pages.0, pages.1] where !page.isSame(as: expected) {
            difference =
                "a scan of \(bounds) at \(point), \(limits), reverse \(reverse): "
                + "\(page.plainRows), \(page.conflicts), \(String(describing: page.resumeKey)); "
                + "expected \(expected)"
        }
    }

    mutating func compareEverything() throws {
        let now = model.greatestWatermark
        for at in [now, now + 10, .max] {
            for reverse in [false, true] {
                let point = ReadPoint(time(at))
                let limits = ScanLimits(bytes: .max, conflicts: .max)
                let expected = model.scan(
                    0..<IndexedModel.keys.count, at: point, limits: limits, reverse: reverse)
                for engine in [memory, rocksDB] as [any EngineReader] {
                    let page = try engine.page(
                        .all, at: point, limits: limits, reverse: reverse)
                    if !page.isSame(as: expected) {
                        difference = "everything at \(at), reverse \(reverse), in \(engine)"
                    }
                }
            }
        }
        let intents = model.intents.indices.compactMap { key in
            model.intents[key].map { ($0.encoded, IndexedModel.keys[key]) }
        }
        for engine in [memory, rocksDB] as [any EngineReader] {
            let found = try engine.allIntents()
            if found.map(\.key) != intents.map(\.1) || found.map(\.intent) != intents.map(\.0) {
                difference = "the intents in \(engine)"
            }
        }
        try compareFrontiers()
    }

    mutating func compareFrontiers() throws {
        for engine in [memory, rocksDB] as [any StorageEngine] {
            let frontier = try engine.persistedFrontier()
            if Dictionary(uniqueKeysWithValues: frontier.map { ($0.tablet, $0.index) })
                != flushed.applied
            {
                difference = "the frontier of \(engine): \(frontier), not \(flushed.applied)"
            }
        }
    }
}

extension ScanPage {
    fileprivate func isSame(as other: ScanPage) -> Bool {
        bytes == other.bytes && count == other.count && resumeKey == other.resumeKey
            && conflicts.map(\.key) == other.conflicts.map(\.key)
            && conflicts.map(\.conflict) == other.conflicts.map(\.conflict)
    }
}
