import NIOCore
import SteleAPI
import SteleBase
import SteleCluster
import SteleWire
import Synchronization
import Testing

@testable import SteleTransport

/// Whatever a stranger sends, its connection is closed and nobody else notices.
@Suite struct HostileInputTests {
    private let hello = Hello(role: .client, sender: .client()).frame()

    private func peerHello(_ node: UInt64 = 9) -> [UInt8] {
        Hello(
            role: .peer,
            sender: Introduction(
                cluster: TestNode.cluster, node: NodeID(node),
                instance: UniqueID(high: 1, low: node), info: NodeInfo(address: "raw"))
        ).frame()
    }

    /// Sends each of `inputs` on a connection of its own and expects all of them to be closed,
    /// while a pair of nodes goes on talking.
    private func expectClosed(_ inputs: [[UInt8]]) async throws {
        let (a, b) = (TestNode(1), TestNode(2))
        let (atA, atB) = (try await a.listen(), try await b.listen())
        try await a.setPeers([(2, atB)])
        try await b.setPeers([(1, atA)])
        try await eventually("the nodes are connected") { a.events.contains(.connected(2)) }
        for (index, input) in inputs.enumerated() {
            let socket = try await RawSocket.connect(to: atA)
            socket.send(input)
            try await eventually("input \(index) leads to a close") { socket.isClosed }
        }
        try await b.send([.numbered(3)], to: 1)
        try await eventually("others are unharmed") { a.numbers == [3] }
        #expect(!a.events.contains(.disconnected(2)))
        try await a.stop()
        try await b.stop()
    }

    @Test func `other protocols`() async throws {
        try await expectClosed([
            Array("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8),
            [0, 0, 0, 8, 4, 210, 22, 47],
            [0, 0, 0, 41, 0, 3, 0, 0] + Array("user\0postgres\0database\0postgres\0\0".utf8),
            [0x16, 3, 1, 2, 0, 1, 0, 1, 0xFC, 3, 3],
            [UInt8](repeating: 0, count: 64), [UInt8](repeating: 0xFF, count: 64),
        ])
    }

    @Test func `broken frames before the handshake`() async throws {
        var wrongCheck = hello
        wrongCheck[wrongCheck.count - 1] ^= 1
        let huge = Frame.encode(.hello) { $0.writeRaw([UInt8](repeating: 1, count: 5_000)) }
        try await expectClosed([
            wrongCheck, huge, [0xFF, 0xFF, 0xFF, 0x7F], [0, 0, 0, 0x80],
            ClientRequest(id: 1, body: .status).frame(),
            Frame.encode(.peerMessages) { _ in }, Frame.encode(.welcome) { _ in },
            Frame.encode(.hello) { _ in },
            Frame.encode(.hello) { $0.writeRaw(Array("STELE\r\n\0".utf8)) },
        ])
    }

    @Test func `what does not belong after the handshake`() async throws {
        let request = ClientRequest(id: 1, body: .status).frame()
        var wrongCheck = request
        wrongCheck[wrongCheck.count - 1] ^= 1
        try await expectClosed([
            hello + wrongCheck, hello + hello,
            hello + Frame.encode(.request) { $0.writeRaw([1, 2, 3]) },
            hello + Frame.encode(.request) { $0.writeRaw(Array(repeating: 0xFF, count: 100)) },
            hello + Frame.encode(.peerMessages) { _ in },
            hello + Frame.encode(.reply) { _ in },
            peerHello() + request,
            peerHello() + Frame.encode(.peerMessages) { $0.writeRaw([77]) },
            peerHello() + Frame.encode(.peerMessages) { $0.writeRaw([3, 1, 0, 1, 1, 1]) },
        ])
    }

    @Test func `random changes of a peer's messages`() async throws {
        let frame = Frame.encode(.peerMessages) { writer in
            PeerMessage.append(bytes: 20).encode(into: &writer)
            PeerMessage.numbered(4).encode(into: &writer)
        }
        let a = TestNode(1)
        let atA = try await a.listen()
        var random = SeededRandom(seed: 5)
        for round in 0..<200 {
            var payload = Array(frame[Frame.headerBytes...])
            for _ in 0...random.below(3) {
                payload[Int(random.below(UInt64(payload.count)))] = UInt8(random.below(256))
            }
            let socket = try await RawSocket.connect(to: atA)
            socket.send(peerHello() + Frame.encode(.peerMessages) { $0.writeRaw(payload) })
            socket.send(Frame.encode(.ping) { _ in })
            try await eventually("round \(round) is judged") {
                socket.isClosed || socket.received.last?.kind == .pong
            }
            socket.close()
        }
        try await a.stop()
    }

    @Test func `a refusal tells why`() async throws {
        let a = TestNode(1)
        let atA = try await a.listen()
        let socket = try await RawSocket.connect(to: atA)
        socket.send(
            Hello(role: .client, sender: .client(of: UniqueID(high: 5, low: 5))).frame())
        try await eventually("it is closed") { socket.isClosed }
        let message = try #require(socket.received.first)
        #expect(message.kind == .refusal)
        #expect(try Refusal(decoding: message.payload).reason == .otherCluster)
        try await a.stop()
    }

    @Test func `silence`() async throws {
        let a = TestNode(1, settings: .init(handshakeTimeout: .seconds(3)))
        let atA = try await a.listen()
        let silent = try await RawSocket.connect(to: atA)
        let slow = try await RawSocket.connect(to: atA)
        slow.send(Array(hello.prefix(20)))
        let honest = try await RawSocket.connect(to: atA)
        honest.send(hello)
        try await eventually("both are closed") { silent.isClosed && slow.isClosed }
        #expect(!honest.isClosed)
        try await a.stop()
    }

    @Test func `too many connections`() async throws {
        let a = TestNode(1, settings: .init(connections: 2))
        let atA = try await a.listen()
        var sockets: [RawSocket] = []
        for index in 0..<3 {
            let socket = try await RawSocket.connect(to: atA)
            socket.send(hello)
            try await eventually("client \(index) is answered") { !socket.received.isEmpty }
            sockets.append(socket)
        }
        #expect(sockets.map { $0.received.first?.kind } == [.welcome, .welcome, .refusal])
        sockets[0].close()
        try await eventually("the first has left") { a.events.contains(.closed(1)) }
        let next = try await RawSocket.connect(to: atA)
        next.send(hello)
        try await eventually("there is room again") { next.received.first?.kind == .welcome }
        let peer = try await RawSocket.connect(to: atA)
        peer.send(peerHello())
        try await eventually("peers have room") { peer.received.first?.kind == .welcome }
        try await a.stop()
    }
}
