import SteleAPI
import SteleBase
import SteleTablet
import SteleTransaction
import SteleWire

/// Carries out what clients ask for over the network: single operations, and steps of transactions.
///
/// Lives on the node's loop; tasks that wait run there too. Transactions belong to the connection
/// that began them and are rolled back with it.
final class ClientService: @unchecked Sendable {
    // Safety: touched on the loop only; its tasks run on the loop's executor.
    private let host: NodeHost
    private let port: HostPort
    private let memory: BufferedBytes
    private var transactions: [ObjectIdentifier: [UInt64: RemoteTransaction]] = [:]

    /// Sends the reply to one request.
    typealias Answer = @Sendable (ClientReply.Body) -> Void

    /// - Parameter memory: shared by all transactions of the node.
    init(host: NodeHost, port: HostPort, memory: BufferedBytes) {
        self.host = host
        self.port = port
        self.memory = memory
    }

    func handle(
        _ verb: DatabaseVerb, in keyspace: ClientKeyspace, of connection: ObjectIdentifier,
        answer: @escaping Answer
    ) {
        guard let keyspace = Keyspace(rawValue: keyspace.rawValue) else { return }
        let bytes = verb.heldBytes
        do throws(SteleError) {
            try memory.add(bytes)
        } catch {
            return refuse(verb, of: connection, error, answer)
        }
        perform(verb, keyspace, of: connection) { [memory] reply in
            memory.remove(bytes)
            answer(reply.fromNode)
        }
    }

    /// There is no room for a request. A step cannot be left out of its transaction, which fails;
    /// but what only ends one needs no room.
    private func refuse(
        _ verb: DatabaseVerb, of connection: ObjectIdentifier, _ error: SteleError,
        _ answer: @escaping Answer
    ) {
        guard case .transaction(let step) = verb else { return answer(.failed(error)) }
        if step.action == .commit || step.action == .rollback {
            transactions[connection]?.removeValue(forKey: step.handle)?.rollback()
        } else {
            transactions[connection]?[step.handle]?.fail(error)
        }
        answer(step.action == .rollback ? .done : .failed(error))
    }

    private func perform(
        _ verb: DatabaseVerb, _ keyspace: Keyspace, of connection: ObjectIdentifier,
        _ answer: @escaping Answer
    ) {
        switch verb {
        case .get(let key):
            send(.read(keys: [keyspace.key(key)], at: nil), as: .none) { reply in
                if case .values(let values, _) = reply, values.count == 1 {
                    answer(.value(values[0]))
                } else {
                    answer(.failed(reply.error))
                }
            }
        case .put(let key, let value): put(keyspace.key(key), value, answer)
        case .delete(let key): put(keyspace.key(key), nil, answer)
        case .scan(let scan):
            run(keyspace, answer) { transaction throws(SteleError) in
                .page(
                    try await transaction.scan(
                        scan.range, limit: scan.limit, reverse: scan.reverse))
            }
        case .compareAndSet(let key, let expected, let new):
            run(keyspace, answer) { transaction throws(SteleError) in
                let current = try await transaction.get([key])[0]
                guard current == expected else { return .swapped(false, current: current) }
                try transaction.write(key, new)
                return .swapped(true, current: new)
            }
        case .increment(let key, let by):
            run(keyspace, answer) { transaction throws(SteleError) in
                let sum = try Self.sum(of: await transaction.get([key])[0], and: by)
                try transaction.write(key, Array("\(sum)".utf8))
                return .number(sum)
            }
        case .transaction(let step):
            self.step(step, keyspace, of: connection, answer)
        }
    }

    /// The client is gone: what it began is rolled back.
    func closed(_ connection: ObjectIdentifier) {
        guard let open = transactions.removeValue(forKey: connection) else { return }
        for handle in open.keys.sorted() { open[handle]?.rollback() }
    }

    private func put(_ key: KeyBytes, _ value: [UInt8]?, _ answer: @escaping Answer) {
        guard key.count <= Limits.keyBytes + 1 else {
            return answer(.failed(.keyTooLong(key.count - 1)))
        }
        if let value, value.count > Limits.valueBytes {
            return answer(.failed(.valueTooLong(value.count)))
        }
        do {
            let id = try port.nextTransaction()
            send(.commit(.init(writes: [.init(key: key, value: value)])), as: id) { reply in
                if case .committed = reply { answer(.done) } else { answer(.failed(reply.error)) }
            }
        } catch {
            answer(.failed(error))
        }
    }

    private func send(
        _ body: TabletRequest.Body, as transaction: TransactionID,
        _ callback: @escaping @Sendable (TabletReply) -> Void
    ) {
        host.post(
            .submit(
                TabletRequest(transaction: transaction, body: body), Self.timeout,
                token: host.nextToken(), .callback(callback)))
    }

    /// Runs `body` as one transaction, again after a conflict, and answers with its result.
    private func run(
        _ keyspace: Keyspace, _ answer: @escaping Answer,
        _ body: @escaping @Sendable (any TransactionBackend) async throws(SteleError) ->
            ClientReply.Body
    ) {
        let backend = KernelBackend(port: port, keyspace: keyspace, memory: memory)
        Task(executorPreference: host.executor) {
            for attempt in 0... {
                do {
                    let transaction = try backend.begin(TransactionOptions())
                    let result = try await body(transaction)
                    try await transaction.commit()
                    return answer(result)
                } catch let error as SteleError {
                    guard error.code == .conflict || error.code == .deadlock, attempt < 100 else {
                        return answer(.failed(error))
                    }
                } catch {
                    return answer(.failed(SteleError(.protocolViolation, "\(error)")))
                }
            }
        }
    }

    private static func sum(of value: [UInt8]?, and by: Int64) throws(SteleError) -> Int64 {
        guard let value else { return by }
        guard let text = String(validating: value, as: UTF8.self), let number = Int64(text) else {
            throw SteleError(.valueMismatch, "the value is no whole number")
        }
        let (sum, overflow) = number.addingReportingOverflow(by)
        guard !overflow else { throw SteleError(.valueMismatch, "the sum exceeds 64 bits") }
        return sum
    }

    private func step(
        _ step: TransactionStep, _ keyspace: Keyspace, of connection: ObjectIdentifier,
        _ answer: @escaping Answer
    ) {
        if let options = step.begin {
            do {
                guard transactions[connection]?[step.handle] == nil else {
                    throw SteleError(.protocolViolation, "the transaction has begun already")
                }
                let open = transactions[connection]?.count ?? 0
                guard open < Limits.openTransactions else {
                    throw SteleError(LimitExceeded(.openTransactions, count: open + 1))
                }
                let backend = KernelBackend(port: port, keyspace: keyspace, memory: memory)
                transactions[connection, default: [:]][step.handle] = RemoteTransaction(
                    try backend.begin(options), executor: host.executor)
            } catch let error as SteleError {
                return answer(.failed(error))
            } catch {
                return answer(.failed(SteleError(.protocolViolation, "\(error)")))
            }
        }
        guard let transaction = transactions[connection]?[step.handle] else {
            return answer(.failed(.transactionClosed))
        }
        if step.action == .commit || step.action == .rollback {
            transactions[connection]?[step.handle] = nil
        }
        transaction.enqueue(step, answer)
    }

    private static let timeout = TransactionOptions.defaultCallTimeout
}

extension ClientReply.Body {
    /// That one node is stopped means to its client that another has to be asked.
    fileprivate var fromNode: ClientReply.Body {
        guard case .failed(let error) = self, error.code == .stopped else { return self }
        return .failed(SteleError(.unavailable, error.message))
    }
}
