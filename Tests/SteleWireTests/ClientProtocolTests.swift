import SteleAPI
import SteleBase
import SteleWire
import Testing
import WireSamples

@Suite struct ClientProtocolTests {
    @Test(arguments: Samples.requests)
    func `requests read back`(body: ClientRequest.Body) throws {
        let request = ClientRequest(id: 0x0102_0304_0506_0708, body: body)
        let bytes = try payload(of: request.frame())
        #expect(try ClientRequest(decoding: bytes) == request)
        #expect(torment(bytes) { _ = try ClientRequest(decoding: $0) })
    }

    @Test(arguments: Samples.replies)
    func `replies read back`(body: ClientReply.Body) throws {
        let bytes = try payload(of: ClientReply(id: 7, body: body).frame())
        let reply = try ClientReply(decoding: bytes)
        #expect(reply.id == 7)
        #expect("\(reply.body)" == "\(body)")
        #expect(try payload(of: reply.frame()) == bytes)
        #expect(torment(bytes) { _ = try ClientReply(decoding: $0) })
    }

    @Test func `errors keep their code, also one of a later version`() throws {
        for name in ["conflict", "commitOutcomeUnknown", "somethingNew"] {
            let error = SteleError(SteleError.Code(name), "why")
            let bytes = try payload(of: ClientReply(id: 1, body: .failed(error)).frame())
            guard case .failed(let found) = try ClientReply(decoding: bytes).body else {
                Issue.record("no error came back")
                continue
            }
            #expect(found == error)
        }
    }

    @Test func `extreme durations survive`() throws {
        for timeout: Duration in [.zero, .seconds(-1), .seconds(Int64.max), .microseconds(1)] {
            let step = TransactionStep(
                handle: 1, begin: TransactionOptions(timeout: timeout), action: .none)
            let request = ClientRequest(id: 1, body: .database(.user, .transaction(step)))
            let found = try ClientRequest(decoding: payload(of: request.frame()))
            guard case .database(_, .transaction(let back)) = found.body else {
                Issue.record("no step came back")
                continue
            }
            let limit = Duration.microseconds(Int64.max)
            #expect(back.begin?.timeout == min(timeout, limit))
        }
    }

    @Test func `a step with too many effects is refused`() throws {
        func read(_ count: Int) throws {
            let step = TransactionStep(
                handle: 1,
                effects: [TransactionStep.Effect](repeating: .beginStatement, count: count),
                action: .commit)
            let request = ClientRequest(id: 1, body: .database(.user, .transaction(step)))
            _ = try ClientRequest(decoding: payload(of: request.frame()))
        }
        try read(TransactionStep.effectLimit)
        #expect(throws: DecodingError.self) { try read(TransactionStep.effectLimit + 1) }
    }

    @Test func `a membership keeps its coding`() throws {
        #expect(try ClusterMembership(decoding: Samples.membership.encoded) == Samples.membership)
        #expect(
            torment(Samples.membership.encoded[...]) {
                _ = try ClusterMembership(decoding: Array($0))
            })
        var later = Samples.membership.encoded
        later[0] = 2
        #expect(throws: DecodingError.self) { try ClusterMembership(decoding: later) }
    }
}

@Suite struct StatusReportTests {
    @Test func `JSON is as the command line promises`() {
        let report = StatusReport(
            cluster: UniqueID(high: 0, low: 10),
            nodes: [
                .init(
                    id: NodeID(1), address: "127.0.0.1:7400", postgres: "127.0.0.1:5433",
                    pid: 4_711, version: "0.1", uptime: 61, isLive: true,
                    clock: .init(
                        standing: .doubted, offset: -5...7, doubtedBy: [NodeID(2), NodeID(3)],
                        wait: 9, steps: 1))
            ],
            tablets: [
                .init(
                    id: TabletID(2), start: [], end: [], leader: NodeID(1),
                    replicas: [NodeID(1), NodeID(2), NodeID(3)], committed: 9, applied: 8,
                    lag: [0, 3, nil])
            ],
            storage: .init(
                freeBytes: 1, totalBytes: 2, logBytes: 3, storeBytes: 4, writes: .stopped))
        #expect(
            report.json == """
                {"cluster":"0000000000000000000000000000000a",\
                "nodes":[{"id":1,"address":"127.0.0.1:7400","postgres":"127.0.0.1:5433",\
                "pid":4711,"version":"0.1","uptime_s":61,"live":true,"locality":"",\
                "clock":{"standing":"doubted","offset_us":[-5,7],"doubted_by":[2,3],\
                "wait_us":9,"steps":1},"outdated":false}],\
                "tablets":[{"id":2,"start":null,"end":null,"leader":1,"replicas":[1,2,3],"rebuild":[],\
                "committed":9,"applied":8,"lag":[0,3,null]}],\
                "storage":{"free_bytes":1,"total_bytes":2,"log_bytes":3,"store_bytes":4,"writes":"stopped"}}
                """)
    }

    @Test func `turns are counted by powers of two, and the longest is named`() {
        var turns = TurnStatistics()
        for microseconds in [0, 1, 2, 3, 4_096, 7] as [UInt64] { turns.add(microseconds, "a") }
        turns.add(.max, "g")
        #expect(turns.count == 7 && turns.longest == .max && turns.longestWork == "g")
        #expect(Array(turns.counts[..<5]) == [1, 1, 2, 1, 0] && turns.counts[13] == 1)
        #expect(turns.percentile(0.5) == 4 && TurnStatistics().percentile(0.5) == 0)
        var few = TurnStatistics()
        few.add(3, "scan, tablet 2")
        let report = StatusReport(cluster: .none, nodes: [], tablets: [], turns: few)
        #expect(
            report.json.hasSuffix(
                #""turns":{"count":1,"histogram":[0,0,1],"#
                    + #""longest":{"microseconds":3,"work":"scan, tablet 2"}}}"#))
    }

    @Test func `what is unknown is null and keys are hexadecimal`() {
        let report = StatusReport(
            cluster: .none,
            nodes: [.init(id: NodeID(1), address: "a\"\\\u{1}ü", isLive: false)],
            tablets: [
                .init(
                    id: TabletID(1), start: Array("a\"b".utf8), end: [0, 255], leader: .none,
                    replicas: [])
            ])
        #expect(report.json.contains(#""clock":{"standing":"unheard","offset_us":null,"#))
        #expect(report.json.contains(#""address":"a\"\\\u0001ü","postgres":null,"pid":null,"version":null,"uptime_s":null"#))
        #expect(
            report.json.contains(
                #""start":"612262","end":"00ff","leader":null,"replicas":[]"#))
    }
}

@Suite struct NetworkAddressTests {
    @Test func `addresses are read and written`() throws {
        for text in ["127.0.0.1:7400", "localhost:0", "[::1]:65535", "node-1.example.org:80"] {
            #expect(try NetworkAddress(parsing: text).description == text)
        }
        #expect(try NetworkAddress(parsing: "[::1]:1").host == "::1")
    }

    @Test func `what is none is refused`() {
        for text in ["", ":", "host", "host:", ":80", "host:65536", "host:-1", "::1:80", "[]:1"] {
            #expect(throws: SteleError.self) { try NetworkAddress(parsing: text) }
        }
    }

    @Test func `an answer that no message holds is an error, and takes no memory before`() throws {
        // As many references to one value, which takes room only once it is written out.
        let value = [UInt8](repeating: 1, count: Limits.valueBytes)
        let values = [[UInt8]?](repeating: value, count: Limits.requestKeys)
        let locked = values.map { LockedValue(isLocked: true, value: $0) }
        let rows = values.map { RowPage.Row(key: [], value: $0?[...] ?? []) }
        for body in [ClientReply.Body.values(values), .locked(locked), .page(RowPage(rows: rows))] {
            let bytes = try payload(of: ClientReply(id: 1, body: body).frame())
            guard case .failed(let error) = try ClientReply(decoding: bytes).body else {
                Issue.record("it was answered")
                continue
            }
            #expect(error.message.contains("Limits.messageBytes"))
        }
    }
}
