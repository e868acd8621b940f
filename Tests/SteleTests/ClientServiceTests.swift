import Logging
import NIOCore
import NIOPosix
import SteleAPI
import SteleBase
import SteleTransaction
import SteleWire
import Synchronization
import Testing

@testable import Stele

/// What becomes of requests for which a node has no room.
@Suite struct ClientServiceTests {
    /// The service of a node that has no core yet, so that nothing is read or committed.
    private final class Front: Sendable {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let pool = NIOThreadPool(numberOfThreads: 1)
        let memory = BufferedBytes(limit: 8_000)
        private let service: ClientService
        private let connection = Connection()

        private final class Connection: Sendable {}

        init() {
            let numbers = TransactionNumbers()
            numbers.join()
            numbers.start(node: NodeID(1), at: 1)
            numbers.extend(to: 100)
            let loop = group.next()
            let host = NodeHost(
                loop: loop, executor: LoopExecutor(loop: loop), pool: pool, readPool: pool,
                logPool: pool, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, numbers: numbers)
            service = ClientService(
                host: host,
                port: HostPort(host: host, numbers: numbers, readers: OpenReaders()),
                memory: memory)
        }

        func ask(_ verb: DatabaseVerb) async throws -> ClientReply.Body {
            let promise = group.next().makePromise(of: ClientReply.Body.self)
            promise.futureResult.eventLoop.execute {
                self.service.handle(verb, in: .user, of: ObjectIdentifier(self.connection)) {
                    promise.succeed($0)
                }
            }
            return try await promise.futureResult.get()
        }

        func step(
            _ effects: [TransactionStep.Effect], _ action: TransactionStep.Action,
            begins: Bool = false
        ) async throws -> ClientReply.Body {
            try await ask(
                .transaction(
                    TransactionStep(
                        handle: 1, begin: begins ? TransactionOptions() : nil, effects: effects,
                        action: action)))
        }

        func stop() async throws { try await group.shutdownGracefully() }
    }

    private func expectOverload(
        _ reply: ClientReply.Body, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        guard case .failed(let error) = reply else {
            Issue.record("it was answered", sourceLocation: sourceLocation)
            return
        }
        #expect(
            error.code == .overloaded && error.message.contains("Limits.bufferedBytes"),
            "\(error)", sourceLocation: sourceLocation)
    }

    private let large = [UInt8](repeating: 1, count: 9_000)

    @Test func `what does not fit is refused, and what was refused holds nothing`() async throws {
        let front = Front()
        expectOverload(try await front.ask(.put([1], large)))
        expectOverload(try await front.ask(.get(large)))
        let scan = ScanRequest(range: KeyRange(key: large), limit: 1, reverse: false)
        expectOverload(try await front.ask(.scan(scan)))
        expectOverload(try await front.ask(.compareAndSet([1], expected: large, new: nil)))
        guard case .failed(let error) = try await front.ask(.put([1], [1])) else {
            Issue.record("there is no core to answer")
            return
        }
        #expect(error.code == .unavailable)
        #expect(front.memory.held == 0)
        try await front.stop()
    }

    @Test func `a transaction that misses a step commits nothing`() async throws {
        let front = Front()
        guard case .done = try await front.step([.write([1], [1])], .none, begins: true) else {
            Issue.record("it did not begin")
            return
        }
        expectOverload(try await front.step([.write([2], large)], .none))
        expectOverload(try await front.step([], .get([[1]])))
        expectOverload(try await front.step([], .commit))
        #expect(front.memory.held == 0)
        // A commit that brings too much is one step too, and the last.
        _ = try await front.step([.write([1], [1])], .none, begins: true)
        expectOverload(try await front.step([.write([2], large)], .commit))
        guard case .failed(let error) = try await front.step([], .commit) else {
            Issue.record("it was still there")
            return
        }
        #expect(error.code == .transactionClosed)
        #expect(front.memory.held == 0)
        try await front.stop()
    }
}
