import SteleBase
import StelePostgres
import SteleSQL
import Testing

@Suite struct DecoderTests {
    typealias Client = ClientMessages

    private static let samples: [([UInt8], FrontendMessage)] = [
        (Client.query("select 'ü'"), .query("select 'ü'")),
        (
            Client.parse("s", "select $1", [23, 0]),
            .parse(.init(statement: "s", text: "select $1", parameterTypes: [23, 0]))
        ),
        (
            Client.bind("p", "s", formats: [1, 0], [[1, 2], nil], results: [1]),
            .bind(
                .init(
                    portal: "p", statement: "s", parameterFormats: [1, 0],
                    parameters: [[1, 2], nil], resultFormats: [1]))
        ),
        (Client.bind("", "", [[]]), .bind(.init(portal: "", statement: "", parameters: [[]]))),
        (Client.describe("S", "s"), .describe(.statement("s"))),
        (Client.describe("P"), .describe(.portal(""))),
        (Client.close("P", "p"), .close(.portal("p"))),
        (Client.execute("p", 7), .execute(portal: "p", maxRows: 7)),
        (Client.flush, .flush),
        (Client.sync, .sync),
        (Client.terminate, .terminate),
        (Client.copyData("1\t2\n"), .copyData(ArraySlice("1\t2\n".utf8))),
        (Client.copyDone, .copyDone),
        (Client.copyFail("why"), .copyFail(reason: "why")),
        (Client.message("p", Client.cString("secret")), .password(ArraySlice("secret\0".utf8))),
        (Client.message("F", [1, 2, 3]), .functionCall),
    ]

    @Test func everyMessageIsDecodedHoweverItsBytesArrive() throws {
        let bytes = Self.samples.flatMap(\.0)
        for step in [1, 2, 3, 5, 7, 64, bytes.count] {
            var decoder = PostgresDecoder()
            var messages: [FrontendMessage] = []
            for start in stride(from: 0, to: bytes.count, by: step) {
                decoder.feed(bytes[start..<min(start + step, bytes.count)])
                while let message = try decoder.next() { messages.append(message) }
            }
            #expect(messages == Self.samples.map(\.1))
            #expect(!decoder.hasUnreadBytes)
        }
    }

    @Test func openingsAreDecodedByteByByte() throws {
        let openings: [([UInt8], OpeningMessage)] = [
            (Client.sslRequest, .encryptionRequest(.tls)),
            (Client.gssRequest, .encryptionRequest(.gssapi)),
            (Client.cancel(17, -5), .cancelRequest(processID: 17, secret: -5)),
            (
                Client.startup(["user": "a", "user": "b"], minor: 2),
                .startup(
                    StartupMessage(
                        minorVersion: 2,
                        parameters: [
                            .init(name: "user", value: "a"), .init(name: "user", value: "b"),
                        ]))
            ),
        ]
        for (bytes, expected) in openings {
            var decoder = PostgresDecoder()
            for byte in bytes {
                #expect(try decoder.nextOpening() == nil)
                decoder.feed([byte])
            }
            #expect(try decoder.nextOpening() == expected)
        }
    }

    @Test(arguments: [0, 1, 3, 7, -1, Int32.min, Int32.max, 10_001])
    func startupLengthsOutOfRangeAreRefusedBeforeTheirBytesArrive(_ length: Int32) {
        var decoder = PostgresDecoder()
        decoder.feed(Client.int32(length))
        #expect(throws: SQLError("08P01", "invalid length of startup packet")) {
            try decoder.nextOpening()
        }
    }

    @Test func startupPacketsOutOfShapeAreRefused() {
        let version = Client.int32(3 << 16)
        let bodies: [[UInt8]] = [
            version + Client.cString("user") + Client.cString("postgres"),  // no final NUL
            version + Client.cString("user") + [0],  // a name without a value
            version + Client.cString("user") + Array("postgres".utf8),
            version + [0, 0],  // more after the end
            version,
            version + [0xFF, 0, 0x61, 0, 0],  // not UTF-8
            Client.int32(80_877_102) + Client.int32(1),  // half a cancel request
            Client.int32(80_877_102) + Client.int32(1) + Client.int32(1) + [0],
            Client.int32(80_877_103) + [1],
        ]
        for body in bodies {
            var decoder = PostgresDecoder()
            decoder.feed(Client.packet(body))
            #expect(throws: SQLError.self) { try decoder.nextOpening() }
        }
    }

    @Test func brokenFramesEndTheConnection() {
        let frames: [[UInt8]] = [
            Array("Q".utf8) + Client.int32(3),
            Array("Q".utf8) + Client.int32(0),
            Array("Q".utf8) + Client.int32(-1),
            Array("Q".utf8) + Client.int32(.max),
            Array("d".utf8) + Client.int32(64 << 20 + 1),
            Array("S".utf8) + Client.int32(10_001),
            Array("z".utf8), [0], [0xFF],
        ]
        for frame in frames {
            var decoder = PostgresDecoder()
            decoder.feed(frame)
            #expect(throws: SQLError.self) { try decoder.next() }
        }
    }

    @Test func brokenBodiesCostOneMessageOnly() throws {
        let longBind = Client.cString("") + Client.cString("") + Client.int16(0)
        let bodies: [(Character, [UInt8])] = [
            ("Q", Array("select 1".utf8)),  // no NUL
            ("Q", Client.cString("select") + Client.cString("1")),  // NUL within
            ("Q", [0xC3, 0x28, 0]),  // not UTF-8
            ("Q", []),
            ("P", Client.cString("") + Client.cString("") + Client.int16(65_535)),
            ("P", Client.cString("") + Client.cString("") + Client.int16(0) + [9]),
            ("B", longBind + Client.int16(1) + Client.int32(-2)),
            ("B", longBind + Client.int16(1) + Client.int32(.max)),
            ("B", longBind + Client.int16(1) + Client.int32(5) + [1, 2, 3, 4]),
            ("B", longBind + Client.int16(65_535)),
            (
                "B",
                Client.cString("") + Client.cString("") + Client.int16(2) + Client.int32(0)
                    + Client.int16(1) + Client.int32(-1) + Client.int16(0)
            ),
            ("B", longBind + Client.int16(0) + Client.int16(1) + Client.int16(7)),
            ("D", Array("X".utf8) + [0]),
            ("D", Array("S".utf8)),
            ("C", Array("X".utf8) + [0]),
            ("E", [0, 0, 0]),
            ("E", [0, 0, 0, 0, 0, 0]),
            ("S", [1]), ("H", [1]), ("c", [1]), ("X", [1]),
            ("f", Array("no end".utf8)),
        ]
        for (kind, body) in bodies {
            var decoder = PostgresDecoder()
            decoder.feed(Client.message(kind, body) + Client.sync)
            guard case .malformed(let error, let isExtended) = try decoder.next() else {
                Issue.record("\(kind) \(body) was taken")
                continue
            }
            #expect(["08P01", "22021", "22023"].contains(error.state))
            #expect(isExtended == "PBDECH".contains(kind))
            #expect(try decoder.next() == .sync)
        }
    }

    @Test func bindTakesAsManyParametersAsItsCountCanSay() throws {
        var decoder = PostgresDecoder()
        decoder.feed(Client.bind("", "", Array(repeating: nil, count: 65_535)))
        guard case .bind(let bind) = try decoder.next() else {
            Issue.record("not a bind message")
            return
        }
        #expect(bind.parameters.count == 65_535)
    }

    @Test func noBytesAtAllBreakTheDecoder() {
        var random = SeededRandom(seed: 2026)
        let valid = Self.samples.flatMap(\.0)
        for round in 0..<4_000 {
            var bytes = valid
            if round.isMultiple(of: 2) {
                for _ in 0..<Int.random(in: 1...8, using: &random) {
                    let index = Int.random(in: 0..<bytes.count, using: &random)
                    bytes[index] = UInt8.random(in: 0...255, using: &random)
                }
            } else {
                bytes = (0..<60).map { _ in UInt8.random(in: 0...255, using: &random) }
            }
            var decoder = PostgresDecoder()
            var opening = PostgresDecoder()
            decoder.feed(bytes)
            opening.feed(bytes)
            do {
                while try decoder.next() != nil {}
                while try opening.nextOpening() != nil {}
            } catch {
                #expect(["08P01", "22021"].contains(error.state))
            }
        }
    }
}
