import SteleBase
import SteleClock
import SteleEngine
import SteleRocksDB
import Testing

/// A replica with a log whose entries can be told from the state that they lead to, so that a store
/// can be checked against its applied index.
///
/// Entry i writes the row `row/i`, an intent and a record of the same name, and rewrites the row
/// `last` to i.
struct Workload {
    var tablet = TabletID(2)
    var replica = ReplicaID(1)
    /// All keys begin with it.
    var prefix = "a/"

    var range: KeyRange { KeyRange(prefix: key(prefix)) }

    var scope: ReplicaScope { ReplicaScope(tablet: tablet, replica: replica, range: range) }

    private func name(_ index: UInt64) -> [UInt8] {
        withUnsafeBytes(of: index.bigEndian) { Array($0) }
    }

    func entry(_ index: UInt64, padding: Int = 0) -> ArraySlice<UInt8> {
        mutations { list in
            let row = key(prefix + "row/") + name(index)
            list.put(
                row, [UInt8](repeating: UInt8(truncatingIfNeeded: index), count: padding),
                at: time(index), by: writerID)
            list.put(key(prefix + "last"), name(index), at: time(index), by: writerID)
            list.put(intent(name(index)), at: key(prefix + "lock/") + name(index))
            list.put(row, name(index), in: .transactions)
        }
    }

    func apply(
        _ indices: ClosedRange<UInt64>, to engine: some StorageEngine, padding: Int = 0
    ) throws {
        for index in indices {
            let state = AppliedState(tablet: tablet, replica: replica, index: index, term: 1)
            try engine.apply([entry(index, padding: padding)], applied: state)
        }
    }

    /// Applies what follows the applied index, as a restarted node does, and checks the result.
    func replay(
        through last: UInt64, to engine: some StorageEngine, _ comment: Comment? = nil,
        location: SourceLocation = #_sourceLocation
    ) throws {
        let index = try appliedIndex(in: engine)
        if index < last { try apply(index + 1...last, to: engine) }
        try expectContent(through: last, in: engine, comment, location: location)
    }

    func appliedIndex(in engine: some StorageEngine) throws -> UInt64 {
        try engine.appliedState(tablet: tablet, replica: replica)?.index ?? 0
    }

    /// Checks that the engine holds what the entries up to its applied index lead to, no less and
    /// no more, and returns the index.
    @discardableResult
    func expectConsistent(
        _ engine: some StorageEngine, _ comment: Comment? = nil,
        location: SourceLocation = #_sourceLocation
    ) throws -> UInt64 {
        let index = try appliedIndex(in: engine)
        try expectContent(through: index, in: engine, comment, location: location)
        return index
    }

    /// Checks that the engine holds what the entries up to `index` lead to.
    func expectContent(
        through index: UInt64, in engine: some StorageEngine, _ comment: Comment? = nil,
        location: SourceLocation = #_sourceLocation
    ) throws {
        let expected = Array(UInt64(0)..<index).map { time($0 + 1) }
        let rows = try engine.page(
            KeyRange(prefix: key(prefix + "row/")), limits: ScanLimits(bytes: .max)
        ).plainRows
        #expect(rows.map(\.timestamp) == expected, comment, sourceLocation: location)
        for (folder, family) in [("lock/", PlainFamily.locks), ("row/", .transactions)] {
            let names = (UInt64(0)..<index).map { key(prefix + folder) + name($0 + 1) }
            let pairs = try engine.plainPairs(of: range, in: family)
            #expect(pairs.map(\.key) == names, comment, sourceLocation: location)
        }
        let versions = try engine.versions(
            of: key(prefix + "last"), above: .zero, limit: .max)
        #expect(
            versions.map(\.timestamp) == expected.reversed(), comment, sourceLocation: location)
    }
}

extension RocksDBEngine.Options {
    /// Small memtables on a disk in memory.
    static func on(
        _ disk: RocksDBDisk, observer: (@Sendable (EngineEvent) -> Void)? = nil
    ) -> Self {
        Self(
            cacheBytes: 4 << 20, writeBufferBytes: 1 << 20, observer: observer, disk: disk)
    }
}

/// Where engines on a disk in memory live.
let storePath = "/store"
