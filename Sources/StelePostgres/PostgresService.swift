import SteleBase
import SteleSQL
import Synchronization

// What the connections of one server share: who may have a session, how many there may be, and
// the keys by which one connection cancels the statement of another.

/// Admits connections, makes their sessions, and finds them again to cancel or to end them.
package final class PostgresService: Sendable {
    /// What a service allows.
    package struct Configuration: Sendable {
        /// The one role that may log in.
        package var user = "postgres"
        /// The one database there is.
        package var database = "postgres"
        /// Sessions at a time.
        package var sessions = Limits.connections
        /// Unread bytes of all clients together.
        package var unreadBytes = Limits.frontBytes
        /// Upper half of each process identifier, so that a key tells which node it belongs to.
        package var node: UInt16 = 0

        package init() {}
    }

    /// Makes the session of a client that was admitted.
    package typealias MakeSession =
        @Sendable (SessionRequest) throws(SQLError) -> any PostgresSession

    private struct Connection {
        var secret: Int32
        var inbox: PostgresInbox
        var hasSession = false
    }

    private struct State {
        var connections: [Int32: Connection] = [:]
        var sessions = 0
        var unreadBytes = 0
        var lastSerial: UInt16 = 0
        var shutdown: SQLError?
        var drained: [CheckedContinuation<Void, Never>] = []
    }

    private let configuration: Configuration
    private let makeSession: MakeSession
    private let secret: @Sendable () -> UInt32
    private let state = Mutex(State())

    /// - Parameter secret: draws the keys of cancel requests; unpredictable in production.
    package init(
        _ configuration: Configuration = Configuration(),
        secret: @escaping @Sendable () -> UInt32, makeSession: @escaping MakeSession
    ) {
        self.configuration = configuration
        self.secret = secret
        self.makeSession = makeSession
    }

    /// Ends every connection with 57P01 and waits until all of them have let go.
    package func shutDown() async {
        let reason = SQLError("57P01", "terminating connection due to administrator command")
        let inboxes = state.withLock { state in
            state.shutdown = reason
            return state.connections.values.map(\.inbox)
        }
        for inbox in inboxes { inbox.terminate(reason) }
        await withCheckedContinuation { continuation in
            let isDrained = state.withLock { state in
                guard !state.connections.isEmpty else { return true }
                state.drained.append(continuation)
                return false
            }
            if isDrained { continuation.resume() }
        }
    }

    /// Sessions at the moment.
    package var sessionCount: Int { state.withLock { $0.sessions } }

    // MARK: For connections

    /// Gives a new connection its key, or nil when there are so many that not even a refusal can
    /// be afforded. Half of them may still be on their way to a session.
    func attach(_ inbox: PostgresInbox) -> (processID: Int32, secret: Int32)? {
        let secret = Int32(bitPattern: secret())
        return state.withLock { state in
            let limit = min(2 * configuration.sessions + 32, Int(UInt16.max) - 1)
            guard state.shutdown == nil, state.connections.count < limit else { return nil }
            var processID: Int32
            repeat {
                state.lastSerial = state.lastSerial == .max ? 1 : state.lastSerial + 1
                let node = Int32(configuration.node & 0x7FFF)
                processID = node << 16 | Int32(state.lastSerial)
            } while state.connections[processID] != nil
            state.connections[processID] = Connection(secret: secret, inbox: inbox)
            return (processID, secret)
        }
    }

    /// Takes in that a connection holds `bytes` unread instead of `before`.
    ///
    /// - Throws: 53200 if it takes part in an excess of all connections together.
    func hold(_ before: Int, to bytes: Int) throws(SQLError) {
        let total = state.withLock { state in
            state.unreadBytes += bytes - before
            return state.unreadBytes
        }
        guard bytes > before, total > configuration.unreadBytes else { return }
        throw SQLError(
            "53200", "out of memory",
            detail: "The messages of all clients exceed "
                + "\(configuration.unreadBytes >> 20) MiB (Limits.frontBytes).")
    }

    /// Forgets a connection.
    func detach(_ processID: Int32) {
        let drained = state.withLock { state in
            if state.connections.removeValue(forKey: processID)?.hasSession == true {
                state.sessions -= 1
            }
            guard state.connections.isEmpty else { return [CheckedContinuation<Void, Never>]() }
            defer { state.drained = [] }
            return state.drained
        }
        for continuation in drained { continuation.resume() }
    }

    /// Makes a session for a connection, if its client may have one.
    func admit(_ request: SessionRequest) throws(SQLError) -> any PostgresSession {
        guard request.user == configuration.user else {
            throw SQLError("28000", "role \"\(request.user)\" does not exist")
        }
        guard request.database == configuration.database else {
            throw SQLError("3D000", "database \"\(request.database)\" does not exist")
        }
        let isAdmitted = state.withLock { state in
            guard state.sessions < configuration.sessions else { return false }
            state.sessions += 1
            state.connections[request.processID]?.hasSession = true
            return true
        }
        guard isAdmitted else { throw SQLError("53300", "sorry, too many clients already") }
        return try makeSession(request)
    }

    /// Cancels what the connection with this key is doing; a wrong key is ignored.
    func cancel(processID: Int32, secret: Int32) {
        let inbox = state.withLock { state -> PostgresInbox? in
            guard let connection = state.connections[processID], connection.secret == secret
            else { return nil }
            return connection.inbox
        }
        inbox?.cancel()
    }
}
