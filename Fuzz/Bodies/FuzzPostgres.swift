import SteleBase
import SteleSQL
import StelePostgres
import Synchronization

/// The input is what a Postgres client sends, after a byte that says in which pieces it comes: as it
/// is, from the first packet on, or (if that byte's highest bit is set) as messages whose lengths are
/// put right, so that most of them are read. The connection must come to an end, with answers that a
/// client can take apart.
package func fuzzPostgres(_ bytes: UnsafeRawBufferPointer) {
    guard let first = bytes.first else { return }
    let stream = first < 128 ? Array(bytes.dropFirst()) : messages(of: bytes)
    let transport = FuzzTransport()
    let database = FuzzSession.database()
    waitFor {
        let inbox = PostgresInbox()
        let service = PostgresService(secret: { 1 }) { _ throws(SQLError) in
            FuzzSession(database).session
        }
        let step = first % 128 == 0 ? max(1, stream.count) : Int(first % 128)
        var rest = stream[...]
        while !rest.isEmpty {
            _ = inbox.receive(rest.prefix(step))
            rest = rest.dropFirst(step)
        }
        inbox.endInput()
        await PostgresConnection(inbox: inbox, transport: transport, service: service).run()
    }
    transport.check()
}

/// A startup packet, and messages of a letter, a length and so many bytes.
private func messages(of bytes: UnsafeRawBufferPointer) -> [UInt8] {
    var input = FuzzInput(UnsafeRawBufferPointer(rebasing: bytes.dropFirst()))
    // 16 bytes: the length, version 3.0, a user and no more parameters.
    var stream: [UInt8] = [0, 0, 0, 16, 0, 3, 0, 0] + Array("user\0a\0".utf8) + [0]
    while !input.isAtEnd {
        let letter = input.byte()
        let body = input.bytes(atMost: 255)
        let length = body.count + 4
        stream += [letter, 0, 0, UInt8(length >> 8), UInt8(length & 255)] + body
    }
    return stream
}

private final class FuzzTransport: PostgresTransport {
    private let sent = Mutex<[UInt8]>([])

    func send(_ bytes: [UInt8], now: Bool) { sent.withLock { $0 += bytes } }
    func resumeReading() {}
    func close() {}

    /// Takes the answers apart: each is a letter, a length and so many bytes. Requests for encryption
    /// are answered by a single letter.
    func check() {
        var rest = sent.withLock { $0 }[...]
        while rest.first == UInt8(ascii: "N"), rest.dropFirst().first != 0 { rest.removeFirst() }
        while !rest.isEmpty {
            let head = Array(rest.prefix(5))
            invariant(head.count == 5, "an answer is cut short")
            let length = head[1...].reduce(0) { $0 << 8 | Int($1) }
            invariant(length >= 4 && length < rest.count, "an answer of \(length) bytes")
            rest = rest.dropFirst(1 + length)
        }
    }
}
