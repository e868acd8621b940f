import SteleBase
import SteleClock
import SteleEngine
import SteleRocksDB

/// Both decoders of mutation lists, that of the memory engine and that of the shim: they must agree
/// on what is a list, refuse the rest with a typed error and without a trace, and come to the same
/// store.
package func fuzzMutationList(_ bytes: UnsafeRawBufferPointer) {
    do throws(EngineError) {
        let list = Array(bytes)[...]
        let memory = MemoryEngine()
        let rocksDB = try emptied.get()
        let error = failure { () throws(EngineError) in try memory.apply([list], applied: nil) }
        let other = failure { () throws(EngineError) in try rocksDB.apply([list], applied: nil) }
        invariant(
            error?.code == other?.code, "\(error?.message ?? "none"), \(other?.message ?? "none")")
        invariant(error == nil || error?.code == .invalidArgument, "\(error?.message ?? "none")")
        if error != nil { try compare(rocksDB, MemoryEngine()) }
        try compare(memory, rocksDB)
        guard error == nil else { return }
        var clear = MutationList()
        clear.clear(.all)
        for family in PlainFamily.allCases { clear.clear(.all, in: family) }
        try rocksDB.apply([clear.bytes[...]], applied: nil)
    } catch {
        invariantFailed("no list may make an engine fail: \(error)")
    }
}

/// One store for all inputs, empty between them: to open one takes longer than all the rest.
private let emptied = Result { () throws(EngineError) in
    try RocksDBEngine(directory: "/fuzz", options: .init(disk: try RocksDBDisk()))
}

private func failure(_ body: () throws(EngineError) -> Void) -> EngineError? {
    do throws(EngineError) {
        try body()
        return nil
    } catch {
        return error
    }
}

private func compare(
    _ left: any StorageEngine, _ right: any StorageEngine
) throws(EngineError) {
    for family in PlainFamily.allCases {
        let pairs = (try left.pairs(of: .all, in: family), try right.pairs(of: .all, in: family))
        invariant(pairs.0.map(\.key) == pairs.1.map(\.key), "keys of \(family) differ")
        invariant(pairs.0.map(\.value) == pairs.1.map(\.value), "values of \(family) differ")
    }
    for reverse in [false, true] {
        var pages = (ScanPage(), ScanPage())
        let limits = ScanLimits(bytes: .max)
        try left.scan(.all, at: .max, limits: limits, reverse: reverse, into: &pages.0)
        try right.scan(.all, at: .max, limits: limits, reverse: reverse, into: &pages.1)
        invariant(pages.0.bytes == pages.1.bytes, "rows differ")
        invariant(pages.0.resumeKey == pages.1.resumeKey, "resume keys differ")
    }
}
