/// Every limit of the kernel, in one place. Sizes are in bytes unless the name says otherwise.
///
/// What a user or a peer may exceed is reported by one error that names it, ``LimitExceeded``. What a
/// page, queue or cache of the kernel's own may grow to is here too, and nobody can exceed that: a
/// page ends, a queue answers with a retryable error, a cache forgets. What a statement or session
/// of SQL may exceed is reported as PostgreSQL reports such things.
public enum Limits {
    /// The longest key that a user may write.
    public static let keyBytes = 8 << 10
    /// The longest key that is stored: one of a user's behind what the kernel puts before it.
    package static let storedKeyBytes = keyBytes + 256
    /// The longest value that a user may write.
    public static let valueBytes = 4 << 20
    /// Tuples within tuples in a key that can be decoded.
    package static let keyNesting = 32
    /// Keys and values that a transaction may buffer before it commits.
    public static let transactionBytes = 64 << 20
    /// Writes that a transaction may buffer before it commits, however small.
    public static let transactionWrites = 1 << 20
    /// Keys that a transaction has read or locked, and what it expects: its commit names them all.
    package static let transactionReadBytes = 32 << 20
    /// Keys of which a transaction may expect values: its leader looks all of them up in one piece.
    public static let expectedKeys = 1 << 10
    /// Keys that one read or one request for locks may name.
    package static let requestKeys = 1 << 16
    /// Keys that a leader reads or locks in one piece; more are asked for one after the other.
    package static let keysAtOnce = 512
    /// Values that a read of single keys may be answered with: what one message holds.
    package static let answerBytes = messageBytes - (1 << 20)
    /// What the tablets of a node read in one turn for answers, which all leave at its end.
    /// Requests that come to more wait for the next turn.
    package static let turnAnswerBytes = 8 << 20
    /// What the tablets of a node begin in one turn, in nanoseconds as they are estimated. Requests
    /// that come to more wait for the next turn, or go on there.
    package static let turnWork = 2_000_000
    /// What the leader of a tablet remembers of its last writes.
    package static let recentWriteBytes = 2 << 20
    /// What may wait for the network on the way to a node before nothing large is added.
    package static let peerBacklogBytes = 32 << 20
    /// What all open transactions of a node, and requests that wait for their answers, may hold
    /// together.
    package static let bufferedBytes = 512 << 20
    /// One frame between peers or from a client. Longer messages travel in several frames.
    package static let frameBytes = 16 << 20
    /// One message between peers, reassembled: a whole transaction, what it has read, and 32 bytes
    /// for each of its writes. What does not fit would never reach another replica.
    package static let messageBytes =
        transactionBytes + transactionReadBytes + 32 * transactionWrites
    /// Keys and values of one page of a scan.
    package static let scanPageBytes = 1 << 20
    /// Keys with versions, visible or not, that one page of a scan passes.
    package static let scanPageKeys = 4_096
    /// Entries appended to a node's log that are not committed yet.
    package static let logInFlightBytes = 64 << 20
    /// Durable entries of all tablets that a node keeps in memory, for followers that lag.
    package static let logCacheBytes = 64 << 20
    /// What a node caches of its store unless told otherwise.
    public static let cacheBytes = 128 << 20
    /// What a node keeps of the log of one tablet for replicas that are down, and of the logs of all
    /// tablets for whoever lags. A replica that lacks more is not caught up any more.
    package static let tabletLogBytes = 64 << 20
    package static let nodeLogBytes = 1 << 30
    /// Connections that a node accepts.
    package static let connections = 10_000
    /// What the connections of all clients of a node hold together: requests that have not arrived
    /// in full, and answers that were not sent. Those that hold less than `spareConnectionBytes`
    /// may always stay.
    package static let connectionBytes = 512 << 20
    package static let spareConnectionBytes = 64 << 10
    /// Requests of one connection of a client that wait for their answers. Steps of transactions may
    /// be eight times as many: the end of a transaction must get through.
    package static let openRequests = 1_024
    /// Transactions that one connection of a client has open at a time.
    package static let openTransactions = 4_096
    /// Steps of one transaction that wait for the one before.
    package static let queuedSteps = 64

    // MARK: SQL

    /// The longest text that an expression of SQL computes.
    package static let textBytes = 64 << 20
    /// What a statement of SQL holds: rows that it sorts, groups or cannot send yet; or the values
    /// of one row while it is computed.
    package static let statementBytes = 256 << 20
    /// Words, numbers and signs in a text of SQL: a tree takes up to a kilobyte for each.
    package static let statementTokens = 1 << 19
    /// Messages of clients of the Postgres front that have not arrived in full, of all clients
    /// together. Those below `spareConnectionBytes` do not count.
    package static let frontBytes = 512 << 20
    /// What the prepared statements of a session of SQL take up, and what its portals do.
    package static let sessionBytes = 64 << 20
    /// Savepoints that a transaction of SQL has set and not released.
    package static let savepoints = 1 << 16
    /// Settings of a session that have values of their own, and how long each of those may be.
    package static let settings = 1_024
    package static let settingBytes = 64 << 10
}
