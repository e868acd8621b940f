import SteleBase

/// What the owner of a replica asks of it; see ``RaftGroup`` for the words.
extension RaftCore {
    /// Handles a request that cannot fail; one that does not fit is ignored.
    mutating func request(_ message: Message) {
        wake()
        try? process(message)
        checkInDebugBuilds()
    }

    mutating func propose(_ payloads: [ArraySlice<UInt8>]) throws(RaftError) -> LogIndex? {
        guard !payloads.isEmpty else { return nil }
        wake()
        if role == .leader {
            let first = log.lastIndex + 1
            try proposeOwn(payloads)
            checkInDebugBuilds()
            return first
        }
        return try propose(payloads.map { Entry(payload: $0) })
    }

    mutating func propose(_ entries: [Entry]) throws(RaftError) -> LogIndex? {
        wake()
        let first = log.lastIndex + 1
        try process(Message(type: .propose, from: id, entries: entries))
        return role == .leader ? first : nil
    }

    mutating func entriesAvailable() {
        log.awaitsEntries = false
        guard role == .leader else { return }
        for slot in tracker.progress.indices where tracker.progress[slot].id != id {
            while sendAppend(toSlot: slot, evenIfEmpty: false) {}
        }
    }
}
