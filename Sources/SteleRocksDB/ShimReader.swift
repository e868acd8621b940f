internal import CRocksDB
import SteleBase
import SteleClock
import SteleEngine

/// Reads through a reader of the shim.
protocol ShimReader: EngineReader {
    func reader() throws(EngineError) -> OpaquePointer
    /// Makes one call of the shim and throws what it reports.
    func check(
        _ call: (inout UnsafeMutablePointer<CChar>?) -> stele_code
    ) throws(EngineError)
}

/// A state of a RocksDB engine. It holds back the files and memtables that it consists of.
final class RocksDBSnapshot: ShimReader, @unchecked Sendable {
    // Safety: `handle` is not changed before the end, and what it points to is made for reads in
    // parallel.
    private let handle: OpaquePointer
    private let engine: RocksDBEngine
    /// Keeps the store open behind the engine's back for as long as the handle refers to it.
    private let store: OpenStore?

    init(_ handle: OpaquePointer, of engine: RocksDBEngine) {
        self.handle = handle
        self.engine = engine
        store = engine.store
    }

    deinit { stele_snapshot_free(handle) }

    func reader() throws(EngineError) -> OpaquePointer {
        _ = try engine.open()
        return handle
    }

    func check(
        _ call: (inout UnsafeMutablePointer<CChar>?) -> stele_code
    ) throws(EngineError) {
        try engine.check(call)
    }
}

extension ReadPoint {
    var shim: stele_read_point {
        stele_read_point(
            timestamp: timestamp.rawValue, uncertainty_limit: uncertaintyLimit.rawValue,
            transaction: transaction.rawValue)
    }
}

extension Version {
    /// Copies a version that the shim lends to a sink.
    init(_ found: stele_found) {
        self.init(
            timestamp: Timestamp(rawValue: found.timestamp),
            transaction: TransactionID(found.transaction),
            value: Int(found.outcome) == STELE_DELETION ? nil : Array(found.bytes))
    }
}

extension ReadConflict {
    /// Copies a conflict that the shim lends to a sink.
    init(_ found: stele_found) {
        if Int(found.outcome) == STELE_INTENT {
            self = .intent(
                IntentOwner(
                    transaction: TransactionID(found.transaction),
                    timestamp: Timestamp(rawValue: found.timestamp), sequence: found.sequence,
                    anchor: KeyBytes(found.bytes)))
        } else {
            self = .uncertain(Timestamp(rawValue: found.timestamp))
        }
    }
}

extension ReadOutcome {
    /// Copies what the shim lends to a sink; a value goes into `buffer`.
    init(_ found: stele_found, into buffer: inout [UInt8]) {
        let timestamp = Timestamp(rawValue: found.timestamp)
        let transaction = TransactionID(found.transaction)
        switch Int(found.outcome) {
        case STELE_NONE: self = .none
        case STELE_VALUE:
            buffer.append(
                contentsOf: UnsafeBufferPointer(
                    start: found.bytes.data, count: found.bytes.count))
            self = .value(
                timestamp: timestamp, transaction: transaction, count: found.bytes.count)
        case STELE_DELETION: self = .deletion(timestamp: timestamp, transaction: transaction)
        default: self = .conflict(ReadConflict(found))
        }
    }
}
