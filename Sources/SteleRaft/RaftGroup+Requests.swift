import SteleBase

/// What the owner of a replica asks of it.
extension RaftGroup {
    /// Starts an election, if this replica may become leader.
    package func campaign() { try? process(Message(type: .hup, from: id)) }

    /// Appends commands as one batch if this replica leads, else passes them on to the leader.
    ///
    /// Returns the index of the first; nil if they were passed on. Their term is `term`.
    @discardableResult
    package func propose(_ payloads: [ArraySlice<UInt8>]) throws(RaftError) -> LogIndex? {
        guard !payloads.isEmpty else { return nil }
        if role == .leader {
            let first = log.lastIndex + 1
            try proposeOwn(payloads)
            checkInDebugBuilds()
            return first
        }
        return try propose(payloads.map { Entry(payload: $0) })
    }

    /// Proposes a change of the membership, in the same way as a command.
    ///
    /// If it does not fit, because another one is not applied yet or a joint configuration has to be
    /// left first, an empty command takes its place.
    @discardableResult
    package func proposeConfChange(
        _ change: ConfChange, v1: Bool = false
    ) throws(RaftError) -> LogIndex? {
        try propose([change.entry(v1: v1)])
    }

    private func propose(_ entries: [Entry]) throws(RaftError) -> LogIndex? {
        let first = log.lastIndex + 1
        try process(Message(type: .propose, from: id, entries: entries))
        return role == .leader ? first : nil
    }

    /// Asks for an index at which a read is linearizable; a ``ReadState`` answers it, or nothing.
    package func readIndex(context: ArraySlice<UInt8>) {
        try? process(Message(type: .readIndex, context: context))
    }

    /// Hands leadership to another voter; a follower passes the request on to the leader.
    package func transferLeader(to target: ReplicaID) {
        try? process(Message(type: .transferLeader, from: target))
    }

    /// Makes a follower forget its leader, so that it votes again without waiting.
    package func forgetLeader() { try? process(Message(type: .forgetLeader)) }

    /// Reports that a message to a peer was probably lost.
    package func reportUnreachable(_ peer: ReplicaID) {
        try? process(Message(type: .unreachable, from: peer))
    }

    /// Reports that the sending of a snapshot ended.
    package func reportSnapshot(_ peer: ReplicaID, ok: Bool) {
        try? process(Message(type: .snapshotStatus, from: peer, reject: !ok))
    }

    /// Reports that entries which storage called temporarily unavailable can be read now.
    package func entriesAvailable() {
        log.awaitsEntries = false
        guard role == .leader else { return }
        for slot in tracker.progress.indices where tracker.progress[slot].id != id {
            while sendAppend(toSlot: slot, evenIfEmpty: false) {}
        }
    }
}
