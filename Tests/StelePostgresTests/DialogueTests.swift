import StelePostgres
import SteleSQL
import Testing

@Suite struct DialogueTests {
    typealias Client = ClientMessages

    // MARK: The simple protocol

    @Test func aQueryIsAnsweredUpToReady() async {
        let lines = await session(Client.query("rows 2"), Client.terminate)
        #expect(
            lines == [
                "T n:23/0|t:25/0|z:16/0", "D 0|row 0|NULL", "D 1|row 1|NULL", "C SELECT 2", "Z I",
            ])
    }

    @Test func anEmptyQueryHasItsOwnAnswer() async {
        #expect(await session(Client.query("")) == ["I", "Z I"])
    }

    @Test func errorsCarryTheirFieldsAndTheTransactionFails() async {
        let lines = await session(
            Client.query("begin"), Client.query("nothing"), Client.query("rows 1"),
            Client.query("rollback"))
        #expect(
            lines == [
                "C BEGIN", "Z T",
                "E ERROR 42P01 relation \"nothing\" does not exist HLook. P15", "Z E",
                "E ERROR 25P02 current transaction is aborted, commands ignored until end of"
                    + " transaction block",
                "Z E", "C ROLLBACK", "Z I",
            ])
    }

    @Test func noticesComeBeforeTheTagAndSettingsBeforeReady() async {
        #expect(
            await session(Client.query("set"), Client.query("notice")) == [
                "C SET", "S application_name=changed", "Z I",
                "N WARNING 01000 mind the gap", "C NOTICE", "Z I",
            ])
    }

    // MARK: The extended protocol

    @Test func aPipelineIsAnsweredInOrderByOneWrite() async {
        let inbox = PostgresInbox()
        let transport = FakeTransport()
        _ = inbox.receive(
            Client.startup() + Client.parse("", "rows 3", [25]) + Client.describe("S")
                + Client.bind("", "", [Array("x".utf8), nil], results: [1])
                + Client.describe("P") + Client.execute("", 2) + Client.execute("", 2)
                + Client.close("P") + Client.close("S", "unknown") + Client.sync)
        inbox.endInput()
        await PostgresConnection(
            inbox: inbox, transport: transport, service: fakeService()
        ).run()
        let lines = ServerMessages(transport.bytes).lines.drop { $0 != "Z I" }.dropFirst()
        #expect(
            Array(lines) == [
                "1", "t 0,1,0,0,0,25", "T n:23/0|t:25/0|z:16/0", "2", "T n:23/1|t:25/1|z:16/1",
                "D \0\0\0\0|row 0|NULL", "D \0\0\0\u{1}|row 1|NULL", "s",
                "D \0\0\0\u{2}|row 2|NULL", "C SELECT 1", "3", "3", "Z I",
            ])
        // The end of the opening leaves early, because more was at hand; then all the rest.
        #expect(transport.writeCount == 2)
    }

    @Test func anErrorSkipsWhatFollowsUpToSync() async {
        let log = FakeLog()
        let lines = await session(
            Client.parse("", "syntax error"), Client.bind("", ""), Client.execute(),
            Client.query("rows 1"), Client.message("D", [1]), Client.message("F"), Client.flush,
            Client.sync, Client.query("rows 0"), log: log)
        #expect(
            lines == [
                "E ERROR 42601 syntax error at or near \"error\" P8", "Z I",
                "T n:23/0|t:25/0|z:16/0", "C SELECT 0", "Z I",
            ])
        #expect(log.all == ["prepare  syntax error []", "fail", "sync", "query rows 0", "close"])
    }

    @Test func unknownNamesAreErrors() async {
        #expect(
            await session(
                Client.bind("", "s"), Client.sync, Client.execute("p"), Client.sync,
                Client.describe("P", "p"), Client.sync, Client.describe("S", "s"), Client.sync
            ) == [
                "E ERROR 26000 prepared statement \"s\" does not exist", "Z I",
                "E ERROR 34000 portal \"p\" does not exist", "Z I",
                "E ERROR 34000 portal \"p\" does not exist", "Z I",
                "E ERROR 26000 prepared statement \"s\" does not exist", "Z I",
            ])
    }

    @Test func aNegativeRowLimitMeansAllRows() async {
        let lines = await session(
            Client.parse("", "rows 2"), Client.bind("", ""), Client.execute("", -1), Client.sync)
        #expect(lines.suffix(2) == ["C SELECT 2", "Z I"])
    }

    @Test func aCommitThatFailsIsReportedAtSync() async {
        #expect(
            await session(Client.parse("", "conflict"), Client.sync, Client.sync) == [
                "1", "E ERROR 40001 could not serialize access", "Z I", "Z I",
            ])
    }

    @Test func statementsThatReturnNothingAreDescribedSo() async {
        #expect(
            await session(Client.parse("a", "begin"), Client.describe("S", "a"), Client.sync) == [
                "1", "t 0,1,0,0,0,25", "n", "Z I",
            ])
    }

    // MARK: COPY

    @Test func copiedDataIsPulledMessageByMessage() async {
        let log = FakeLog()
        let lines = await session(
            Client.query("copy"), Client.copyData("a"), Client.copyData(""), Client.flush,
            Client.sync, Client.copyData("\\.\n"), Client.copyDone, Client.query("rows 0"),
            log: log)
        #expect(lines.prefix(3) == ["G 0,0,2,0,0,0,0", "C COPY 3", "Z I"])
        #expect(log.all.prefix(4) == ["query copy", "data a", "data ", "data \\.\n"])
    }

    @Test func aFailedCopySkipsTheDataThatIsStillComing() async {
        #expect(
            await session(
                Client.query("copy"), Client.copyData("bad"), Client.copyData("more"),
                Client.copyDone, Client.query("rows 0")
            ) == [
                "G 0,0,2,0,0,0,0", "E ERROR 22P02 invalid input syntax", "Z I",
                "T n:23/0|t:25/0|z:16/0", "C SELECT 0", "Z I",
            ])
    }

    @Test func theClientMayGiveUpACopy() async {
        #expect(
            await session(Client.query("copy"), Client.copyFail("why"), Client.copyFail("again"))
                == ["G 0,0,2,0,0,0,0", "E ERROR 57014 COPY from stdin failed: why", "Z I"])
    }

    @Test func otherMessagesEndACopyWithAnError() async {
        #expect(
            await session(Client.query("copy"), Client.query("rows 1"), Client.query("rows 0"))
                .suffix(4)
                == [
                    "E ERROR 08P01 unexpected message type during COPY from stdin", "Z I",
                    "T n:23/0|t:25/0|z:16/0", "C SELECT 0", "Z I",
                ].suffix(4))
    }

    @Test func aCopyThatIsNeverEndedEndsWithTheClient() async {
        let log = FakeLog()
        #expect(
            await session(Client.query("copy"), Client.copyData("a"), log: log)
                == ["G 0,0,2,0,0,0,0"])
        #expect(log.all.last == "close")
        #expect(
            await session(Client.query("copy"), Client.terminate, log: log)
                == ["G 0,0,2,0,0,0,0"])
    }

    @Test func dataOutsideCopyIsIgnored() async {
        #expect(
            await session(
                Client.copyData("x"), Client.copyDone, Client.copyFail("x"), Client.sync
            ) == ["Z I"])
    }

    // MARK: Bad input

    @Test func brokenMessagesAreAnsweredAndTheSessionGoesOn() async {
        let log = FakeLog()
        #expect(
            await session(
                Client.message("Q", [0xFF, 0]), Client.message("Q", [1]),
                Client.message("B", [0]), Client.execute(), Client.sync,
                Client.message("F", [1, 2]), Client.message("S", [1]), Client.query("rows 0"),
                log: log
            ) == [
                "E ERROR 22021 invalid byte sequence for encoding \"UTF8\"", "Z I",
                "E ERROR 08P01 invalid string in message", "Z I",
                "E ERROR 08P01 invalid string in message", "Z I",
                "E ERROR 0A000 a function call message is not supported HUse SELECT.", "Z I",
                "E ERROR 08P01 invalid message format", "Z I",
                "T n:23/0|t:25/0|z:16/0", "C SELECT 0", "Z I",
            ])
        #expect(log.all.filter { $0 == "fail" }.count == 5)
    }

    @Test(
        arguments: [
            (Client.message("z"), "invalid frontend message type 122"),
            (Client.message("p", [0]), "invalid frontend message type 112"),
            (Array("Q".utf8) + Client.int32(3), "invalid message length"),
            (Array("Q".utf8) + Client.int32(.max), "invalid message length"),
        ])
    func brokenFramesEndTheConnection(_ bytes: [UInt8], _ error: String) async {
        let log = FakeLog()
        let lines = await session(
            Client.query("begin"), bytes, Client.query("rows 1"), log: log)
        #expect(lines == ["C BEGIN", "Z T", "E FATAL 08P01 \(error)"])
        #expect(log.all == ["query begin", "close"])
    }

    @Test func nothingBreaksTheDialogue() async {
        let valid =
            Client.query("rows 2") + Client.parse("", "rows 3") + Client.bind("", "")
            + Client.describe("P") + Client.execute("", 1) + Client.sync + Client.query("copy")
            + Client.copyData("x") + Client.copyDone + Client.query("begin; nothing")
        for index in valid.indices {
            for byte in [0, 1, 0x7F, 0x80, 0xFF] as [UInt8] {
                var bytes = valid
                bytes[index] = byte
                let log = FakeLog()
                _ = await session(bytes, log: log)
                #expect(log.all.last == "close")
            }
        }
    }
}
