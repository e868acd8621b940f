import SteleBase
import SteleRaft

/// Messages as they come from the network, one after the other, to a follower, a candidate or a
/// leader; between them time passes and the disk works.
///
/// The first byte says what the replica is, and every message is preceded by a byte that says what
/// happens before it. What can be read must come back from its encoding, and no invariant may break.
package func fuzzRaft(_ bytes: UnsafeRawBufferPointer) {
    guard bytes.count > 1 else { return }
    let subject = FuzzedReplica(kind: bytes[0])
    var reader = ByteReader(Array(bytes.dropFirst())[...])
    while let action = try? reader.read(UInt8.self) {
        subject.act(action)
        guard let message = try? Message(from: &reader) else { return }
        var writer = ByteWriter()
        message.encode(into: &writer)
        var again = ByteReader(writer.bytes)
        let copy = try? Message(from: &again)
        invariant(copy == message && again.isAtEnd, "\(message) does not come back")
        subject.receive(message)
    }
}

/// Replica 1 of three, with a disk in memory.
private final class FuzzedReplica {
    private let group: RaftGroup
    private let storage = FuzzedStorage()

    init(kind: UInt8) {
        var configuration = RaftConfiguration(id: ReplicaID(1), applied: 10, seed: 1)
        configuration.checkQuorum = kind & 4 != 0
        configuration.preVote = kind & 8 != 0
        configuration.maxBytesPerMessage = kind & 16 != 0 ? 1 : .max
        configuration.maxCommittedBytesPerReady = kind & 32 != 0 ? 1 : .max
        if kind & 12 == 12, kind & 64 != 0 { configuration.hibernationTicks = 1 }
        group = RaftGroup(configuration, storage: storage)
        guard kind & 3 != 0 else { return }
        group.campaign()
        settle()
        guard kind & 2 != 0 else { return }
        for type: MessageType in [.preVoteResponse, .voteResponse] {
            var vote = Message(type: type, from: ReplicaID(2), to: ReplicaID(1))
            vote.term = group.role == .preCandidate ? group.term + 1 : group.term
            receive(vote)
        }
        invariant(group.isLeader, "the votes of two of three make no leader")
    }

    func act(_ action: UInt8) {
        switch action % 16 {
        case 0...3: for _ in 0..<action % 4 { group.tick() }
        case 4: group.campaign()
        case 5: _ = try? group.propose([[1, 2, 3]])
        case 6: group.readIndex(context: [4, 5])
        case 7: group.transferLeader(to: ReplicaID(3))
        case 8: group.forgetLeader()
        case 9: storage.compact(through: group.applied)
        case 10:
            let change = ConfChange([MemberChange(.addVoter, ReplicaID(UInt64(action / 16)))])
            _ = try? group.proposeConfChange(change)
        case 11: group.wake()
        default: break
        }
        settle()
    }

    func receive(_ message: Message) {
        var message = message
        message.to = ReplicaID(1)
        try? group.step(message)
        group.checkInvariants()
        settle()
    }

    private func settle() {
        while group.hasReady {
            let ready = group.ready()
            if let snapshot = ready.snapshot { storage.restore(snapshot) }
            storage.append(ready.entries)
            for entry in ready.committedEntries where entry.type != .normal {
                if let change = try? ConfChange(decoding: entry) {
                    group.applyConfChange(change, at: entry.index)
                }
            }
            group.advance(ready)
            group.checkInvariants()
        }
    }
}

/// A log in memory that starts at index 10, term 5.
private final class FuzzedStorage: RaftStorage {
    private var start = LogPosition(index: 10, term: 5)
    private var entries: [Entry] = []
    private var members = ConfState(voters: [ReplicaID(1), ReplicaID(2), ReplicaID(3)])

    var firstIndex: LogIndex { start.index + 1 }
    var lastIndex: LogIndex { start.index + UInt64(entries.count) }

    func initialState() -> (HardState, ConfState) { (HardState(term: 5, commit: 10), members) }

    func entries(
        from: LogIndex, upTo: LogIndex, maxBytes: Int, into buffer: inout [Entry]
    ) throws(RaftStorageError) {
        if from < firstIndex { throw .compacted }
        if upTo > lastIndex + 1 { throw .unavailable }
        let slice = entries[Int(from - firstIndex)..<Int(upTo - firstIndex)]
        buffer += slice.limited(toBytes: maxBytes)
    }

    func term(at index: LogIndex) throws(RaftStorageError) -> Term {
        if index == start.index { return start.term }
        if index < firstIndex { throw .compacted }
        if index > lastIndex { throw .unavailable }
        return entries[Int(index - firstIndex)].term
    }

    func snapshot() throws(RaftStorageError) -> Snapshot {
        Snapshot(index: start.index, term: start.term, confState: members)
    }

    func append(_ added: [Entry]) {
        guard let first = added.first else { return }
        invariant(first.index >= firstIndex && first.index <= lastIndex + 1, "a gap in the log")
        entries.replaceSubrange(Int(first.index - firstIndex)..., with: added)
    }

    func restore(_ snapshot: Snapshot) {
        start = snapshot.position
        members = snapshot.confState
        entries = []
    }

    func compact(through index: LogIndex) {
        guard index >= firstIndex, index <= lastIndex else { return }
        let kept = entries[Int(index - firstIndex)]
        entries.removeFirst(Int(index - firstIndex) + 1)
        start = kept.position
    }
}
