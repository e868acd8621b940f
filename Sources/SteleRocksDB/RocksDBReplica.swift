internal import CRocksDB
import SteleBase
import SteleEngine

extension RocksDBEngine {
    package func export(_ scope: ReplicaScope) throws(EngineError) -> any ReplicaExport {
        try RocksDBExport(self, scope)
    }

    package func makeImport(of scope: ReplicaScope) throws(EngineError) -> any ReplicaImport {
        try checkNotFailed()
        return try RocksDBImport(self, scope)
    }
}

extension ReplicaScope {
    /// Lends the scope to one call of the shim.
    func withShim<Result>(_ body: (inout stele_replica) -> Result) -> Result {
        range.start.withBytes { start in
            range.end.withBytes { end in
                localPrefix.withBytes { prefix in
                    var scope = stele_replica(start: start, end: end, local_prefix: prefix)
                    return body(&scope)
                }
            }
        }
    }
}

/// An export of a store on RocksDB, which it keeps open.
private final class RocksDBExport: ReplicaExport {
    private struct State: @unchecked Sendable {
        // Safety: only used under the lock.
        let handle: OpaquePointer
        var writer: ReplicaChunk.Writer
        /// Pairs that were read and not given out yet: a chunk says whether it is the last one.
        var ahead: [UInt8]?
        var isDone = false
    }

    let applied: AppliedState
    private let engine: RocksDBEngine
    private let store: OpenStore?
    private let state: Locked<State>

    init(_ engine: RocksDBEngine, _ scope: ReplicaScope) throws(EngineError) {
        let open = try engine.open()
        store = engine.store
        var created: OpaquePointer?
        try engine.check { message in
            scope.withShim { stele_export_create(open, &$0, &created, &message) }
        }
        guard let handle = created else { throw EngineError(.io, "the export was not made") }
        // The state at the snapshot: the pair of the applied state is among the export's own.
        do throws(EngineError) {
            applied = try Self.applied(in: handle, of: scope, engine: engine)
        } catch {
            stele_export_free(handle)
            throw error
        }
        self.engine = engine
        state = Locked(
            State(
                handle: handle,
                writer: ReplicaChunk.Writer(
                    .init(
                        tablet: scope.tablet, range: scope.range, index: applied.index,
                        term: applied.term))))
    }

    deinit { state.withLock { stele_export_free($0.handle) } }

    func nextChunk(maxBytes: Int) throws(EngineError) -> [UInt8]? {
        try state.withLock { state throws(EngineError) in
            if state.isDone { return nil }
            let limit = max(maxBytes - state.writer.frameBytes, 1)
            let pairs: [UInt8]
            if let ahead = state.ahead {
                pairs = ahead
            } else {
                pairs = try Self.read(state.handle, maxBytes: limit, engine: engine)
            }
            let ahead = try Self.read(state.handle, maxBytes: limit, engine: engine)
            state.ahead = ahead
            state.isDone = ahead.isEmpty
            return pairs.withUnsafeBufferPointer {
                state.writer.frame($0, isLast: ahead.isEmpty)
            }
        }
    }

    private static func read(
        _ handle: OpaquePointer, maxBytes: Int, engine: RocksDBEngine
    ) throws(EngineError) -> [UInt8] {
        var pairs: [UInt8] = []
        try engine.check { message in
            withUnsafeMutablePointer(to: &pairs) { pairs in
                stele_export_next(
                    handle, maxBytes, pairs,
                    { context, found in
                        context?.assumingMemoryBound(to: [UInt8].self).pointee = Array(found)
                    }, &message)
            }
        }
        return pairs
    }

    private static func applied(
        in handle: OpaquePointer, of scope: ReplicaScope, engine: RocksDBEngine
    ) throws(EngineError) -> AppliedState {
        var value: [UInt8] = []
        try engine.check { message in
            withUnsafeMutablePointer(to: &value) { value in
                stele_export_applied(
                    handle, value,
                    { context, found in
                        context?.assumingMemoryBound(to: [UInt8].self).pointee = Array(found)
                    }, &message)
            }
        }
        return try AppliedState(exported: value, of: scope)
    }
}

/// An import into a store on RocksDB, which it keeps open.
private final class RocksDBImport: ReplicaImport {
    private struct State: @unchecked Sendable {
        // Safety: only used under the lock.
        let handle: OpaquePointer
        var reader: ReplicaChunk.Reader
    }

    private let engine: RocksDBEngine
    private let store: OpenStore?
    private let state: Locked<State>

    init(_ engine: RocksDBEngine, _ scope: ReplicaScope) throws(EngineError) {
        let open = try engine.open()
        store = engine.store
        var created: OpaquePointer?
        try engine.check { message in
            scope.withShim { stele_import_create(open, &$0, &created, &message) }
        }
        guard let handle = created else { throw EngineError(.io, "the import was not made") }
        self.engine = engine
        state = Locked(State(handle: handle, reader: ReplicaChunk.Reader(scope)))
    }

    deinit { state.withLock { stele_import_free($0.handle) } }

    func add(_ chunk: ArraySlice<UInt8>) throws(EngineError) {
        try state.withLock { state throws(EngineError) in
            let pairs = try state.reader.open(chunk)
            do throws(EngineError) {
                try engine.check { message in
                    pairs.withBytes { stele_import_add(state.handle, $0, &message) }
                }
            } catch {
                state.reader.refuse()
                throw error
            }
        }
    }

    func finish() throws(EngineError) -> AppliedState {
        try state.withLock { state throws(EngineError) in
            let applied = try state.reader.finish(stored: Self.applied(in: state.handle, engine))
            // What RocksDB would have to flush while it takes the files in would hold up writers.
            try engine.flush()
            try engine.pausingWrites { () throws(EngineError) in
                try engine.check { stele_import_finish(state.handle, &$0) }
            }
            return applied
        }
    }

    /// The value of the replica's applied state among what was added.
    private static func applied(
        in handle: OpaquePointer, _ engine: RocksDBEngine
    ) throws(EngineError) -> [UInt8]? {
        var value: [UInt8]?
        try engine.check { message in
            withUnsafeMutablePointer(to: &value) { value in
                stele_import_applied(
                    handle, value,
                    { context, found in
                        context?.assumingMemoryBound(to: [UInt8]?.self).pointee = Array(found)
                    }, &message)
            }
        }
        return value
    }
}
