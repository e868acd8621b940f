import SteleBase
import SteleSQL

// What a running statement produces and consumes. Rows are encoded at once, and the statement
// waits in `flushIfNeeded` while the client does not keep up.

extension PostgresConnection: ResultSink {
    package func columns(_ columns: [ResultColumn]) {
        self.columns = columns
        // The statement before may have been cancelled while it showed such a row.
        isRowTooLong = false
        zone = session?.zone ?? .utc
        if describesRows { writer.rowDescription(columns) }
    }

    package func row(_ values: [Datum]) {
        if !writer.dataRow(values, columns, zone: zone) { isRowTooLong = true }
    }

    package func row(_ values: [Datum], from start: Int, at places: [Int]) {
        if !writer.dataRow(values, from: start, at: places, columns, zone: zone) {
            isRowTooLong = true
        }
    }

    package var isFull: Bool { isRowTooLong || writer.bytes.count >= Self.pieceBytes }

    package func complete(tag: String) {
        writeNotices()
        writer.commandComplete(tag)
    }

    package func suspended() { writer.portalSuspended() }

    package func emptyQuery() { writer.emptyQueryResponse() }

    package func notice(_ notice: SQLError) {
        if session?.tells(notice) ?? true { writer.noticeResponse(notice) }
    }

    /// Tells the client what the session has to say besides its results.
    func writeNotices() {
        for notice in session?.takeNotices() ?? [] { self.notice(notice) }
    }

    package func copyIn(columns: Int, binary: Bool) {
        writer.copyInResponse(columns: columns, binary: binary)
    }

    package func nextCopyData() async throws(SQLError) -> ArraySlice<UInt8>? {
        while true {
            switch try await copyMessage() {
            case .copyData(let data):
                return data
            case .copyDone:
                return nil
            case .copyFail(let reason):
                throw SQLError("57014", "COPY from stdin failed: \(reason)")
            case .flush, .sync:
                // Sent ahead by clients that did not know that data would be asked for.
                continue
            case .malformed(let error, _):
                throw error
            case .terminate:
                ending = .clientLeft
                throw .connectionLost
            default:
                throw .protocolViolation("unexpected message type during COPY from stdin")
            }
        }
    }

    package func flushIfNeeded() async throws(SQLError) {
        if isRowTooLong {
            isRowTooLong = false
            throw SQLError(
                "54000", "a row of the result exceeds \(Limits.statementBytes >> 20) MiB")
        }
        do {
            try await sendIfLarge()
        } catch {
            ending = error
            throw .connectionLost
        }
    }

    private func copyMessage() async throws(SQLError) -> FrontendMessage {
        do {
            return try await nextMessage()
        } catch {
            ending = error
            throw .connectionLost
        }
    }
}

extension SQLError {
    /// The statement cannot go on because the connection is about to end.
    fileprivate static let connectionLost = SQLError("08006", "connection to client lost")
}
