import StelePostgres
import SteleSQL
import Synchronization

// A connection without a network: everything that the client will say is there from the start, and
// what the server said is looked at in the end.

/// Collects what a connection sends.
final class FakeTransport: PostgresTransport {
    private struct State {
        var writes: [[UInt8]] = []
        var due = 0
        var resumes = 0
        var isClosed = false
    }

    private let state = Mutex(State())
    /// Called after each write with the number of bytes so far.
    private let afterSend: @Sendable (Int) -> Void

    init(afterSend: @escaping @Sendable (Int) -> Void = { _ in }) { self.afterSend = afterSend }

    var bytes: [UInt8] { state.withLock { Array($0.writes.joined()) } }
    var writeCount: Int { state.withLock { $0.writes.count } }
    var resumes: Int { state.withLock { $0.resumes } }
    var isClosed: Bool { state.withLock { $0.isClosed } }

    func send(_ bytes: [UInt8], now: Bool) {
        let count = state.withLock { state in
            state.writes.append(bytes)
            return state.writes.reduce(0) { $0 + $1.count }
        }
        afterSend(count)
    }

    func resumeReading() { state.withLock { $0.resumes += 1 } }

    func close() { state.withLock { $0.isClosed = true } }
}

/// A service whose sessions are fake.
func fakeService(
    _ log: FakeLog = FakeLog(), sessions: Int = 100
) -> PostgresService {
    var configuration = PostgresService.Configuration()
    configuration.sessions = sessions
    return PostgresService(configuration, secret: { 0x0102_0304 }) {
        request throws(SQLError) in
        for setting in request.settings {
            log.note("setting \(setting.name)=\(setting.value)")
            if setting.name == "bad" {
                throw SQLError("42704", "unrecognized configuration parameter \"bad\"")
            }
        }
        return FakeSession(log)
    }
}

/// What the server answers to a client that says all of `input` and then half-closes.
func conversation(_ input: [UInt8]..., log: FakeLog = FakeLog()) async -> [String] {
    let inbox = PostgresInbox()
    let transport = FakeTransport()
    _ = inbox.receive(input.joined())
    inbox.endInput()
    await PostgresConnection(
        inbox: inbox, transport: transport, service: fakeService(log)
    ).run()
    return ServerMessages(transport.bytes).lines
}

/// The same with a start-up packet in front, of whose answer nothing is returned.
func session(_ input: [UInt8]..., log: FakeLog = FakeLog()) async -> [String] {
    let lines = await conversation(
        ClientMessages.startup(), Array(input.joined()), log: log)
    guard let ready = lines.firstIndex(of: "Z I") else { return lines }
    return Array(lines[(ready + 1)...])
}
