import SteleSQL

// The rules by which messages are answered once a session has begun, as PostgreSQL's main loop
// has them. In the simple protocol each query is answered up to ReadyForQuery. In the extended
// protocol an error skips what follows up to Sync, which is answered by ReadyForQuery.

/// Answers the messages of one session.
struct PostgresDialogue {
    private let connection: PostgresConnection
    private let session: any PostgresSession
    private var isSkipping = false

    init(connection: PostgresConnection, session: any PostgresSession) {
        self.connection = connection
        self.session = session
    }

    /// Tells the client that it may send commands.
    func begin() { ready() }

    /// Answers one message.
    mutating func answer(_ message: FrontendMessage) async throws(PostgresConnection.Ending) {
        connection.isIdle = false
        switch message {
        case .terminate:
            throw .clientLeft
        case .sync:
            isSkipping = false
            await synchronize()
        case _ where isSkipping:
            return
        case .query(let text):
            await query(text)
        case .parse, .bind, .describe, .execute, .close:
            await extended(message)
        case .flush:
            connection.release()
        case .functionCall:
            await fail(.unsupported("a function call message", hint: "Use SELECT."))
            ready()
        case .malformed(let error, let isExtended):
            await fail(error)
            isSkipping = isExtended
            if !isExtended { ready() }
        case .copyData, .copyDone, .copyFail:
            // A client goes on sending data until it reads that its COPY has failed.
            return
        case .password:
            throw .fatal(.protocolViolation("invalid frontend message type 112"))
        }
        if let ending = connection.ending { throw ending }
    }

    private func query(_ text: String) async {
        connection.describesRows = true
        do {
            try await session.simpleQuery(text, into: connection)
        } catch {
            report(error)
        }
        ready()
    }

    private func synchronize() async {
        do {
            try await session.sync()
        } catch {
            report(error)
        }
        ready()
    }

    private mutating func extended(_ message: FrontendMessage) async {
        connection.describesRows = false
        do {
            try await perform(message)
        } catch {
            await fail(error)
            isSkipping = true
        }
    }

    private func perform(_ message: FrontendMessage) async throws(SQLError) {
        switch message {
        case .parse(let parse):
            try await session.prepare(
                parse.statement, parse.text, parameterTypes: parse.parameterTypes)
            connection.writer.parseComplete()
        case .bind(let bind):
            try await session.bind(
                portal: bind.portal, statement: bind.statement,
                parameterFormats: bind.parameterFormats, parameters: bind.parameters,
                resultFormats: bind.resultFormats)
            connection.writer.bindComplete()
        case .describe(.statement(let name)):
            let (parameterTypes, columns) = try await session.describeStatement(name)
            connection.writer.parameterDescription(parameterTypes)
            describe(columns)
        case .describe(.portal(let name)):
            describe(try await session.describePortal(name))
        case .execute(let portal, let maxRows):
            try await session.execute(
                portal: portal, maxRows: max(0, maxRows), into: connection)
        case .close(.statement(let name)):
            session.closeStatement(name)
            connection.writer.closeComplete()
        case .close(.portal(let name)):
            session.closePortal(name)
            connection.writer.closeComplete()
        default:
            throw .protocolViolation("not a message of the extended protocol")
        }
    }

    private func describe(_ columns: [ResultColumn]?) {
        if let columns {
            connection.writer.rowDescription(columns)
        } else {
            connection.writer.noData()
        }
    }

    /// Reports an error that the session does not know of yet.
    private func fail(_ error: SQLError) async {
        report(error)
        await session.fail()
    }

    /// Reports an error, unless the connection is about to end for another reason.
    private func report(_ error: SQLError) {
        if let reason = connection.inbox.termination { connection.ending = .fatal(reason) }
        guard connection.ending == nil else { return }
        connection.writeNotices()
        connection.writer.errorResponse(error)
    }

    /// Ends the answer to a command, unless the connection is about to end.
    private func ready() {
        guard connection.ending == nil else { return }
        connection.writeNotices()
        for (name, value) in session.takeChangedParameters() {
            connection.writer.parameterStatus(name, value)
        }
        connection.writer.readyForQuery(session.transactionStatus)
        connection.isIdle = true
        connection.release()
    }
}
