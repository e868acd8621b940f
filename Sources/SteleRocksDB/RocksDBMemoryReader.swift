internal import CRocksDB
import SteleBase
import SteleEngine

/// Reads the latest state of a RocksDB engine from memtables and cache alone.
final class RocksDBMemoryReader: ShimReader {
    private let engine: RocksDBEngine

    init(of engine: RocksDBEngine) { self.engine = engine }

    func reader() throws(EngineError) -> OpaquePointer {
        guard let reader = stele_engine_in_memory(try engine.open()) else {
            invariantFailed("an open store has no reader of its memory")
        }
        return reader
    }

    func check(
        _ call: (inout UnsafeMutablePointer<CChar>?) -> stele_code
    ) throws(EngineError) {
        do {
            try engine.check(call)
        } catch where error.code == .busy {
            throw EngineError(.notInMemory, "the read needs the disk")
        }
    }
}
