import SteleBase
import SteleSQL

// One task drives one session: it takes decoded messages in order, and answers each before it
// looks at the next. Answers gather in one buffer, which is sent when nothing more is in hand, so
// that a pipeline of messages is answered by one write.

/// The server's side of one connection, from the first packet to the last.
package final class PostgresConnection {
    /// Gathered answers are sent at this size, and waited for until the network has taken them.
    static let pieceBytes = 1 << 16
    /// Messages after which other work of the executor gets its turn.
    private static let messagesPerTurn = 128

    /// Why a connection ends.
    enum Ending: Error, Hashable {
        /// The client said good-bye, or is gone.
        case clientLeft
        /// The client is told this error first.
        case fatal(SQLError)
    }

    let inbox: PostgresInbox
    let service: PostgresService
    var decoder = PostgresDecoder()
    var writer = BackendWriter()
    /// The session, once it has begun.
    var session: (any PostgresSession)?
    /// The columns of the rows that the running statement returns.
    var columns: [ResultColumn] = []
    /// The zone in which it shows times.
    var zone = TimeZone.utc
    /// Whether rows are announced by a description: in the simple protocol they are.
    var describesRows = false
    /// The last row of the running statement was left out.
    var isRowTooLong = false
    /// Why the connection is to end, found out while a statement was running.
    var ending: Ending?
    /// The client was told that it may send a command, and has sent none yet.
    var isIdle = false
    private let transport: any PostgresTransport
    private var messageCount = 0
    /// Unread bytes that the service knows of.
    private var heldBytes = 0

    package init(
        inbox: PostgresInbox, transport: any PostgresTransport, service: PostgresService
    ) {
        self.inbox = inbox
        self.transport = transport
        self.service = service
    }

    /// Serves the client until one side ends the connection.
    package func run() async {
        if let key = service.attach(inbox) {
            do throws(Ending) {
                if let session = try await open(key.processID, key.secret) {
                    self.session = session
                    let ending = await serve(session)
                    session.close()
                    throw ending
                }
            } catch {
                if case .fatal(let error) = error { writer.errorResponse(error, .fatal) }
            }
            await sendRest(writer.takeBytes()[...])
            try? hold(0)
            service.detach(key.processID)
        }
        transport.close()
    }

    /// Answers messages until there is a reason to stop.
    private func serve(_ session: any PostgresSession) async -> Ending {
        var dialogue = PostgresDialogue(connection: self, session: session)
        do throws(Ending) {
            dialogue.begin()
            while true { try await dialogue.answer(try await nextMessage()) }
        } catch {
            return error
        }
    }

    // MARK: Receiving

    /// The next message, after all answers so far were sent if it has yet to come.
    func nextMessage() async throws(Ending) -> FrontendMessage {
        while true {
            if let message = try decoded({ () throws(SQLError) in try decoder.next() }) {
                try await takeTurns()
                return message
            }
            try await receive()
        }
    }

    /// Runs a call of the decoder, whose errors end the connection.
    func decoded<Message>(
        _ decode: () throws(SQLError) -> Message
    ) throws(Ending) -> Message {
        do { return try decode() } catch { throw .fatal(error) }
    }

    /// Waits for bytes from the client.
    func receive() async throws(Ending) {
        if writer.bytes.count > Self.mostAtOnce {
            await sendRest(writer.takeBytes()[...])
        } else {
            send(now: true)
        }
        // What was taken for a message is held no more, however long the next one takes to come.
        try hold(decoder.unreadBytes)
        let endIdleTime = isIdle ? session?.limitIdleTime { [inbox] in inbox.terminate($0) } : nil
        defer { endIdleTime?() }
        while true {
            let (arrival, wasPaused) = decoder.withBuffer { inbox.take(into: &$0) }
            if wasPaused { transport.resumeReading() }
            switch arrival {
            case .bytes: return try hold(decoder.unreadBytes)
            case .nothing: await inbox.waitForInput()
            case .end: throw .clientLeft
            case .termination(let reason): throw .fatal(reason)
            }
        }
    }

    /// Tells the service what is unread, unless it is little.
    private func hold(_ bytes: Int) throws(Ending) {
        let bytes = bytes > Limits.spareConnectionBytes ? bytes : 0
        guard bytes != heldBytes else { return }
        let before = heldBytes
        heldBytes = bytes
        do { try service.hold(before, to: bytes) } catch { throw .fatal(error) }
    }

    // MARK: Sending

    /// Hands the answers so far to the network.
    private func send(now: Bool) {
        guard !writer.bytes.isEmpty else { return }
        transport.send(writer.bytes, now: now)
        writer.removeAll()
    }

    /// Lets answers leave before the next message is worked on, which may take long. Large ones do
    /// when that message is in hand.
    func release() {
        if decoder.hasUnreadBytes, writer.bytes.count < Self.pieceBytes { send(now: false) }
    }

    /// Sends what has gathered once it is much, and waits while the client does not keep up.
    func sendIfLarge() async throws(Ending) {
        guard writer.bytes.count >= Self.pieceBytes else { return }
        guard writer.bytes.count > Self.mostAtOnce else {
            send(now: true)
            return try await waitUntilSent()
        }
        // A row may have hundreds of megabytes, which take long to copy.
        var rest = writer.takeBytes()[...]
        while !rest.isEmpty {
            sendPiece(of: &rest)
            do throws(Ending) {
                try await waitUntilSent()
            } catch {
                // What a client that is still there is told of the end must not stand in the middle of
                // a message.
                if case .fatal = error { await sendRest(rest) }
                throw error
            }
        }
    }

    private static let mostAtOnce = 1 << 20

    private func sendPiece(of rest: inout ArraySlice<UInt8>) {
        transport.send(Array(rest.prefix(Self.mostAtOnce)), now: true)
        rest = rest.dropFirst(Self.mostAtOnce)
    }

    /// Hands answers to the network in pieces, and does not wait for a client that takes none.
    private func sendRest(_ bytes: ArraySlice<UInt8>) async {
        var rest = bytes
        while !rest.isEmpty {
            sendPiece(of: &rest)
            if !rest.isEmpty { await Task.yield() }
        }
    }

    private func waitUntilSent() async throws(Ending) {
        guard await inbox.waitUntilWritable() else {
            throw inbox.termination.map(Ending.fatal) ?? .clientLeft
        }
        await Task.yield()
    }

    /// Bounds what a client that sends without pause costs others, in time and in memory.
    private func takeTurns() async throws(Ending) {
        try await sendIfLarge()
        messageCount &+= 1
        if messageCount % Self.messagesPerTurn == 0 { await Task.yield() }
    }
}
