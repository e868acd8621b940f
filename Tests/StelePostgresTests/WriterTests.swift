import SteleSQL
import Testing

@testable import StelePostgres

@Suite struct WriterTests {
    @Test func everyMessageHasItsLayout() {
        var writer = BackendWriter()
        writer.authenticationOk()
        writer.parameterStatus("a", "b")
        writer.backendKeyData(processID: 1, secret: -1)
        writer.negotiateProtocolVersion(unknownOptions: ["_pq_.x"])
        for status in [TransactionStatus.idle, .inTransaction, .failed] {
            writer.readyForQuery(status)
        }
        writer.commandComplete("INSERT 0 1")
        writer.emptyQueryResponse()
        writer.parseComplete()
        writer.bindComplete()
        writer.closeComplete()
        writer.noData()
        writer.portalSuspended()
        writer.parameterDescription([23, .max])
        writer.copyInResponse(columns: 1, binary: true)
        let messages = ServerMessages(writer.bytes)
        #expect(messages.rest.isEmpty)
        #expect(
            messages.lines == [
                "R 0,0,0,0", "S a=b", "K 0,0,0,1,255,255,255,255",
                "v 0,3,0,0,0,0,0,1,95,112,113,95,46,120,0", "Z I", "Z T", "Z E",
                "C INSERT 0 1", "I", "1", "2", "3", "n", "s",
                "t 0,2,0,0,0,23,255,255,255,255", "G 1,0,1,0,1",
            ])
    }

    @Test func rowsAreWrittenInTheFormOfEachColumn() {
        let types: [(SQLType, Datum, String)] = [
            (.bool, .bool(true), "t"),
            (.int2, .int(-1), "-1"),
            (.int4, .int(70_000), "70000"),
            (.int8, .int(.min), "-9223372036854775808"),
            (.float8, .double(0.1), "0.1"),
            (.text, .text("Grüße"), "Grüße"),
            (.text, .text(""), ""),
            (.timestamp, .timestamp(1_000_000), "2000-01-01 00:00:01"),
            (.timestamptz, .timestamp(0), "2000-01-01 02:00:00+02"),
            (.int4, .null, "NULL"),
        ]
        var writer = BackendWriter()
        let columns = types.map { Self.column($0.0, format: 0) }
        writer.rowDescription(columns)
        writer.dataRow(types.map(\.1), columns, zone: .fixed(ZoneOffset(seconds: 7200)))
        #expect(
            ServerMessages(writer.bytes).lines == [
                "T "
                    + types.map { "c:\(Int32(bitPattern: $0.0.oid))/0" }.joined(separator: "|"),
                "D " + types.map(\.2).joined(separator: "|"),
            ])
        for (type, value, _) in types where !value.isNull {
            var row = BackendWriter()
            row.dataRow([value], [Self.column(type, format: 1)])
            var expected: [UInt8] = []
            value.appendBinary(to: &expected, as: type)
            #expect(row.bytes.dropFirst(11).elementsEqual(expected))
            #expect(row.bytes[10] == UInt8(expected.count))
        }
    }

    @Test func errorsNameWhatTheyAreAbout() {
        var writer = BackendWriter()
        writer.errorResponse(
            SQLError(
                "23505", "duplicate key value violates unique constraint \"t_pkey\"",
                detail: "Key (a)=(1) already exists.", hint: "Try 2.", position: 7, table: "t",
                column: "a", constraint: "t_pkey"))
        writer.noticeResponse(SQLError("00000", "relation \"t\" does not exist, skipping"))
        writer.noticeResponse(SQLError("25001", "there is already a transaction in progress"))
        writer.noticeResponse(SQLError("01000", "a warning"))
        #expect(
            ServerMessages(writer.bytes).lines == [
                "E ERROR 23505 duplicate key value violates unique constraint \"t_pkey\""
                    + " DKey (a)=(1) already exists. HTry 2. P7 spublic tt ca nt_pkey",
                "N NOTICE 00000 relation \"t\" does not exist, skipping",
                "N WARNING 25001 there is already a transaction in progress",
                "N WARNING 01000 a warning",
            ])
    }

    @Test func textIsCutAtANulThatWouldEndItAnyway() {
        var writer = BackendWriter()
        writer.commandComplete("A\0B")
        #expect(ServerMessages(writer.bytes).lines == ["C A"])
    }

    @Test func memoryOfAnExceptionalMessageIsGivenBack() {
        var writer = BackendWriter()
        writer.commandComplete("SELECT 1")
        let usual = writer.bytes.capacity
        writer.removeAll()
        #expect(writer.bytes.capacity == usual)
        writer.commandComplete(String(repeating: "x", count: 1 << 20))
        writer.removeAll()
        #expect(writer.bytes.capacity == 0)
    }

    private static func column(_ type: SQLType, format: Int16) -> ResultColumn {
        ResultColumn(
            name: "c", type: type, tableOID: 0, attributeNumber: 0, format: format)
    }

    @Test func `a row that is longer than any may be is left out`() {
        var writer = BackendWriter()
        writer.parseComplete()
        let before = writer.bytes
        let wide = Self.column(.char(10_485_760), format: 0)
        let columns = Array(repeating: wide, count: 60)
        let values = Array(repeating: Datum.text("x"), count: 60)
        let isWritten = writer.dataRow(values, columns)
        #expect(!isWritten)
        #expect(writer.bytes == before)
        writer.dataRow(Array(values.prefix(2)), Array(columns.prefix(2)))
        #expect(writer.bytes.count > 2 * 10_485_760)
    }
}
