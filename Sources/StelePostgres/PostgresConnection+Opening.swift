import SteleSQL

// The packets before a session: requests for encryption, which is refused so far, a request to
// cancel, which is never answered, or a request for a session.

extension PostgresConnection {
    /// Conducts the opening; nil if the client did not want a session.
    func open(
        _ processID: Int32, _ secret: Int32
    ) async throws(Ending) -> (any PostgresSession)? {
        var refused: Set<OpeningMessage.Encryption> = []
        while true {
            switch try await nextOpening() {
            case .encryptionRequest(let kind):
                guard refused.insert(kind).inserted else {
                    throw .fatal(.protocolViolation("encryption was requested twice"))
                }
                writer.encryptionRefused()
                // A request waits for its answer. What came along with it may have been slipped
                // in by someone between, and is not to be taken for the client's.
                if decoder.hasUnreadBytes {
                    throw .fatal(
                        .protocolViolation("received unencrypted data after SSL request"))
                }
            case .cancelRequest(let processID, let secret):
                service.cancel(processID: processID, secret: secret)
                return nil
            case .startup(let message):
                do {
                    return try begin(message, processID, secret)
                } catch {
                    throw .fatal(error)
                }
            }
        }
    }

    private func nextOpening() async throws(Ending) -> OpeningMessage {
        while true {
            let opening = try decoded { () throws(SQLError) in try decoder.nextOpening() }
            if let opening { return opening }
            try await receive()
        }
    }

    /// Begins the session, or throws why there is none.
    private func begin(
        _ message: StartupMessage, _ processID: Int32, _ secret: Int32
    ) throws(SQLError) -> any PostgresSession {
        guard message.majorVersion == 3 else {
            let version = "\(message.majorVersion).\(message.minorVersion)"
            throw SQLError(
                "0A000",
                "unsupported frontend protocol \(version): server supports 3.0 to 3.0")
        }
        let request = try SessionRequest(message, processID: processID)
        if message.minorVersion > 0 || !request.unknownOptions.isEmpty {
            writer.negotiateProtocolVersion(unknownOptions: request.unknownOptions)
        }
        let session = try service.admit(request)
        writer.authenticationOk()
        for (name, value) in session.reportedParameters { writer.parameterStatus(name, value) }
        writer.backendKeyData(processID: processID, secret: secret)
        inbox.open(cancel: session.canceller)
        return session
    }
}
