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
        let memory = MemoryEngine(checksHistory: false)
        let rocksDB = try emptied.get()
        let error = failure { () throws(EngineError) in try memory.apply([list], applied: nil) }
        let other = failure { () throws(EngineError) in try rocksDB.apply([list], applied: nil) }
        invariant(
            error?.code == other?.code, "\(error?.message ?? "none"), \(other?.message ?? "none")")
        invariant(error == nil || error?.code == .invalidArgument, "\(error?.message ?? "none")")
        if error != nil { try compareEngines(rocksDB, MemoryEngine()) }
        try compareEngines(memory, rocksDB)
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
