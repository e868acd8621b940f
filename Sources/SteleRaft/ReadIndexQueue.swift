import SteleBase

/// Reads that wait until a quorum has confirmed that the leader still leads.
///
/// Every read gets a round of its own. Heartbeats carry the newest round, and an answer confirms
/// that round and all before it. Rounds are never used twice in a term, so an old answer cannot
/// confirm a later read, even if the reader chose the same context again.
struct ReadIndexQueue {
    struct Pending {
        let round: UInt64
        /// The commit index when the read arrived.
        let index: LogIndex
        let request: Message
    }

    /// By ascending round.
    private var pending: [Pending] = []
    private var lastRound: UInt64 = 0

    /// The round that heartbeats ask to confirm; nil while nobody waits.
    var newestRound: UInt64? { pending.last?.round }

    /// Adds a read; returns its round.
    mutating func add(_ request: Message, at index: LogIndex) -> UInt64 {
        lastRound += 1
        pending.append(Pending(round: lastRound, index: index, request: request))
        return lastRound
    }

    /// Takes out the reads whose rounds are confirmed.
    mutating func confirm(through round: UInt64) -> ArraySlice<Pending> {
        let end = pending.firstIndex { $0.round > round } ?? pending.endIndex
        let confirmed = pending[..<end]
        if end > 0 { pending.removeFirst(end) }
        return confirmed
    }

    /// The form of a round in a heartbeat's context.
    static func context(of round: UInt64) -> ArraySlice<UInt8> {
        var writer = ByteWriter(reserving: 8)
        writer.write(round)
        return writer.bytes[...]
    }

    /// The round that a heartbeat's answer confirms; nil for anything else.
    static func round(in context: ArraySlice<UInt8>) -> UInt64? {
        var reader = ByteReader(context)
        guard context.count == 8 else { return nil }
        return try? reader.read(UInt64.self)
    }
}
