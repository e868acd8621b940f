import NIOCore
import SteleAPI
import SteleBase
import SteleWire

/// A database at the other end of a connection.
///
/// Reads whose connection broke are asked again elsewhere. Writes are repeated only if they never
/// left; of one that did and got no answer the outcome is reported as unknown.
final class RemoteDatabase: DatabaseBackend {
    let connector: Connector
    private let keyspace: ClientKeyspace

    /// How long a call looks for a node before it gives up.
    static let patience = TimeAmount.seconds(5)
    /// How often a call is tried before it gives up.
    private static let attempts = 5

    init(connector: Connector, keyspace: ClientKeyspace) {
        self.connector = connector
        self.keyspace = keyspace
    }

    // MARK: DatabaseBackend

    var now: UInt64 { Self.clock() }

    /// Microseconds of the clock that a client's deadlines are on.
    static func clock() -> UInt64 { NIODeadline.now().uptimeNanoseconds / 1_000 }

    func begin(
        _ options: TransactionOptions, by deadline: Deadline
    ) throws(SteleError) -> any TransactionBackend {
        RemoteTransaction(
            handle: connector.nextHandle(), options: options, deadline: deadline,
            keyspace: keyspace, connector: connector)
    }

    func get(_ key: KeyBytes, by deadline: Deadline) async throws(SteleError) -> [UInt8]? {
        let reply = try await read(.database(keyspace, .get(key)), by: deadline)
        guard case .value(let value) = reply else { throw reply.error }
        return value
    }

    func put(
        _ key: KeyBytes, _ value: [UInt8]?, by deadline: Deadline
    ) async throws(SteleError) {
        let verb = value.map { DatabaseVerb.put(key, $0) } ?? .delete(key)
        let reply = try await write(.database(keyspace, verb), by: deadline)
        guard case .done = reply else { throw reply.error }
    }

    func standBack(upTo most: Duration) async { await connector.standBack(upTo: most) }

    // MARK: Verbs beyond the port

    func compareAndSet(
        _ key: KeyBytes, expected: [UInt8]?, new: [UInt8]?, by deadline: Deadline
    ) async throws(SteleError) -> Bool {
        let verb = DatabaseVerb.compareAndSet(key, expected: expected, new: new)
        let reply = try await write(.database(keyspace, verb), by: deadline)
        guard case .swapped(let isSwapped, _) = reply else { throw reply.error }
        return isSwapped
    }

    func increment(
        _ key: KeyBytes, amount: Int64, by deadline: Deadline
    ) async throws(SteleError) -> Int64 {
        let reply = try await write(
            .database(keyspace, .increment(key, by: amount)), by: deadline)
        guard case .number(let number) = reply else { throw reply.error }
        return number
    }

    func status(by deadline: Deadline) async throws(SteleError) -> StatusReport {
        let reply = try await read(.status, by: deadline)
        guard case .status(let report) = reply else { throw reply.error }
        return report
    }

    func initialize(by deadline: Deadline) async throws(SteleError) {
        let reply = try await write(.initialize, by: deadline)
        guard case .done = reply else { throw reply.error }
    }

    // MARK: Repeating

    private func read(
        _ body: ClientRequest.Body, by deadline: Deadline
    ) async throws(SteleError) -> ClientReply.Body {
        var attempt = 1
        while true {
            if Task.isCancelled { throw LinkFailure.cancelled(isSent: false).withoutEffect }
            guard deadline.timeLeft(from: now) != nil else { throw .timedOut }
            let link = try await connector.link(patience: Self.patience, by: deadline)
            do {
                return try await link.request(body, by: deadline)
            } catch {
                switch error {
                case .notSent, .lost: if attempt == Self.attempts { throw error.withoutEffect }
                case .cancelled, .timedOut, .tooLong: throw error.withoutEffect
                }
            }
            attempt += 1
        }
    }

    private func write(
        _ body: ClientRequest.Body, by deadline: Deadline
    ) async throws(SteleError) -> ClientReply.Body {
        var attempt = 1
        while true {
            if Task.isCancelled { throw LinkFailure.cancelled(isSent: false).withoutEffect }
            guard deadline.timeLeft(from: now) != nil else { throw .timedOut }
            let link = try await connector.link(patience: Self.patience, by: deadline)
            do {
                return try await link.request(body, by: deadline)
            } catch {
                switch error {
                case .notSent: if attempt == Self.attempts { throw error.withoutEffect }
                case .lost, .cancelled, .timedOut: throw error.outcomeUnknown
                case .tooLong: throw error.withoutEffect
                }
            }
            attempt += 1
        }
    }
}

extension ClientReply.Body {
    /// The error that this answer is, or that it is for not being of the kind asked for.
    var error: SteleError {
        if case .failed(let error) = self { return error }
        return SteleError(.protocolViolation, "the node answered something else than was asked")
    }
}

extension LinkFailure {
    /// For a request that changes nothing, or did not get that far.
    var withoutEffect: SteleError {
        switch self {
        case .notSent(let reason), .lost(let reason): SteleError(.unavailable, reason)
        case .cancelled: SteleError(.cancelled, "the call was cancelled")
        case .timedOut(isSent: false): .timedOut
        case .timedOut: SteleError(.timedOut, "no answer came in the time that the call was given")
        case .tooLong(let count):
            SteleError(LimitExceeded(.frameBytes, count: count))
        }
    }

    /// For a request that may have been carried out.
    var outcomeUnknown: SteleError {
        switch self {
        case .lost(let reason):
            SteleError(
                .commitOutcomeUnknown,
                "the answer was lost, so the write may be in effect: \(reason)")
        case .cancelled(isSent: true):
            SteleError(
                .commitOutcomeUnknown, "the call was cancelled after the write had been sent")
        case .timedOut(isSent: true):
            SteleError(
                .commitOutcomeUnknown,
                "no answer to the write came in the time that the call was given")
        case .cancelled, .timedOut, .notSent, .tooLong: withoutEffect
        }
    }
}
