/// A column of a statement's result.
package struct ResultColumn: Hashable, Sendable {
    package var name: String
    package var type: SQLType
    /// The table that the column comes from; 0 if it is computed.
    package var tableOID: UInt32
    package var attributeNumber: Int16
    /// 0 is text, 1 is binary.
    package var format: Int16

    package init(
        name: String, type: SQLType, tableOID: UInt32 = 0, attributeNumber: Int16 = 0,
        format: Int16 = 0
    ) {
        self.name = name
        self.type = type
        self.tableOID = tableOID
        self.attributeNumber = attributeNumber
        self.format = format
    }
}

/// How a session's transaction stands.
package enum TransactionStatus: Hashable, Sendable {
    case idle, inTransaction, failed
}

/// Where a statement's results go, and where the data of `COPY FROM STDIN` comes from.
package protocol ResultSink: AnyObject {
    /// Comes before the rows of each execution, also of one that goes on with a portal.
    func columns(_ columns: [ResultColumn])
    /// One row; encoded at once.
    func row(_ values: [Datum])
    /// The values at some places of a row, which begins at `start`; encoded at once.
    func row(_ values: [Datum], from start: Int, at places: [Int])
    /// The statement is done.
    func complete(tag: String)
    /// The row limit was reached; the portal can be executed again for more.
    func suspended()
    /// There was no statement.
    func emptyQuery()
    /// A notice that belongs before what comes next.
    func notice(_ notice: SQLError)
    /// From now on the statement asks for data.
    func copyIn(columns: Int, binary: Bool)
    /// The next piece of data, cut anywhere; nil at the end.
    func nextCopyData() async throws(SQLError) -> ArraySlice<UInt8>?
    /// Waits while the client does not keep up. Called every few rows, and when the sink is full.
    func flushIfNeeded() async throws(SQLError)
    /// Whether the sink should be flushed before the next row.
    var isFull: Bool { get }
}

extension ResultSink {
    package func row(_ values: [Datum], from start: Int, at places: [Int]) {
        row(places.map { values[start + $0] })
    }

    package var isFull: Bool { false }
}
