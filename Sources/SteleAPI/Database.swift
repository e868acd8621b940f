import SteleBase
import SteleClock

/// An ordered, replicated, transactional key-value store.
///
/// Comes from a node in this process (`Node`) or from a remote one (`SteleClient`), with the same
/// verbs. Keys are strings, bytes or typed tuples (``Key``); values are whatever is
/// ``ValueConvertible``. A key may have ``Limits/keyBytes``, a value ``Limits/valueBytes``.
///
///     try await database.put("greeting", "hello")
///     let greeting: String? = try await database.get("greeting", as: String.self)
public final class Database: Sendable {
    package let backend: any DatabaseBackend

    package init(backend: any DatabaseBackend) { self.backend = backend }

    /// Runs `body` as one transaction and commits it.
    ///
    /// The transaction is serializable unless `options` say otherwise. After a conflict with
    /// another transaction, or if its node was lost, `body` runs again from the start, so it should
    /// have no effects besides its calls of the transaction.
    ///
    ///     try await database.write { transaction in
    ///         let count = try await transaction.get("count", as: Int.self) ?? 0
    ///         try await transaction.put("count", count + 1)
    ///     }
    ///
    /// - Returns: what `body` returned in the run that was committed.
    /// - Throws: what `body` throws (nothing is written then); ``SteleError`` with
    ///   ``SteleError/Code/commitOutcomeUnknown`` when it may or may not have been committed.
    @discardableResult
    public func write<R>(
        _ options: TransactionOptions = TransactionOptions(),
        _ body: nonisolated(nonsending) (Transaction) async throws -> R
    ) async throws -> R {
        try refuseInsideTransaction("write")
        var attempt = 0
        while true {
            let backend = try self.backend.begin(options)
            do {
                let result = try await TransactionScope.run(in: self) {
                    try await body(Transaction(core: backend))
                }
                try await backend.commit()
                return result
            } catch let error as SteleError
                where attempt < Self.attempts(after: error) && !Task.isCancelled
            {
                backend.rollback()
                attempt += 1
                await standBack(after: attempt)
            } catch {
                backend.rollback()
                throw error
            }
        }
    }

    /// Runs `body` on one consistent snapshot of the whole database. Never waits for writers.
    public func read<R>(
        _ body: nonisolated(nonsending) (ReadTransaction) async throws -> R
    ) async throws -> R {
        let backend = try self.backend.begin(
            TransactionOptions(isolation: .snapshot, isReadOnly: true))
        do {
            let result = try await body(ReadTransaction(core: backend))
            try await backend.commit()
            return result
        } catch {
            backend.rollback()
            throw error
        }
    }

    /// Writes one key. Durable on a majority of replicas when it returns.
    public func put(
        _ key: some KeyConvertible, _ value: some ValueConvertible
    ) async throws(SteleError) {
        try refuseInsideTransaction("put")
        try await backend.put(try checkedKey(key), try checkedValue(value))
    }

    /// The newest committed value of `key`, nil if there is none.
    public func get<V: ValueConvertible>(
        _ key: some KeyConvertible, as type: V.Type
    ) async throws(SteleError) -> V? {
        try refuseInsideTransaction("get")
        return try decode(await backend.get(try checkedKey(key)), as: type)
    }

    /// Deletes one key; does nothing if it is not there.
    public func delete(_ key: some KeyConvertible) async throws(SteleError) {
        try refuseInsideTransaction("delete")
        try await backend.put(try checkedKey(key), nil)
    }

    /// How often ``write(_:_:)`` runs its closure again before it passes the error on.
    ///
    /// Conflicts are decided in favour of somebody, so trying again gets on. Where no node can be
    /// reached each attempt lasts for as long as the options allow already.
    private static func attempts(after error: SteleError) -> Int {
        switch error.code {
        case .conflict, .deadlock: 100
        case .unavailable: 2
        default: 0
        }
    }

    /// Waits before the next attempt, up to 10 ms and for longer the more have failed.
    ///
    /// Those that met once come back at the same pace and would meet again: then one of them could
    /// lose each time. The first attempts are repeated at once, for most conflicts are past by then.
    private func standBack(after attempts: Int) async {
        guard attempts > 2 else { return }
        await backend.standBack(upTo: .microseconds(min(50 << min(attempts, 16), 10_000)))
    }

    /// A call of its own inside a transaction's closure would be another transaction: it would not
    /// see what the closure wrote, be repeated with each attempt, and could wait for a lock that the
    /// closure itself holds.
    private func refuseInsideTransaction(_ verb: String) throws(SteleError) {
        if TransactionScope.isInside(self) {
            throw SteleError(
                .invalidArgument,
                "database.\(verb) was called inside a write closure, where it would be another "
                    + "transaction; call transaction.\(verb) instead")
        }
    }
}

func checkedKey(_ key: some KeyConvertible) throws(SteleError) -> KeyBytes {
    let bytes = key.keyBytes
    guard bytes.count <= Limits.keyBytes else { throw .keyTooLong(bytes.count) }
    return bytes
}

func checkedValue(_ value: some ValueConvertible) throws(SteleError) -> [UInt8] {
    let bytes = value.steleBytes
    guard bytes.count <= Limits.valueBytes else { throw .valueTooLong(bytes.count) }
    return bytes
}

func decode<V: ValueConvertible>(_ bytes: [UInt8]?, as type: V.Type) throws(SteleError) -> V? {
    guard let bytes else { return nil }
    do {
        return try V(steleBytes: bytes)
    } catch let error as SteleError {
        throw error
    } catch {
        throw SteleError(.valueMismatch, "the value is not of type \(V.self): \(error)")
    }
}
