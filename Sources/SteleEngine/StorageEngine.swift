import SteleBase
import SteleClock

/// A node's one ordered, versioned store: the port behind which RocksDB and the in-memory engine
/// stand.
///
/// Every call is synchronous and coarse: one call covers a whole batch, page or key. Calls come
/// from the node's event loop, except ``flush()``, which may run on another thread at the same time.
///
/// Invariants:
/// - What one `apply` contains becomes visible, and later durable, as a whole, together with the
///   applied index that it names. The engine has no write-ahead log: the Raft log is the only one,
///   so a crash takes the engine back to some earlier point between two calls of `apply`, no earlier
///   than the last completed `flush`.
/// - A version, once written, never changes.
/// - A read sees what one `apply` did as a whole or not at all, intents included.
package protocol StorageEngine: EngineReader {
    /// Applies mutation lists in order, as one atomic batch with the applied state they lead to.
    func apply(
        _ lists: [ArraySlice<UInt8>], applied: AppliedState?
    ) throws(EngineError)

    /// Applies mutations of one list from byte `offset` on until more than `maxBytes` were applied.
    ///
    /// Lets a big list be spread over several turns. No applied index moves, so that after a crash
    /// the whole list is applied again, with the same result.
    /// - Returns: where to go on, or the length of the list when it has been applied in full.
    func applyPart(
        of list: ArraySlice<UInt8>, from offset: Int, maxBytes: Int
    ) throws(EngineError) -> Int

    /// Reads the latest state as the engine does, but never from disk: it throws
    /// `EngineError.Code.notInMemory` instead. The same read through the engine, in a thread that may
    /// wait, brings into memory what it lacked.
    var inMemory: any EngineReader { get }

    /// A reader that keeps showing the present state, as long as it lives. To be given up before
    /// the engine is closed. Reads below a watermark that was raised since are refused here too.
    func snapshot() throws(EngineError) -> any EngineReader

    /// Bytes that were applied and not flushed, as far as the engine knows.
    var unflushedBytes: Int { get }

    /// How fast the engine takes writes. Never waits.
    var pressure: WritePressure { get }

    /// Sizes and counts; may wait for a moment.
    func statistics() throws(EngineError) -> EngineStatistics

    /// Makes everything durable that was applied before the call. Blocks; not for the event loop.
    func flush() throws(EngineError)

    /// The applied state of each replica that would be found after a crash now, by tablet and
    /// replica. The log is to be kept behind it.
    func persistedFrontier() throws(EngineError) -> [AppliedState]

    /// Begins to read all that a replica has, as it is now.
    func export(_ scope: ReplicaScope) throws(EngineError) -> any ReplicaExport

    /// Begins to build a replica from what another one exported.
    ///
    /// Until that is finished nothing may be applied to the replica, and no other replica may
    /// share keys with it.
    func makeImport(of scope: ReplicaScope) throws(EngineError) -> any ReplicaImport

    /// Removes all that a replica has and nothing else, in one step that the next flush makes
    /// durable.
    func remove(_ scope: ReplicaScope) throws(EngineError)

    /// Closes the store; nothing may be called afterwards. What was not flushed is given up.
    func close()
}

/// The families of keys that hold one value per key.
package enum PlainFamily: UInt8, Sendable, CaseIterable {
    /// Intents, by user key; written by mutations of their own. See ``Intent``.
    case locks = 1
    /// Transaction records, by anchor key and transaction id.
    case transactions = 2
    /// A replica's own items, by tablet, replica and item; see ``LocalKey``.
    case local = 3
}

/// How far a replica has applied its log.
package struct AppliedState: Hashable, Sendable {
    package var tablet: TabletID
    package var replica: ReplicaID
    package var index: UInt64
    package var term: UInt64

    package init(tablet: TabletID, replica: ReplicaID, index: UInt64, term: UInt64) {
        self.tablet = tablet
        self.replica = replica
        self.index = index
        self.term = term
    }
}

/// One version of one key.
package struct Version: Hashable, Sendable {
    package var timestamp: Timestamp
    /// The transaction that wrote it.
    package var transaction: TransactionID
    /// nil is a deletion.
    package var value: [UInt8]?

    package init(timestamp: Timestamp, transaction: TransactionID, value: [UInt8]?) {
        self.timestamp = timestamp
        self.transaction = transaction
        self.value = value
    }
}
