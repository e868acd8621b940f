// What a connection knows of the network: a way out. The way in is ``PostgresInbox``. A socket
// stands behind it in production, and a simulated network in simulation.

/// Carries a connection's replies to its client.
package protocol PostgresTransport: AnyObject, Sendable {
    /// Takes bytes to be sent, after all bytes before them, and does not wait.
    ///
    /// Bytes that are not due `now` leave at the end of the present turn at the latest, which
    /// spares a write for each of several answers that are produced in one turn.
    func send(_ bytes: [UInt8], now: Bool)

    /// Goes on receiving, after ``PostgresInbox/receive(_:)`` had enough.
    func resumeReading()

    /// Closes the connection once everything is sent.
    func close()
}
