import NIOCore
import SteleBase
import SteleCluster
import SteleWire
import Synchronization
import Testing

@testable import SteleTransport

@Suite struct PeerTests {
    /// Two nodes that know each other's address and are connected.
    private func pair() async throws -> (TestNode, TestNode, NetworkAddress, NetworkAddress) {
        let (a, b) = (TestNode(1), TestNode(2))
        let (atA, atB) = (try await a.listen(), try await b.listen())
        try await a.setPeers([(1, atA), (2, atB)])
        try await b.setPeers([(1, atA), (2, atB)])
        try await eventually("the nodes are connected") {
            a.count(of: .connected(2)) == 1 && b.count(of: .connected(1)) == 1
        }
        return (a, b, atA, atB)
    }

    @Test func `nodes introduce themselves and exchange messages in order`() async throws {
        let (a, b, _, _) = try await pair()
        #expect(a.events.contains(.info(2, "test:2")) && b.events.contains(.info(1, "test:1")))
        for round in 0..<100 as Range<UInt64> {
            try await a.send((0..<10).map { .numbered(round * 10 + $0) }, to: 2)
            try await b.send([.numbered(round)], to: 1)
        }
        try await eventually("all has arrived") {
            b.numbers.count == 1_000 && a.numbers.count == 100
        }
        #expect(b.numbers == Array(0..<1_000) && a.numbers == Array(0..<100))
        try await a.stop()
        try await b.stop()
    }

    @Test func `messages longer than a frame arrive whole`() async throws {
        let (a, b, _, _) = try await pair()
        let sizes = [20 << 20, 64 << 20, 1]
        try await a.send(sizes.map { .append(bytes: $0) }, to: 2)
        try await eventually("all has arrived") { b.numbers.count == 3 }
        #expect(b.numbers == sizes.map(UInt64.init))
        try await a.stop()
        try await b.stop()
    }

    @Test func `a stopped node is noticed at once and found again when it is back`() async throws {
        let (a, b, atA, atB) = try await pair()
        try await b.stop()
        try await eventually("the stop is noticed") { a.count(of: .disconnected(2)) == 1 }
        let c = TestNode(2, instance: 2)
        #expect(try await c.listen(atB.port) == atB)
        try await c.setPeers([(1, atA)])
        try await eventually("both directions stand again") {
            a.count(of: .connected(2)) == 2 && c.count(of: .connected(1)) == 1
        }
        try await a.send([.numbered(5)], to: 2)
        try await eventually("messages arrive again") { c.numbers == [5] }
        #expect(a.count(of: .disconnected(2)) == 1)
        try await a.stop()
        try await c.stop()
    }

    @Test func `one direction alone does not make a connection`() async throws {
        let (a, b) = (TestNode(1), TestNode(2))
        let (atA, atB) = (try await a.listen(), try await b.listen())
        try await a.setPeers([(2, atB)])
        try await eventually("the welcome has come") { a.events.contains(.info(2, "test:2")) }
        try await a.send([.numbered(1)], to: 2)
        try await eventually("messages flow all the same") { b.numbers == [1] }
        #expect(a.count(of: .connected(2)) == 0)
        try await b.setPeers([(1, atA)])
        try await eventually("now it does") {
            a.count(of: .connected(2)) == 1 && b.count(of: .connected(1)) == 1
        }
        try await a.stop()
        try await b.stop()
    }

    @Test func `a node that is no peer any more is left alone`() async throws {
        let (a, b, _, _) = try await pair()
        try await a.setPeers([])
        try await eventually("both sides notice") {
            a.count(of: .disconnected(2)) == 1 && b.count(of: .disconnected(1)) == 1
        }
        try await a.send([.numbered(1)], to: 2)
        #expect(b.numbers.isEmpty)
        try await a.stop()
        try await b.stop()
    }

    @Test func `strangers are refused until they are let in`() async throws {
        let isMember = Mutex(false)
        let a = TestNode(1)
        let b = TestNode(
            2,
            refusal: { hello in
                guard hello.role == .peer, !isMember.withLock({ $0 }) else { return nil }
                return Refusal(.notMember, "n1 is no member")
            })
        let other = TestNode(2, cluster: UniqueID(high: 9, low: 9))
        let (atA, atB, atOther) = (
            try await a.listen(), try await b.listen(), try await other.listen()
        )
        try await a.setPeers([(2, atOther)])
        try await b.setPeers([(1, atA)])
        try await Task.sleep(for: .milliseconds(200))
        #expect(!a.events.contains(.connected(2)) && other.events.isEmpty)
        try await a.setPeers([(2, atB)])
        try await Task.sleep(for: .milliseconds(200))
        #expect(!a.events.contains(.connected(2)))
        isMember.withLock { $0 = true }
        try await eventually("now it is let in") { a.events.contains(.connected(2)) }
        for node in [a, b, other] { try await node.stop() }
    }

    @Test func `a peer that does not read is dropped and dialled again`() async throws {
        let accepted = Mutex(0)
        let welcome = Welcome(
            sender: Introduction(
                cluster: TestNode.cluster, node: NodeID(2), instance: UniqueID(high: 1, low: 2),
                info: NodeInfo(address: "deaf")))
        let (listener, address) = try await RawSocket.listen(reads: false) { socket in
            accepted.withLock { $0 += 1 }
            socket.send(welcome.frame())
        }
        let a = TestNode(1, settings: .init(bufferBytes: 4 << 20))
        try await a.setPeers([(2, address)])
        try await eventually("it is welcomed") { a.events.contains(.info(2, "deaf")) }
        for _ in 0..<40 { try await a.send([.append(bytes: 1 << 20)], to: 2) }
        try await eventually("it is dialled again") { accepted.withLock { $0 } >= 2 }
        try await a.stop()
        try await listener.close()
    }

    @Test func `a second connection of a peer takes the place of the first`() async throws {
        let a = TestNode(1)
        let atA = try await a.listen()
        let hello = Hello(
            role: .peer, receiver: NodeID(1),
            sender: Introduction(
                cluster: TestNode.cluster, node: NodeID(2), instance: UniqueID(high: 1, low: 2),
                info: NodeInfo(address: "raw")))
        let first = try await RawSocket.connect(to: atA)
        first.send(hello.frame())
        try await eventually("the first is in") { a.count(of: .info(2, "raw")) == 1 }
        let second = try await RawSocket.connect(to: atA)
        second.send(hello.frame())
        try await eventually("the first is closed") { first.isClosed }
        #expect(!second.isClosed && a.count(of: .info(2, "raw")) == 2)
        try await a.stop()
    }

    /// The first connection is lost at the peer's end alone, and with it what the peer had sent.
    @Test func `a loss that shows by the peer's dialling again is told`() async throws {
        let introduction = Introduction(
            cluster: TestNode.cluster, node: NodeID(2), instance: UniqueID(high: 1, low: 2),
            info: NodeInfo(address: "raw", bootTime: 1))
        let (listener, address) = try await RawSocket.listen(reads: true) { socket in
            socket.send(Welcome(sender: introduction).frame())
        }
        let a = TestNode(1)
        let atA = try await a.listen()
        try await a.setPeers([(2, address)])
        for round in 1...3 {
            let socket = try await RawSocket.connect(to: atA)
            socket.send(Hello(role: .peer, sender: introduction).frame())
            try await eventually("both directions stand") {
                a.count(of: .connected(2)) == round
                    && a.count(of: .disconnected(2)) == round - 1
            }
        }
        try await a.stop()
        try await listener.close()
    }

    @Test func `a restart that went unnoticed is told`() async throws {
        @Sendable func introduction(startedAt time: UInt64) -> Introduction {
            Introduction(
                cluster: TestNode.cluster, node: NodeID(2), instance: UniqueID(high: 1, low: 2),
                info: NodeInfo(address: "raw", bootTime: time))
        }
        let (listener, address) = try await RawSocket.listen(reads: true) { socket in
            socket.send(Welcome(sender: introduction(startedAt: 1)).frame())
        }
        let a = TestNode(1)
        let atA = try await a.listen()
        try await a.setPeers([(2, address)])
        let before = try await RawSocket.connect(to: atA)
        before.send(Hello(role: .peer, sender: introduction(startedAt: 1)).frame())
        try await eventually("both directions stand") { a.count(of: .connected(2)) == 1 }
        let after = try await RawSocket.connect(to: atA)
        after.send(Hello(role: .peer, sender: introduction(startedAt: 2)).frame())
        try await eventually("it was away and is back") {
            a.count(of: .disconnected(2)) == 1 && a.count(of: .connected(2)) == 2
        }
        #expect(before.isClosed && !after.isClosed)
        try await a.stop()
        try await listener.close()
    }
}
