import SteleBase

/// Why storage cannot answer.
package enum RaftStorageError: Error, Hashable, Sendable {
    /// The index lies below the log, in what was compacted away.
    case compacted
    /// The index lies above the log.
    case unavailable
    /// No snapshot can be had now; the caller asks again later.
    case snapshotTemporarilyUnavailable
    /// The entries are being fetched; the owner says when they are there.
    case temporarilyUnavailable
}

/// What a group has made durable, or at least handed to its append thread.
///
/// Looked up synchronously, so everything but payloads has to be in memory. In asynchronous mode
/// the owner may answer with entries as soon as it got them from the group; the group itself keeps
/// those that are not durable and asks only for the others.
package protocol RaftStorage: AnyObject {
    /// The hard state and membership to start from.
    ///
    /// The term should not be below that of the last entry: a group that starts from a snapshot
    /// made elsewhere starts in the snapshot's term. The membership is the one as of the applied
    /// index that the group is configured with.
    func initialState() -> (HardState, ConfState)

    /// Adds entries `from ..< upTo` to a buffer, cut off before the one that would exceed
    /// `maxBytes`, but at least one.
    ///
    /// May be fewer for other reasons too. `temporarilyUnavailable` leaves everything as it is
    /// until ``RaftGroup/entriesAvailable()`` or the next answer to a heartbeat.
    func entries(
        from: LogIndex, upTo: LogIndex, maxBytes: Int, into buffer: inout [Entry]
    ) throws(RaftStorageError)

    /// The term of an entry, always known for `firstIndex - 1 ... lastIndex`.
    func term(at index: LogIndex) throws(RaftStorageError) -> Term

    /// The first index that was not compacted away.
    var firstIndex: LogIndex { get }

    /// The last index, `firstIndex - 1` in an empty log.
    var lastIndex: LogIndex { get }

    /// A recent snapshot, not older than `firstIndex - 1`.
    func snapshot() throws(RaftStorageError) -> Snapshot
}

extension RaftStorage {
    /// The same entries in an array of their own.
    package func entries(
        from: LogIndex, upTo: LogIndex, maxBytes: Int
    ) throws(RaftStorageError) -> [Entry] {
        var entries: [Entry] = []
        try self.entries(from: from, upTo: upTo, maxBytes: maxBytes, into: &entries)
        return entries
    }
}
