import NIOCore
import SteleAPI
import SteleBase
import SteleWire
import Synchronization
import Testing

@testable import SteleTransport

@Suite struct ClientConnectionTests {
    private let hello = Hello(role: .client, sender: .client()).frame()

    private func get(_ id: UInt64) -> [UInt8] {
        ClientRequest(id: id, body: .database(.user, .get([1]))).frame()
    }

    @Test func `a call is answered, also by a node without a cluster`() async throws {
        let a = TestNode(1)
        let b = TestNode(
            0, cluster: .none,
            answer: { request, connection in
                #expect(request.body == .initialize)
                connection.send(ClientReply(id: request.id, body: .done))
            })
        let atB = try await b.listen()
        let (sender, reply) = try await a.transport.call("\(atB)", .initialize)
        #expect("\(reply)" == "done" && sender.info.address == "test:0")
        try await eventually("the connection is closed again") { b.events.contains(.closed(1)) }
        try await a.stop()
        try await b.stop()
    }

    @Test func `a call that nobody answers fails with a clear error`() async throws {
        let a = TestNode(1)
        let mute = TestNode(2)
        let closing = TestNode(3, answer: { _, connection in connection.close("no") })
        let (atMute, atClosing) = (try await mute.listen(), try await closing.listen())
        try await mute.setPeers([])
        let free = TestNode(4)
        let atFree = try await free.listen()
        try await free.stop()
        for address in ["\(atMute)", "\(atClosing)", "\(atFree)"] {
            do {
                _ = try await a.transport.call(address, .status, timeout: .milliseconds(200))
                Issue.record("\(address) has answered")
            } catch {
                #expect(error.code == .unavailable)
                #expect(error.message.contains(address))
            }
        }
        await #expect(throws: SteleError.self) { try await a.transport.call("nowhere", .status) }
        for node in [a, mute, closing] { try await node.stop() }
    }

    @Test func `answers come in any order and from any thread`() async throws {
        let held = Mutex<[(UInt64, ClientConnection)]>([])
        let a = TestNode(
            1,
            answer: { request, connection in
                held.withLock { $0.append((request.id, connection)) }
            })
        let socket = try await RawSocket.connect(to: try await a.listen())
        socket.send(hello + (1...50).flatMap { get($0) })
        try await eventually("all are there") { held.withLock { $0.count } == 50 }
        for (id, connection) in held.withLock({ $0.reversed() }) {
            connection.send(ClientReply(id: id, body: .value([UInt8(id)])))
        }
        try await eventually("all are answered") { socket.received.count == 51 }
        let ids = try socket.received.dropFirst().map { try ClientReply(decoding: $0.payload).id }
        #expect(ids == Array((1...50).reversed()))
        socket.close()
        try await eventually("the close is told") { a.events.contains(.closed(1)) }
        held.withLock { $0[0].1 }.send(ClientReply(id: 1, body: .done))
        try await a.stop()
    }

    @Test func `requests beyond the limit are refused, steps of transactions are not`() async throws
    {
        let a = TestNode(1)
        let socket = try await RawSocket.connect(to: try await a.listen())
        socket.send(hello + (1...1_030).flatMap { get($0) })
        try await eventually("six are refused") { socket.received.count == 7 }
        for message in socket.received.dropFirst() {
            guard case .failed(let error) = try ClientReply(decoding: message.payload).body else {
                Issue.record("no error came back")
                continue
            }
            #expect(error.code == .overloaded && error.isRetryable)
        }
        let step = TransactionStep(handle: 1, action: .rollback)
        socket.send(
            ClientRequest(id: 2_000, body: .database(.user, .transaction(step))).frame())
        try await eventually("the step gets through") { a.events.contains(.request(2_000)) }
        #expect(a.events.count == 1_025)
        try await a.stop()
    }

    @Test func `a client that does not read is cut off`() async throws {
        let value = [UInt8](repeating: 1, count: 1 << 20)
        let a = TestNode(
            1, settings: .init(bufferBytes: 8 << 20),
            answer: { request, connection in
                connection.send(ClientReply(id: request.id, body: .value(value)))
            })
        let socket = try await RawSocket.connect(to: try await a.listen(), reads: false)
        socket.send(hello + (1...100).flatMap { get($0) })
        try await eventually("it is cut off") { a.events.contains(.closed(1)) }
        try await a.stop()
    }

    @Test func `clients that do not read are cut off once they hold too much together`()
        async throws
    {
        let value = [UInt8](repeating: 1, count: 1 << 20)
        let a = TestNode(
            1, settings: .init(connectionBytes: 24 << 20),
            answer: { request, connection in
                connection.send(ClientReply(id: request.id, body: .value(value)))
            })
        let address = try await a.listen()
        // Of each the kernel takes some megabytes.
        var sockets: [RawSocket] = []
        for _ in 0..<4 {
            let socket = try await RawSocket.connect(to: address, reads: false)
            socket.send(hello + (1...20).flatMap { get($0) })
            sockets.append(socket)
        }
        try await eventually("one is cut off") {
            (1...4).contains { a.events.contains(.closed($0)) }
        }
        // Those that read are served, and there is room again once the others are gone.
        let honest = try await RawSocket.connect(to: address)
        honest.send(hello + get(1))
        try await eventually("it is answered") { honest.received.count == 2 }
        for socket in sockets { socket.close() }
        try await eventually("all are gone") {
            (1...4).allSatisfy { a.events.contains(.closed($0)) }
        }
        honest.send((2...9).flatMap { get($0) })
        try await eventually("all is answered") { honest.received.count == 10 }
        try await a.stop()
        #expect(a.transport.clientBytes.total == 0)
    }

    @Test func `requests that never arrive in full are not collected without end`() async throws {
        let a = TestNode(1, settings: .init(connectionBytes: 8 << 20))
        let address = try await a.listen()
        let frame = Frame.encode(.request) { $0.writeRaw([UInt8](repeating: 1, count: 3 << 20)) }
        var sockets: [RawSocket] = []
        for _ in 0..<4 {
            let socket = try await RawSocket.connect(to: address)
            socket.send(hello + frame.dropLast())
            sockets.append(socket)
        }
        try await eventually("one of four is cut off") { sockets.contains { $0.isClosed } }
        #expect(sockets.contains { !$0.isClosed })
        let small = try await RawSocket.connect(to: address)
        small.send(hello + get(1).dropLast())
        small.send(get(1).suffix(1))
        try await eventually("small ones get through") { a.events.contains(.request(1)) }
        try await a.stop()
    }

    @Test func `a ping is answered`() async throws {
        let a = TestNode(1)
        let socket = try await RawSocket.connect(to: try await a.listen())
        socket.send(hello + Frame.encode(.ping) { _ in })
        try await eventually("it is answered") { socket.received.last?.kind == .pong }
        try await a.stop()
    }

    @Test func `a port in use is named`() async throws {
        let a = TestNode(1)
        let b = TestNode(2)
        let taken = try await a.listen()
        do {
            _ = try await b.listen(taken.port)
            Issue.record("the port was taken twice")
        } catch let error as SteleError {
            #expect(error.code == .configuration)
            #expect(error.message == "the address \(taken) is in use")
        }
        do {
            _ = try await b.transport.listen(on: NetworkAddress(host: "192.0.2.1", port: 1))
            Issue.record("the address is not of this machine")
        } catch {
            #expect(error.code == .configuration)
            #expect(error.message.hasPrefix("cannot listen on 192.0.2.1:1: "))
        }
        try await a.stop()
        try await b.stop()
    }
}
