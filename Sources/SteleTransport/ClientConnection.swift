import NIOCore
import SteleBase
import SteleWire

/// A client's connection, as the node sees it.
package final class ClientConnection: Sendable, Hashable {
    /// Unique within the ``Transport``.
    package let id: UInt64
    private let loop: any EventLoop
    private let owner: NIOLoopBound<AcceptedConnection>

    /// - Precondition: called on `loop`.
    init(id: UInt64, loop: any EventLoop, owner: AcceptedConnection) {
        self.id = id
        self.loop = loop
        self.owner = NIOLoopBound(owner, eventLoop: loop)
    }

    /// Answers a request; does nothing if the connection has closed. May be called on any thread.
    package func send(_ reply: ClientReply) {
        let bytes = reply.frame()
        if loop.inEventLoop {
            owner.value.answer(bytes)
        } else {
            loop.execute { self.owner.value.answer(bytes) }
        }
    }

    /// Whether answers can still reach the client. On the loop.
    package var isOpen: Bool { owner.value.isOpen }

    /// Closes the connection because the client misbehaves. On the loop.
    package func close(_ reason: String) { owner.value.close(reason) }

    package static func == (left: ClientConnection, right: ClientConnection) -> Bool {
        left === right
    }

    package func hash(into hasher: inout Hasher) { hasher.combine(id) }
}
