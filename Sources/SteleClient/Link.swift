import NIOCore
import SteleAPI
import SteleBase
import SteleWire
import Synchronization

/// Why a request got no reply.
enum LinkFailure: Error {
    /// It never left: asking somebody else does no harm.
    case notSent(String)
    /// It was sent, and the connection broke before the answer came.
    case lost(String)
    /// The calling task was cancelled.
    case cancelled(isSent: Bool)
    /// No reply came in time.
    case timedOut(isSent: Bool)
    /// No frame holds it.
    case tooLong(Int)
}

/// One connection to a node, shared by all requests that are under way.
///
/// A handle of ``LinkHandler``, which lives on the event loop.
final class Link: Sendable {
    let address: NetworkAddress
    /// Who answered.
    let node: Introduction
    private let loop: any EventLoop
    private let handler: NIOLoopBound<LinkHandler>
    private let lastID = Atomic<UInt64>(0)
    private let isClosed = Atomic<Bool>(false)

    /// - Precondition: called on `loop`.
    init(
        address: NetworkAddress, node: Introduction, loop: any EventLoop, handler: LinkHandler
    ) {
        self.address = address
        self.node = node
        self.loop = loop
        self.handler = NIOLoopBound(handler, eventLoop: loop)
    }

    var isOpen: Bool { !isClosed.load(ordering: .acquiring) }

    func markClosed() { isClosed.store(true, ordering: .releasing) }

    /// Sends a request and waits for its reply.
    func request(
        _ body: ClientRequest.Body, by deadline: Deadline
    ) async throws(LinkFailure) -> ClientReply.Body {
        try await request(by: deadline) { submit in submit(body) }
    }

    /// Sends the request that `prepare` submits, exactly one, and waits for its reply.
    ///
    /// Requests leave in the order in which they are submitted, so what is submitted under a lock
    /// arrives in the order in which the lock was taken.
    func request(
        by deadline: Deadline, _ prepare: (_ submit: (ClientRequest.Body) -> Void) -> Void
    ) async throws(LinkFailure) -> ClientReply.Body {
        let ticket = Ticket(
            id: lastID.wrappingAdd(1, ordering: .relaxed).newValue, deadline: deadline)
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation {
                (continuation: CheckedContinuation<LinkHandler.Outcome, Never>) in
                prepare { body in
                    let bytes = ClientRequest(id: ticket.id, body: body).frame()
                    guard bytes.count <= Limits.frameBytes else {
                        return continuation.resume(returning: .failure(.tooLong(bytes.count)))
                    }
                    loop.execute { self.handler.value.send(bytes, ticket, continuation) }
                }
            }
        } onCancel: {
            ticket.isCancelled.store(true, ordering: .releasing)
            loop.execute { self.handler.value.cancel(ticket) }
        }
        return try result.get()
    }

    /// Sends a request whose answer matters to nobody.
    func post(_ body: ClientRequest.Body) {
        let id = lastID.wrappingAdd(1, ordering: .relaxed).newValue
        let bytes = ClientRequest(id: id, body: body).frame()
        loop.execute { self.handler.value.post(bytes) }
    }

    func close() {
        markClosed()
        loop.execute { self.handler.value.close("the client was closed") }
    }

    /// A request under way.
    final class Ticket: Sendable {
        let id: UInt64
        let deadline: Deadline
        let isCancelled = Atomic<Bool>(false)

        init(id: UInt64, deadline: Deadline) {
            self.id = id
            self.deadline = deadline
        }
    }
}
