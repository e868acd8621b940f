import Logging
import NIOCore
import NIOPosix
import SteleAPI
import SteleBase
import SteleCluster
import SteleTransport
import SteleWire
import Synchronization
import Testing

/// A server that speaks the client protocol over real sockets in front of a ``FakeStore``.
final class FakeNode: Sendable {
    let store: FakeStore
    let address: String
    private let service: Service
    private let transport: Transport
    private let group: MultiThreadedEventLoopGroup

    /// What to do with a request instead of answering it.
    enum Fault: Sendable {
        case none
        /// Carry it out, but close the connection instead of answering.
        case loseReply
        case ignore
    }

    private init(
        store: FakeStore, address: String, service: Service, transport: Transport,
        group: MultiThreadedEventLoopGroup
    ) {
        self.store = store
        self.address = address
        self.service = service
        self.transport = transport
        self.group = group
    }

    static func start(
        _ id: UInt64 = 1, store: FakeStore = FakeStore(), cluster: UInt64 = 1,
        listen: String = "127.0.0.1:0",
        fault: @escaping @Sendable (ClientRequest.Body) -> Fault = { _ in .none }
    ) async throws -> FakeNode {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let service = Service(store: store, fault: fault)
        let introduction = Introduction(
            cluster: UniqueID(high: 0, low: cluster), node: NodeID(id),
            instance: UniqueID(high: 1, low: id), info: NodeInfo())
        let transport = Transport(
            loop: group.next(), random: SeededRandom(seed: id),
            logger: Logger(label: "fake", factory: { _ in SwiftLogNoOpLogHandler() }),
            delegate: service
        ) { introduction }
        let address = try await transport.listen(on: NetworkAddress(parsing: listen))
        return FakeNode(
            store: store, address: "\(address)", service: service, transport: transport,
            group: group)
    }

    func stop() async throws {
        await transport.shutdown()
        try await group.shutdownGracefully()
    }

    /// All requests that have arrived.
    var requests: [ClientRequest.Body] { service.state.withLock { $0.requests } }

    /// The actions of all steps of transactions that have arrived.
    var actions: [TransactionStep.Action] {
        requests.compactMap {
            if case .database(_, .transaction(let step)) = $0 { step.action } else { nil }
        }
    }

    var openTransactions: Int { service.state.withLock { $0.transactions.count } }

    private final class Service: TransportDelegate, Sendable {
        struct State {
            var requests: [ClientRequest.Body] = []
            var transactions: [Handle: Open] = [:]
        }

        struct Handle: Hashable {
            var connection: UInt64
            var handle: UInt64
        }

        struct Open {
            var transaction: FakeTransaction
            var savepoints: [UInt64: Int] = [:]
            var failure: SteleError?
        }

        let state = Mutex(State())
        private let store: FakeStore
        private let fault: @Sendable (ClientRequest.Body) -> Fault

        init(store: FakeStore, fault: @escaping @Sendable (ClientRequest.Body) -> Fault) {
            self.store = store
            self.fault = fault
        }

        func request(_ request: ClientRequest, from connection: ClientConnection) {
            state.withLock { $0.requests.append(request.body) }
            let fault = fault(request.body)
            if case .ignore = fault { return }
            let body: ClientReply.Body
            do throws(SteleError) {
                body = try answer(request.body, connection.id)
            } catch {
                body = .failed(error)
            }
            if case .loseReply = fault { return connection.close("a test wants it") }
            connection.send(ClientReply(id: request.id, body: body))
        }

        private func answer(
            _ body: ClientRequest.Body, _ connection: UInt64
        ) throws(SteleError) -> ClientReply.Body {
            switch body {
            case .status:
                return .status(
                    StatusReport(cluster: UniqueID(high: 0, low: 1), nodes: [], tablets: []))
            case .initialize: return .done
            case .bootstrap: throw SteleError(.unsupported, "no client does this")
            case .database(_, let verb): return try answer(verb, connection)
            }
        }

        private func answer(
            _ verb: DatabaseVerb, _ connection: UInt64
        ) throws(SteleError) -> ClientReply.Body {
            let transaction = store.begin(TransactionOptions())
            switch verb {
            case .get(let key): return .value(transaction.get([key])[0])
            case .put(let key, let value): try transaction.write(key, value)
            case .delete(let key): try transaction.write(key, nil)
            case .scan(let scan):
                return .page(
                    transaction.scan(
                        scan.range, limit: scan.limit, reverse: scan.reverse,
                        seeing: scan.writes))
            case .compareAndSet(let key, let expected, let new):
                let current = transaction.get([key])[0]
                guard current == expected else { return .swapped(false, current: current) }
                try transaction.write(key, new)
                _ = try transaction.commit()
                return .swapped(true, current: new)
            case .increment(let key, let by):
                let text = transaction.get([key])[0].map { String(decoding: $0, as: UTF8.self) }
                guard let number = Int64(text ?? "0") else {
                    throw SteleError(.valueMismatch, "the value is no whole number")
                }
                try transaction.write(key, Array("\(number + by)".utf8))
                _ = try transaction.commit()
                return .number(number + by)
            case .transaction(let step):
                return try answer(step, Handle(connection: connection, handle: step.handle))
            }
            _ = try transaction.commit()
            return .done
        }

        private func answer(
            _ step: TransactionStep, _ handle: Handle
        ) throws(SteleError) -> ClientReply.Body {
            if let options = step.begin {
                state.withLock {
                    $0.transactions[handle] = Open(transaction: store.begin(options))
                }
            }
            guard var open = state.withLock({ $0.transactions[handle] }) else {
                throw .transactionClosed
            }
            defer {
                let isOver = step.action == .commit || step.action == .rollback
                state.withLock { $0.transactions[handle] = isOver ? nil : open }
            }
            if step.action == .rollback { return .done }
            if let failure = open.failure { throw failure }
            do throws(SteleError) {
                for effect in step.effects {
                    switch effect {
                    case .write(let key, let value): try open.transaction.write(key, value)
                    case .beginStatement, .expect: break
                    case .savepoint(let number):
                        open.savepoints[number] = open.transaction.position
                    case .rollbackTo(let number):
                        open.transaction.rollback(to: open.savepoints[number] ?? 0)
                    }
                }
            } catch {
                open.failure = error
                throw error
            }
            switch step.action {
            case .none, .rollback: return .done
            case .get(let keys): return .values(open.transaction.get(keys))
            case .scan(let scan):
                return .page(
                    open.transaction.scan(
                        scan.range, limit: scan.limit, reverse: scan.reverse,
                        seeing: scan.writes))
            case .lock(let keys, _, _, let others):
                return .locked(
                    open.transaction.get(keys).map { LockedValue(isLocked: true, value: $0) }
                        + open.transaction.get(others).map {
                            LockedValue(isLocked: false, value: $0)
                        })
            case .commit: return .committed(try open.transaction.commit())
            }
        }

        func closed(_ connection: ClientConnection) {
            state.withLock { state in
                state.transactions = state.transactions.filter {
                    $0.key.connection != connection.id
                }
            }
        }

        func refusal(of hello: Hello) -> Refusal? { nil }
        func received(_ messages: [PeerMessage], from node: NodeID) {}
        func connected(to node: NodeID) {}
        func disconnected(from node: NodeID) {}
        func peerInfo(_ info: NodeInfo, of node: NodeID) {}
    }
}

/// Waits until `condition` holds, for as long as a loaded machine may need.
func eventually(
    _ what: Comment, sourceLocation: SourceLocation = #_sourceLocation,
    _ condition: () -> Bool
) async throws {
    for _ in 0..<2_000 {
        if condition() { return }
        try await Task.sleep(for: .milliseconds(5))
    }
    Issue.record(what, sourceLocation: sourceLocation)
}
