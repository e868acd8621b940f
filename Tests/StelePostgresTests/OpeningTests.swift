import StelePostgres
import SteleSQL
import Testing

@Suite struct OpeningTests {
    typealias Client = ClientMessages

    @Test func aSessionBeginsAsClientsExpect() async {
        let log = FakeLog()
        let startup = Client.startup([
            "user": "postgres", "database": "postgres", "application_name": "psql",
            "options": "-c a=1 --b-c=x\\ y -cd=", "client_encoding": "UTF8",
        ])
        let lines = await conversation(startup, Client.terminate, log: log)
        #expect(
            lines == [
                "R 0,0,0,0", "S server_version=15.0", "S client_encoding=UTF8",
                "K 0,0,0,1,1,2,3,4", "Z I",
            ])
        #expect(
            log.all == [
                "setting application_name=psql", "setting a=1", "setting b_c=x y", "setting d=",
                "setting client_encoding=UTF8", "close",
            ])
    }

    @Test func encryptionIsRefusedAndTheClientGoesOn() async {
        let inbox = PostgresInbox()
        let transport = FakeTransport(afterSend: { count in
            // What a client does that waits for each answer.
            switch count {
            case 1: _ = inbox.receive(ClientMessages.gssRequest)
            case 2: _ = inbox.receive(ClientMessages.startup() + ClientMessages.terminate)
            default: break
            }
        })
        _ = inbox.receive(Client.sslRequest)
        await PostgresConnection(
            inbox: inbox, transport: transport, service: fakeService()
        ).run()
        let lines = ServerMessages(transport.bytes, answers: 2).lines
        #expect(lines.prefix(3) == ["N?", "N?", "R 0,0,0,0"])
        #expect(lines.last == "Z I")
        #expect(transport.isClosed)
    }

    @Test func clearTextBehindAnEncryptionRequestIsNotTaken() async {
        for rest in [Client.startup(), Client.query("select 1"), Client.sslRequest, [0]] {
            let inbox = PostgresInbox()
            let transport = FakeTransport()
            _ = inbox.receive(Client.sslRequest + rest)
            await PostgresConnection(
                inbox: inbox, transport: transport, service: fakeService()
            ).run()
            let lines = ServerMessages(transport.bytes, answers: 1).lines
            #expect(
                lines == ["N?", "E FATAL 08P01 received unencrypted data after SSL request"])
        }
    }

    @Test func newerMinorVersionsAndUnknownOptionsAreNegotiated() async {
        let lines = await conversation(
            Client.startup(["user": "postgres", "_pq_.a": "1"], minor: 9999), Client.terminate)
        #expect(lines.first == "v 0,3,0,0,0,0,0,1,95,112,113,95,46,97,0")
        #expect(lines.last == "Z I")
        let plain = await conversation(
            Client.startup(["user": "postgres"], minor: 2), Client.terminate)
        #expect(plain.first == "v 0,3,0,0,0,0,0,0")
    }

    @Test(
        arguments: [
            (Client.startup(["user": "eve"]), "28000 role \"eve\" does not exist"),
            (
                Client.startup(["user": ""]),
                "28000 no PostgreSQL user name specified in startup packet"
            ),
            (
                Client.startup(["database": "postgres"]),
                "28000 no PostgreSQL user name specified in startup packet"
            ),
            (
                Client.startup(["user": "postgres", "database": "other"]),
                "3D000 database \"other\" does not exist"
            ),
            (
                Client.startup(["user": "postgres", "user": "eve"]),
                "28000 role \"eve\" does not exist"
            ),
            (
                Client.startup(["user": "postgres", "replication": "database"]),
                "0A000 replication is not supported"
            ),
            (
                Client.startup(["user": "postgres", "options": "what=1"]),
                "42601 invalid command-line argument for server process: what=1"
            ),
            (
                Client.startup(["user": "postgres", "options": "-c"]),
                "42601 invalid command-line argument for server process: -c"
            ),
            (
                Client.startup(["user": "postgres", "bad": "1"]),
                "42704 unrecognized configuration parameter \"bad\""
            ),
            (
                Client.packet(Client.int32(2 << 16) + [1, 2, 3]),
                "0A000 unsupported frontend protocol 2.0: server supports 3.0 to 3.0"
            ),
            (
                Client.packet(Client.int32(4 << 16)),
                "0A000 unsupported frontend protocol 4.0: server supports 3.0 to 3.0"
            ),
            (Client.query("select 1"), "08P01 invalid length of startup packet"),
            ([0x16, 3, 1, 0, 0xC8, 1, 0, 0], "08P01 invalid length of startup packet"),
            (Client.int32(0), "08P01 invalid length of startup packet"),
            (
                Client.packet([UInt8](repeating: 65, count: 9_997)),
                "08P01 invalid length of startup packet"
            ),
            (
                Client.packet(Client.int32(3 << 16) + Array("user\0postgres".utf8)),
                "08P01 invalid startup packet layout: expected terminator as last byte"
            ),
            (
                Client.packet(Client.int32(3 << 16) + Client.cString("user")),
                "08P01 invalid startup packet layout: expected terminator as last byte"
            ),
        ])
    func refusalsAreFatalAndTellWhy(_ packet: [UInt8], _ error: String) async {
        let lines = await conversation(packet, Client.query("rows 1"))
        #expect(lines == ["E FATAL " + error])
    }

    @Test func silenceAndHalfAPacketEndWithoutAnAnswer() async {
        #expect(await conversation([]) == [])
        #expect(await conversation([0, 0]) == [])
        #expect(await conversation(Client.startup().dropLast()) == [])
    }

    @Test func sessionsAreLimitedAndGivenBack() async {
        let service = fakeService(sessions: 1)
        let first = PostgresInbox()
        let firstTransport = FakeTransport()
        _ = first.receive(Client.startup())
        let task = Task {
            await PostgresConnection(
                inbox: first, transport: firstTransport, service: service
            ).run()
        }
        while service.sessionCount == 0 { await Task.yield() }
        #expect(await refusal(service).last == "E FATAL 53300 sorry, too many clients already")
        _ = first.receive(Client.terminate)
        await task.value
        #expect(service.sessionCount == 0)
        #expect(await refusal(service).last == "Z I")
    }

    private func refusal(_ service: PostgresService) async -> [String] {
        let inbox = PostgresInbox()
        let transport = FakeTransport()
        _ = inbox.receive(Client.startup())
        inbox.endInput()
        await PostgresConnection(inbox: inbox, transport: transport, service: service).run()
        return ServerMessages(transport.bytes).lines
    }
}
