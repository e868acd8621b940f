import SteleSQL
import Synchronization
import Testing

@testable import StelePostgres

/// Back-pressure, cancelling, and ends of connections.
@Suite struct FlowTests {
    typealias Client = ClientMessages

    @Test func aClientThatNeverReadsHoldsItsStatementAndNoMemory() async {
        let inbox = PostgresInbox()
        let log = FakeLog()
        let transport = FakeTransport(afterSend: { if $0 > 200_000 { inbox.setWritable(false) } })
        _ = inbox.receive(Client.startup() + Client.query("rows 1000000"))
        let task = run(inbox, transport, log)
        while transport.bytes.count < 200_000 { await Task.yield() }
        for _ in 0..<1_000 { await Task.yield() }
        let sent = transport.bytes.count
        #expect(sent < 400_000)
        inbox.close()
        await task.value
        #expect(transport.bytes.count == sent)
        #expect(log.all.last == "close")
    }

    @Test func aStatementGoesOnOnceTheClientReads() async {
        let inbox = PostgresInbox()
        // Each piece fills the network, which takes it a moment later.
        let transport = FakeTransport(afterSend: { _ in
            inbox.setWritable(false)
            Task { inbox.setWritable(true) }
        })
        _ = inbox.receive(Client.startup() + Client.query("rows 20000"))
        inbox.endInput()
        await run(inbox, transport, FakeLog()).value
        let lines = ServerMessages(transport.bytes).lines
        #expect(lines.count == 20_000 + 8)
        #expect(lines.suffix(2) == ["C SELECT 20000", "Z I"])
        #expect(transport.writeCount > 8)
    }

    /// It leaves in pieces, and what the client is told of the end comes behind the last of them.
    @Test func anEndInTheMiddleOfALongRowIsNoPartOfIt() async {
        let inbox = PostgresInbox()
        let end = SQLError("57P01", "terminating connection due to administrator command")
        let transport = FakeTransport(afterSend: { if $0 > 2_000_000 { inbox.terminate(end) } })
        _ = inbox.receive(Client.startup() + Client.query("long 5000000"))
        await run(inbox, transport, FakeLog()).value
        #expect(transport.writeCount > 3)
        let lines = ServerMessages(transport.bytes).lines
        #expect(lines.dropLast().last?.utf8.count == "D 1||NULL".utf8.count + 5_000_000)
        #expect(lines.last?.hasPrefix("E FATAL 57P01") == true)
    }

    /// Nobody is there to be sent the rest of it.
    @Test func aClientThatLeavesInTheMiddleOfALongRowIsSentNoMore() async {
        let inbox = PostgresInbox()
        let transport = FakeTransport(afterSend: { if $0 > 2_000_000 { inbox.close() } })
        _ = inbox.receive(Client.startup() + Client.query("long 50000000"))
        await run(inbox, transport, FakeLog()).value
        #expect(transport.bytes.count < 5_000_000)
        #expect(transport.isClosed)
    }

    /// Nobody waited for it to be sent: the statement was cancelled before it did.
    @Test(arguments: ["", "rows 1"])
    func aLongRowOfAFailedStatementLeavesInPieces(next: String) async {
        let inbox = PostgresInbox()
        let largest = Mutex(0)
        let sent = Mutex(0)
        let transport = FakeTransport(afterSend: { count in
            let piece = sent.withLock { before in
                defer { before = count }
                return count - before
            }
            largest.withLock { $0 = max($0, piece) }
        })
        _ = inbox.receive(Client.startup() + Client.query("long 5000000 cancelled"))
        if !next.isEmpty { _ = inbox.receive(Client.query(next)) }
        inbox.endInput()
        await run(inbox, transport, FakeLog()).value
        #expect(largest.withLock(\.self) <= 1 << 20)
        let lines = ServerMessages(transport.bytes).lines
        #expect(lines.contains("E ERROR 57014 canceling statement due to user request"))
        #expect(lines.contains { $0.utf8.count == "D 1||NULL".utf8.count + 5_000_000 })
        #expect(lines.last == "Z I")
    }

    /// A statement that is cancelled while it shows a row that is too long leaves nothing behind.
    @Test func aRowThatIsTooLongFailsNoLaterStatement() {
        let connection = PostgresConnection(
            inbox: PostgresInbox(), transport: FakeTransport(), service: fakeService())
        connection.isRowTooLong = true
        #expect(connection.isFull)
        connection.columns([])
        #expect(!connection.isFull)
    }

    @Test func manyAnswersWithoutSyncAreBoundedToo() async {
        let inbox = PostgresInbox()
        let transport = FakeTransport(afterSend: { if $0 > 100_000 { inbox.setWritable(false) } })
        _ = inbox.receive(Client.startup() + Client.parse("s", "rows 1"))
        let task = run(inbox, transport, FakeLog())
        let piece = Array(
            repeatElement(Client.bind("", "s") + Client.execute(), count: 1_000).joined())
        var accepted = 0
        while inbox.receive(piece), accepted < 1_000 {
            accepted += 1
            await Task.yield()
        }
        #expect(accepted < 1_000)
        #expect(transport.bytes.count < 300_000)
        inbox.close()
        await task.value
    }

    @Test func messagesThatNeverArriveInFullAreNotCollectedWithoutEnd() async {
        var configuration = PostgresService.Configuration()
        configuration.unreadBytes = 1 << 20
        let log = FakeLog()
        let service = PostgresService(configuration, secret: { 1 }) { _ in FakeSession(log) }
        let long = Client.query(String(repeating: " ", count: 600_000)).dropLast()
        var tasks: [Task<Void, Never>] = []
        var inboxes: [PostgresInbox] = []
        var transports: [FakeTransport] = []
        for _ in 0..<3 {
            let (inbox, transport) = (PostgresInbox(), FakeTransport())
            _ = inbox.receive(Client.startup() + long)
            inboxes.append(inbox)
            transports.append(transport)
            tasks.append(
                Task {
                    await PostgresConnection(
                        inbox: inbox, transport: transport, service: service
                    ).run()
                })
            while transport.bytes.isEmpty { await Task.yield() }
            for _ in 0..<100 { await Task.yield() }
        }
        let ends = transports.map { ServerMessages($0.bytes).lines.last ?? "" }
        #expect(ends[0] == "Z I" && ends[1].contains("53200") && ends[2].contains("53200"))
        // Short messages have room at any time, and long ones once the others are gone.
        inboxes[0].close()
        for task in tasks { await task.value }
        let (inbox, transport) = (PostgresInbox(), FakeTransport())
        _ = inbox.receive(Client.startup() + long + [0] + Client.query("rows 1"))
        inbox.endInput()
        await PostgresConnection(inbox: inbox, transport: transport, service: service).run()
        #expect(ServerMessages(transport.bytes).lines.suffix(2) == ["C SELECT 1", "Z I"])
    }

    /// What was read for the last statement of an idle client is held no more.
    @Test func idleClientsHoldNothing() async {
        var configuration = PostgresService.Configuration()
        configuration.unreadBytes = 1 << 20
        let log = FakeLog()
        let service = PostgresService(configuration, secret: { 1 }) { _ in FakeSession(log) }
        var clients: [(inbox: PostgresInbox, task: Task<Void, Never>)] = []
        for _ in 0..<4 {
            let (inbox, transport) = (PostgresInbox(), FakeTransport())
            let task = Task {
                await PostgresConnection(
                    inbox: inbox, transport: transport, service: service
                ).run()
            }
            clients.append((inbox, task))
            _ = inbox.receive(
                Client.startup() + Client.query(String(repeating: " ", count: 600_000)))
            func lines() -> [String] { ServerMessages(transport.bytes).lines }
            for _ in 0..<100_000 where lines().filter({ $0 == "Z I" }).count < 2 {
                await Task.yield()
            }
            #expect(lines().filter { $0 == "Z I" }.count == 2)
            for _ in 0..<100 { await Task.yield() }
        }
        for client in clients { client.inbox.close() }
        for client in clients { await client.task.value }
    }

    @Test func receivingPausesAndResumes() async {
        let inbox = PostgresInbox()
        let transport = FakeTransport()
        #expect(inbox.receive(Client.startup()))
        let big = Client.query(String(repeating: ";", count: PostgresInbox.pauseBytes))
        #expect(!inbox.receive(big))
        inbox.endInput()
        await run(inbox, transport, FakeLog()).value
        #expect(transport.resumes == 1)
        #expect(ServerMessages(transport.bytes).lines.last == "Z I")
    }

    @Test func aCancelRequestNeedsTheRightKey() async {
        let log = FakeLog()
        let service = fakeService(log)
        let inbox = PostgresInbox()
        let transport = FakeTransport()
        _ = inbox.receive(Client.startup() + Client.query("wait"))
        let task = Task {
            await PostgresConnection(inbox: inbox, transport: transport, service: service).run()
        }
        while !log.all.contains("waiting") { await Task.yield() }
        let secret: Int32 = 0x0102_0304
        for (processID, secret) in [(1, 5), (2, secret), (1, secret)] as [(Int32, Int32)] {
            for _ in 0..<100 { await Task.yield() }
            #expect(!ServerMessages(transport.bytes).lines.contains { $0.hasPrefix("E") })
            let canceller = PostgresInbox()
            let silence = FakeTransport()
            _ = canceller.receive(Client.cancel(processID, secret))
            await PostgresConnection(
                inbox: canceller, transport: silence, service: service
            ).run()
            #expect(silence.bytes.isEmpty)
            #expect(silence.isClosed)
        }
        _ = inbox.receive(Client.terminate)
        await task.value
        #expect(
            ServerMessages(transport.bytes).lines.suffix(2) == [
                "E ERROR 57014 canceling statement due to user request", "Z I",
            ])
    }

    @Test func aShutdownEndsIdleAndBusySessionsWithOneError() async {
        let log = FakeLog()
        let service = fakeService(log)
        var tasks: [Task<Void, Never>] = []
        let transports = [FakeTransport(), FakeTransport(), FakeTransport()]
        let inputs = [[], Client.query("wait"), Client.query("copy")]
        for (transport, input) in zip(transports, inputs) {
            let inbox = PostgresInbox()
            _ = inbox.receive(Client.startup() + input)
            tasks.append(
                Task {
                    await PostgresConnection(
                        inbox: inbox, transport: transport, service: service
                    ).run()
                })
        }
        while !(log.all.contains("waiting") && log.all.contains("query copy"))
            || service.sessionCount < 3
        { await Task.yield() }
        await service.shutDown()
        for task in tasks { await task.value }
        for transport in transports {
            let errors = ServerMessages(transport.bytes).lines.filter { $0.hasPrefix("E") }
            #expect(
                errors == ["E FATAL 57P01 terminating connection due to administrator command"])
            #expect(transport.isClosed)
        }
        let late = FakeTransport()
        await PostgresConnection(
            inbox: PostgresInbox(), transport: late, service: service
        ).run()
        #expect(late.isClosed)
    }

    @Test func aLostClientCancelsItsStatement() async {
        let log = FakeLog()
        let inbox = PostgresInbox()
        _ = inbox.receive(Client.startup() + Client.query("wait"))
        let task = run(inbox, FakeTransport(), log)
        while !log.all.contains("waiting") { await Task.yield() }
        inbox.close()
        await task.value
        #expect(log.all.last == "close")
    }

    @Test func answersLeaveBeforeALaterStatementWaits() async {
        let log = FakeLog()
        let inbox = PostgresInbox()
        let transport = FakeTransport()
        _ = inbox.receive(Client.startup() + Client.query("rows 1") + Client.query("wait"))
        let task = run(inbox, transport, log)
        while !log.all.contains("waiting") { await Task.yield() }
        #expect(ServerMessages(transport.bytes).lines.suffix(2) == ["C SELECT 1", "Z I"])
        inbox.close()
        await task.value
    }

    private func run(
        _ inbox: PostgresInbox, _ transport: FakeTransport, _ log: FakeLog
    ) -> Task<Void, Never> {
        let service = fakeService(log)
        return Task {
            await PostgresConnection(inbox: inbox, transport: transport, service: service).run()
        }
    }
}
