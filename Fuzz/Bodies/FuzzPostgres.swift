import SteleBase
import SteleSQL
import StelePostgres
import Synchronization

/// The input is what a Postgres client sends, from the first packet on, after a byte that says in
/// which pieces it comes. The connection must come to an end, with answers that a client can take
/// apart.
package func fuzzPostgres(_ bytes: UnsafeRawBufferPointer) {
    guard let first = bytes.first else { return }
    let stream = Array(bytes.dropFirst())
    let transport = FuzzTransport()
    waitFor {
        let inbox = PostgresInbox()
        let service = PostgresService(secret: { 1 }) { _ throws(SQLError) in
            FuzzSession().session
        }
        let step = first == 0 ? max(1, stream.count) : Int(first)
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
