import NIOCore
import NIOPosix
import SteleAPI
import StelePostgres
import SteleSQL
import Testing

/// The server over real sockets.
@Suite struct ServerTests {
    typealias Client = ClientMessages

    @Test func aSessionOverASocket() async throws {
        try await withServer { server, port in
            let client = try await SocketClient.connect(port)
            for byte in Client.startup() { client.send([byte]) }
            try await client.wait(for: "Z")
            client.send(Client.query("rows 3") + Client.query("begin"))
            try await client.wait(for: "Z", count: 3)
            #expect(client.lines.suffix(3) == ["Z I", "C BEGIN", "Z T"])
            client.send(Client.terminate)
            try await client.ended()
            #expect(server.service.sessionCount == 0)
        }
    }

    @Test func aClientThatHalfClosesGetsAllItsAnswers() async throws {
        try await withServer { _, port in
            let client = try await SocketClient.connect(
                port, sending: Client.startup() + Client.query("rows 20000"))
            client.endOutput()
            try await client.ended()
            #expect(client.lines.suffix(2) == ["C SELECT 20000", "Z I"])
        }
    }

    @Test func aBrokenMessageIsAnsweredBeforeTheConnectionCloses() async throws {
        try await withServer { _, port in
            let client = try await SocketClient.connect(
                port, sending: Client.startup() + Client.message("z"))
            try await client.ended()
            #expect(client.lines.last == "E FATAL 08P01 invalid frontend message type 122")
        }
    }

    @Test func aClientThatNeverReadsDoesNotDisturbOthers() async throws {
        let log = FakeLog()
        try await withServer(log) { server, port in
            let deaf = try await SocketClient.connect(
                port, reads: false, sending: Client.startup() + Client.query("rows 100000000"))
            for _ in 0..<2_000 where server.service.sessionCount < 1 {
                try await Task.sleep(for: .milliseconds(5))
            }
            let client = try await SocketClient.connect(port, sending: Client.startup())
            try await client.wait(for: "Z")
            for count in 2..<20 {
                client.send(Client.query("rows 1"))
                try await client.wait(for: "Z", count: count)
            }
            #expect(server.service.sessionCount == 2)
            try await deaf.reset()
            for _ in 0..<2_000 where server.service.sessionCount > 1 {
                try await Task.sleep(for: .milliseconds(5))
            }
            #expect(server.service.sessionCount == 1)
            #expect(log.all.last == "close")
        }
    }

    @Test func aCancelReachesTheStatementAndIsNotAnswered() async throws {
        let log = FakeLog()
        try await withServer(log) { _, port in
            let client = try await SocketClient.connect(port, sending: Client.startup())
            try await client.wait(for: "Z")
            client.send(Client.query("wait"))
            for _ in 0..<2_000 where !log.all.contains("waiting") {
                try await Task.sleep(for: .milliseconds(5))
            }
            let key = try #require(client.key)
            let canceller = try await SocketClient.connect(
                port, sending: Client.cancel(key.0, key.1))
            try await canceller.ended()
            #expect(canceller.byteCount == 0)
            try await client.wait(for: "Z", count: 2)
            #expect(client.lines.suffix(2).first?.hasPrefix("E ERROR 57014") == true)
        }
    }

    @Test func aShutdownTellsEveryClient() async throws {
        let log = FakeLog()
        try await withServer(log) { server, port in
            let idle = try await SocketClient.connect(port, sending: Client.startup())
            let busy = try await SocketClient.connect(
                port, sending: Client.startup() + Client.query("wait"))
            let silent = try await SocketClient.connect(port)
            try await idle.wait(for: "Z")
            try await busy.wait(for: "Z")
            for _ in 0..<2_000 where !log.all.contains("waiting") {
                try await Task.sleep(for: .milliseconds(5))
            }
            await server.shutDown()
            for client in [idle, busy, silent] { try await client.ended() }
            let goodbye = "E FATAL 57P01 terminating connection due to administrator command"
            #expect(idle.lines.last == goodbye)
            #expect(busy.lines.last == goodbye)
            await #expect(throws: (any Error).self) { try await SocketClient.connect(port) }
        }
    }

    @Test func aShutdownDoesNotWaitForAClientThatDoesNotRead() async throws {
        let log = FakeLog()
        try await withServer(log) { server, port in
            let deaf = try await SocketClient.connect(
                port, reads: false,
                sending: Client.startup() + Client.query("rows 1000000"))
            for _ in 0..<2_000 where server.service.sessionCount == 0 {
                try await Task.sleep(for: .milliseconds(5))
            }
            // Until the sockets are full.
            try await Task.sleep(for: .milliseconds(500))
            let began = ContinuousClock.now
            await server.shutDown()
            #expect(began.duration(to: .now) < .seconds(4))
            deaf.close()
        }
    }

    @Test func anOpeningHasItsTime() async throws {
        var timeouts = PostgresServer.Timeouts()
        timeouts.opening = .seconds(3)
        try await withServer(timeouts: timeouts) { _, port in
            let silent = try await SocketClient.connect(port)
            let slow = try await SocketClient.connect(port, sending: [0, 0])
            let client = try await SocketClient.connect(port, sending: Client.startup())
            try await silent.ended()
            try await slow.ended()
            try await client.wait(for: "Z")
            client.send(Client.query("rows 1"))
            try await client.wait(for: "Z", count: 2)
        }
    }

    @Test func manySilentConnectionsDoNotKeepOthersOut() async throws {
        try await withServer { _, port in
            var silent: [SocketClient] = []
            for _ in 0..<150 { silent.append(try await SocketClient.connect(port)) }
            let client = try await SocketClient.connect(port, sending: Client.startup())
            try await client.wait(for: "Z")
            for connection in silent { connection.close() }
        }
    }

    @Test func anExecutorOnAnotherThreadWorksToo() async throws {
        let other = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let executor = LoopExecutor(other.next())
        try await withServer(executor: { _ in executor }) { _, port in
            let client = try await SocketClient.connect(
                port, sending: Client.startup() + Client.query("rows 20000"))
            try await client.wait(for: "Z", count: 2)
            #expect(client.lines.suffix(2) == ["C SELECT 20000", "Z I"])
            client.send(
                Array(repeatElement(Client.query("rows 1"), count: 2_000).joined()))
            client.endOutput()
            try await client.ended()
            #expect(client.lines.filter { $0 == "Z I" }.count == 2_002)
        }
        try await other.shutdownGracefully()
    }

    @Test func aPortInUseIsAnErrorThatNamesTheAddress() async throws {
        try await withServer { _, port in
            let error = await #expect(throws: SteleError.self) {
                try await Self.bind(port: port)
            }
            #expect(error?.code == .configuration)
            #expect(error?.message.contains("127.0.0.1:\(port)") == true)
        }
    }

    private static func bind(
        _ log: FakeLog = FakeLog(), port: Int = 0,
        timeouts: PostgresServer.Timeouts = PostgresServer.Timeouts(),
        executor: @escaping @Sendable (any EventLoop) -> any TaskExecutor = { LoopExecutor($0) }
    ) async throws -> PostgresServer {
        try await PostgresServer.bind(
            group: .singletonMultiThreadedEventLoopGroup, host: "127.0.0.1", port: port,
            service: fakeService(log), timeouts: timeouts, executor: executor)
    }

    private func withServer(
        _ log: FakeLog = FakeLog(), timeouts: PostgresServer.Timeouts = PostgresServer.Timeouts(),
        executor: @escaping @Sendable (any EventLoop) -> any TaskExecutor = { LoopExecutor($0) },
        _ body: (PostgresServer, Int) async throws -> Void
    ) async throws {
        let server = try await Self.bind(log, timeouts: timeouts, executor: executor)
        do {
            try await body(server, try #require(server.port))
        } catch {
            await server.shutDown()
            throw error
        }
        await server.shutDown()
    }
}
