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
    /// have no effects besides its calls of the transaction: after any error that
    /// ``SteleError/isRetryable``, within ``TransactionOptions/timeout``.
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
        let deadline = backend.deadline(after: options.timeout)
        var retries = Retries(options, by: deadline, now: backend.now)
        while true {
            do {
                return try await attempt(options, by: deadline, body)
            } catch {
                guard let failure = error as? SteleError,
                    let pause = retries.pause(after: failure, now: backend.now)
                else { throw error }
                // Whoever is told that the call may be repeated would begin it once more.
                if Task.isCancelled { throw SteleError(.cancelled, "the call was cancelled") }
                if pause > .zero { await backend.standBack(upTo: pause) }
            }
        }
    }

    private func attempt<R>(
        _ options: TransactionOptions, by deadline: Deadline,
        _ body: nonisolated(nonsending) (Transaction) async throws -> R
    ) async throws -> R {
        let transaction = try backend.begin(options, by: deadline)
        do {
            let result = try await TransactionScope.run(.write, in: self) {
                try await body(Transaction(core: transaction))
            }
            try await transaction.commit()
            return result
        } catch {
            transaction.rollback()
            throw error
        }
    }

    /// Runs `body` on one consistent snapshot of the whole database. Never waits for writers.
    ///
    /// What is written meanwhile, also by `body` itself through the database, is not part of the
    /// snapshot; ``get(_:as:timeout:)`` and another `read` of the database are refused within it.
    ///
    /// - Parameter timeout: how long it may take in all, what `body` does included; a call that would
    ///   take longer ends then. Nil sets no bound but that of 10 seconds for each call.
    public func read<R>(
        timeout: Duration? = nil,
        _ body: nonisolated(nonsending) (ReadTransaction) async throws -> R
    ) async throws -> R {
        try refuseInsideTransaction("read", reads: true)
        let transaction = try backend.begin(
            TransactionOptions(isolation: .snapshot, isReadOnly: true, timeout: timeout))
        do {
            let result = try await TransactionScope.run(.read, in: self) {
                try await body(ReadTransaction(core: transaction))
            }
            try await transaction.commit()
            return result
        } catch {
            transaction.rollback()
            throw error
        }
    }

    /// Writes one key. Durable on a majority of replicas when it returns.
    ///
    /// - Parameter timeout: how long it waits for that. 10 seconds are the most.
    /// - Throws: ``SteleError/Code/commitOutcomeUnknown`` if the write left and its time, its
    ///   connection or its task ended before the answer came: it may or may not be in effect.
    public func put(
        _ key: some KeyConvertible, _ value: some ValueConvertible,
        timeout: Duration = .seconds(10)
    ) async throws(SteleError) {
        try refuseInsideTransaction("put")
        try await backend.put(
            try checkedKey(key), try checkedValue(value), by: backend.deadline(after: timeout))
    }

    /// The newest committed value of `key`, nil if there is none.
    ///
    /// - Parameter timeout: how long it waits for the answer. 10 seconds are the most.
    public func get<V: ValueConvertible>(
        _ key: some KeyConvertible, as type: V.Type, timeout: Duration = .seconds(10)
    ) async throws(SteleError) -> V? {
        try refuseInsideTransaction("get", reads: true)
        let deadline = backend.deadline(after: timeout)
        return try decode(await backend.get(try checkedKey(key), by: deadline), as: type)
    }

    /// Deletes one key; does nothing if it is not there.
    ///
    /// - Parameter timeout: as of ``put(_:_:timeout:)``.
    public func delete(
        _ key: some KeyConvertible, timeout: Duration = .seconds(10)
    ) async throws(SteleError) {
        try refuseInsideTransaction("delete")
        try await backend.put(try checkedKey(key), nil, by: backend.deadline(after: timeout))
    }

    /// A call of its own inside a transaction's closure would be another transaction: it would not
    /// see what the closure wrote or its snapshot, be repeated with each attempt, and could wait for a
    /// lock that the closure itself holds. Within a closure that only reads others may be written.
    package func refuseInsideTransaction(_ verb: String, reads: Bool = false) throws(SteleError) {
        let closure: String
        switch TransactionScope.around(self) {
        case .write?: closure = "write"
        case .read? where reads: closure = "read"
        default: return
        }
        throw SteleError(
            .invalidArgument,
            "database.\(verb) was called inside a \(closure) closure, where it would be another "
                + "transaction; call transaction.\(verb) instead")
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
