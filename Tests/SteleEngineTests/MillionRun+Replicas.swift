import SteleBase
import SteleClock
import SteleEngine
import SteleRocksDB

/// Replicas on the move, in the comparison of engines.
extension MillionRun {
    /// Exports a replica from both engines, sometimes removes it, and brings to each engine what
    /// either one exported: after that all is as before.
    mutating func moveReplica() throws {
        let (scope, keys) = randomReplica()
        index += 1
        let applied = AppliedState(
            tablet: scope.tablet, replica: scope.replica, index: index, term: 1)
        let engines: [any StorageEngine] = [memory, rocksDB]
        for engine in engines { try engine.apply([], applied: applied) }
        model.applied[scope.tablet] = index
        let exports = try engines.map { try $0.export(scope) }
        let before = model
        let maxBytes = 200 + Int(random.below(20_000))
        var chunks: [[[UInt8]]] = []
        for export in exports {
            if export.applied != applied { difference = "the applied state of an export" }
            var own: [[UInt8]] = []
            while let chunk = try export.nextChunk(maxBytes: maxBytes) { own.append(chunk) }
            chunks.append(own)
        }
        if random.oneIn(2) {
            seen.removals += 1
            for engine in engines { try engine.remove(scope) }
            model.remove(scope.tablet, keys)
            // What is removed and not flushed would come back.
            try compareFrontiers()
            for _ in 0..<16 { try compareRead() }
            for _ in 0..<4 { try compareScan() }
        } else {
            // What was written since gives way to what is brought.
            try overwrite(keys)
        }
        for engine in engines {
            let build = try engine.makeImport(of: scope)
            for chunk in chunks[Int(random.below(2))] { try build.add(chunk[...]) }
            if try build.finish() != applied { difference = "the applied state of an import" }
        }
        seen.imports += 1
        model.clear(keys)
        model.restore(scope.tablet, keys, from: before)
        // Before any write could hide that a watermark did not come along.
        for _ in 0..<64 { try compareRead() }
    }

    /// A tablet with its watermark, or some keys as the replica of another one.
    private mutating func randomReplica() -> (ReplicaScope, Range<Int>) {
        let keys = IndexedModel.keys
        let choice = Int(random.below(4))
        if choice < IndexedModel.tablets.count {
            let scope = ReplicaScope(
                tablet: TabletID(UInt64(choice)), replica: ReplicaID(1),
                range: IndexedModel.tablets[choice])
            return (scope, IndexedModel.bounds[choice])
        }
        let start = Int(random.below(UInt64(keys.count)))
        let end = min(start + 1 + Int(random.below(60)), keys.count)
        let range = KeyRange(start: keys[start], end: end == keys.count ? [] : keys[end])
        let scope = ReplicaScope(tablet: TabletID(77), replica: ReplicaID(2), range: range)
        return (scope, start..<end)
    }

    private mutating func overwrite(_ keys: Range<Int>) throws {
        var list = MutationList()
        for key in keys where random.oneIn(3) {
            let (at, value) = (model.writeTime(key, &random), model.value(&random))
            let bytes = IndexedModel.keys[key]
            list.put(bytes, IndexedModel.values[value], at: time(at), by: TransactionID(1))
            model.put(key, at, 1, value)
            if random.oneIn(2) { list.removeIntent(at: bytes, of: TransactionID(2)) }
            model.remove(key, 2)
        }
        for engine in [memory, rocksDB] as [any StorageEngine] {
            try engine.apply([list.bytes[...]], applied: nil)
        }
    }
}
