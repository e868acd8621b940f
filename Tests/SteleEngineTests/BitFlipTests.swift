import SteleBase
import SteleClock
import SteleEngine
import SteleRocksDB
import Testing

/// Every bit of a mutation list flipped, one at a time: both engines take the list and come to the
/// same state, or both refuse it with a typed error and stay as they were.
@Suite struct BitFlipTests {
    private let scope = ReplicaScope(tablet: TabletID(2), replica: ReplicaID(1), range: .all)

    /// What the list meets.
    private let base = mutations { list in
        list.put(key("a"), [1], at: time(3), by: writerID)
        list.put(key("a"), [2], at: time(6), by: writerID)
        list.put(key("b"), [3], at: time(4), by: writerID)
        list.delete(key("c"), at: time(2), by: writerID)
        list.put(intent([4]), at: key("a"))
        list.put(intent(nil), at: key("b"))
        list.put(key("r"), [5], in: .transactions)
        list.put(key("i"), [6], in: .local)
    }

    /// Every operation, with keys that are there and others that are not.
    private let list = mutations { list in
        list.put(key("a"), [7, 8], at: time(9), by: writerID)
        list.delete(key("b"), at: time(8), by: writerID)
        list.put(key("s"), [9], in: .transactions)
        list.delete(key("r"), in: .transactions)
        list.put(intent([1]), at: key("d"))
        list.resolveIntent(at: key("a"), of: writerID, committedAt: time(12))
        list.removeIntent(at: key("b"), of: writerID)
        list.raise(
            Watermark(timestamp: time(5), range: KeyRange(start: key("a"), end: key("d"))),
            tablet: TabletID(2), replica: ReplicaID(1))
        list.dropVersions(of: key("c"), upTo: time(2))
        list.clear(KeyRange(start: key("e"), end: key("g")))
        list.clear(KeyRange(start: key("x"), end: key("z")), in: .locks)
    }

    private func fill(_ engine: some StorageEngine) throws {
        let applied = AppliedState(
            tablet: scope.tablet, replica: scope.replica, index: 1, term: 1)
        try engine.apply([base], applied: applied)
    }

    @Test func everyBitOfAList() throws {
        let plain = try contents(after: list)
        #expect(plain.0 == plain.1)
        let disk = try RocksDBDisk()
        var rocksDB = try RocksDBEngine(directory: storePath, options: .on(disk))
        defer { rocksDB.close() }
        var memory = MemoryEngine(checksHistory: false)
        try fill(memory)
        try fill(rocksDB)
        let before = try Contents(of: memory, scope)
        #expect(try Contents(of: rocksDB, scope) == before)
        var (taken, refused) = (0, 0)
        for byte in 0..<list.count {
            for bit in 0..<8 {
                var flipped = Array(list)
                flipped[byte] ^= 1 << UInt8(bit)
                let errors = (
                    failure { () throws(EngineError) in
                        try memory.apply([flipped[...]], applied: nil)
                    },
                    failure { () throws(EngineError) in
                        try rocksDB.apply([flipped[...]], applied: nil)
                    }
                )
                let found = (try Contents(of: memory, scope), try Contents(of: rocksDB, scope))
                // One report says enough.
                try #require(
                    (found.0 == found.1) && errors.0?.code == errors.1?.code,
                    "bit \(bit) of byte \(byte): \(errors)")
                if let error = errors.0 {
                    refused += 1
                    try #require(
                        error.code == .invalidArgument && (found.0 == before),
                        "bit \(bit) of byte \(byte): \(error)")
                    continue
                }
                taken += 1
                memory = MemoryEngine(checksHistory: false)
                try fill(memory)
                if taken % 50 == 0 {
                    // What was cleared often enough slows reads down.
                    rocksDB.close()
                    rocksDB = try RocksDBEngine(
                        directory: storePath, options: .on(try RocksDBDisk()))
                } else {
                    try rocksDB.apply { list in
                        list.clear(.all)
                        for family in PlainFamily.allCases { list.clear(.all, in: family) }
                    }
                }
                try fill(rocksDB)
            }
        }
        // Flips of lengths and operations are refused, those of keys, values and times are not.
        #expect(taken > 800 && refused > 500, "\(taken) taken, \(refused) refused")
    }

    private func contents(after list: ArraySlice<UInt8>) throws -> (Contents, Contents) {
        let memory = MemoryEngine(checksHistory: false)
        let rocksDB = try RocksDBEngine(directory: storePath, options: .on(try RocksDBDisk()))
        defer { rocksDB.close() }
        for engine in [memory, rocksDB] as [any StorageEngine] {
            try fill(engine)
            try engine.apply([list], applied: nil)
        }
        return (try Contents(of: memory, scope), try Contents(of: rocksDB, scope))
    }

    private func failure(_ body: () throws(EngineError) -> Void) -> EngineError? {
        do throws(EngineError) {
            try body()
            return nil
        } catch {
            return error
        }
    }
}

/// All of an engine that can be read: what lies below a watermark may be gone from one engine and
/// not yet from another.
private struct Contents: Equatable {
    private var pairs: [[PlainPair]] = []
    private var newest: [KeyBytes: Version] = [:]
    private var above: [KeyBytes: [Version]] = [:]

    init(of engine: any StorageEngine, _ scope: ReplicaScope) throws {
        for family in PlainFamily.allCases {
            pairs.append(try engine.plainPairs(of: .all, in: family))
        }
        let watermarks = try pairs[2].compactMap { pair in
            LocalKey(pair.key)?.item == .watermark ? try Watermark(pair.value) : nil
        }
        for key in try Self.keys(of: engine, scope) {
            let watermark = watermarks.reduce(Timestamp.zero) { greatest, watermark in
                watermark.range.contains(key) && !watermark.range.isEmpty
                    ? max(greatest, watermark.timestamp) : greatest
            }
            newest[key] = try engine.newestVersion(of: key, at: watermark)
            let versions = try engine.versions(of: key, above: watermark, limit: .max)
            if !versions.isEmpty { above[key] = versions }
        }
    }

    /// The keys that have versions, which an export shows, deleted ones too.
    private static func keys(
        of engine: any StorageEngine, _ scope: ReplicaScope
    ) throws -> Set<KeyBytes> {
        var keys: Set<KeyBytes> = []
        let export = try engine.export(scope)
        var frames = ReplicaChunk.Reader(scope)
        while let chunk = try export.nextChunk(maxBytes: 1 << 20) {
            var reader = ByteReader(try frames.open(chunk[...]))
            while !reader.isAtEnd {
                let family = try reader.read(UInt8.self)
                let keyCount = Int(try reader.read(UInt32.self))
                let valueCount = Int(try reader.read(UInt32.self))
                let key = try reader.readRaw(keyCount)
                _ = try reader.readRaw(valueCount)
                if family == 4 { keys.insert(Array(key.dropLast(8))) }
            }
        }
        return keys
    }
}
