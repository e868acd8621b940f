import SteleBase

/// The number of an election period; at most one leader exists in each. 0 precedes them all.
package typealias Term = UInt64

/// The position of an entry in a group's log; the first entry has 1.
package typealias LogIndex = UInt64

/// What an entry of the log carries.
package enum EntryType: UInt8, Sendable {
    /// A command of the state machine, or nothing.
    case normal = 0
    /// A change of one member, in the form that predates joint consensus.
    case confChange = 1
    /// Any number of membership changes, or with an empty payload the end of a joint configuration.
    case confChangeV2 = 2
}

/// One entry of the replicated log.
package struct Entry: Hashable, Sendable {
    /// The term of the leader that proposed it.
    package var term: Term
    /// Its position in the log.
    package var index: LogIndex
    /// What the payload is.
    package var type: EntryType
    /// Opaque bytes, often a slice of the buffer that a message arrived in.
    package var payload: ArraySlice<UInt8>

    package init(
        term: Term = 0, index: LogIndex = 0, type: EntryType = .normal,
        payload: ArraySlice<UInt8> = []
    ) {
        self.term = term
        self.index = index
        self.type = type
        self.payload = payload
    }

    /// Index and term together, which name the entry and all that precede it.
    package var position: LogPosition { LogPosition(index: index, term: term) }

    /// What the entry counts for wherever a size limit applies to whole entries.
    package var byteCount: Int {
        4 + varintSize(term) + varintSize(index)
            + (payload.isEmpty ? 0 : 1 + varintSize(UInt64(payload.count)) + payload.count)
    }

    private func varintSize(_ value: UInt64) -> Int {
        max(1, (UInt64.bitWidth - value.leadingZeroBitCount + 6) / 7)
    }
}

extension Collection<Entry> {
    /// The size of all entries, where limits apply to whole entries.
    package var byteCount: Int { reduce(0) { $0 + $1.byteCount } }

    /// The size of all payloads.
    package var payloadByteCount: Int { reduce(0) { $0 + $1.payload.count } }

    /// The longest prefix of at most `maxBytes`, but never less than one entry.
    package func limited(toBytes maxBytes: Int) -> SubSequence {
        guard maxBytes < .max else { return self[...] }
        var size = 0
        var end = startIndex
        while end != endIndex {
            size += self[end].byteCount
            if end != startIndex, size > maxBytes { break }
            end = index(after: end)
        }
        return self[..<end]
    }
}

/// What a replica must never forget, besides its log.
package struct HardState: Hashable, Sendable {
    /// The latest term seen.
    package var term: Term
    /// Whom this replica voted for in that term.
    package var vote: ReplicaID
    /// The highest index known to be committed.
    package var commit: LogIndex

    package init(term: Term = 0, vote: ReplicaID = .none, commit: LogIndex = 0) {
        self.term = term
        self.vote = vote
        self.commit = commit
    }

    /// The state of a replica that has seen nothing.
    package static let empty = HardState()
}

/// The members of a group as they are stored and sent; all lists ascend.
package struct ConfState: Hashable, Sendable {
    /// Voters; in a joint configuration, those of the new one.
    package var voters: [ReplicaID]
    /// The voters of the old configuration while a joint one is in force, else empty.
    package var votersOutgoing: [ReplicaID]
    /// Replicas that receive the log and do not vote.
    package var learners: [ReplicaID]
    /// Voters of the old configuration that become learners when it is left.
    package var learnersNext: [ReplicaID]
    /// Whether the leader ends the joint configuration by itself.
    package var autoLeave: Bool

    package init(
        voters: [ReplicaID] = [], votersOutgoing: [ReplicaID] = [], learners: [ReplicaID] = [],
        learnersNext: [ReplicaID] = [], autoLeave: Bool = false
    ) {
        self.voters = voters
        self.votersOutgoing = votersOutgoing
        self.learners = learners
        self.learnersNext = learnersNext
        self.autoLeave = autoLeave
    }
}

/// The state machine at one index, or what its owner needs to fetch it.
package struct Snapshot: Hashable, Sendable {
    /// The last index whose effects it contains.
    package var index: LogIndex
    /// The term of the entry there.
    package var term: Term
    /// The membership at that index.
    package var confState: ConfState
    /// Opaque to consensus.
    package var data: ArraySlice<UInt8>

    package init(
        index: LogIndex = 0, term: Term = 0, confState: ConfState = ConfState(),
        data: ArraySlice<UInt8> = []
    ) {
        self.index = index
        self.term = term
        self.confState = confState
        self.data = data
    }

    /// The position that the snapshot replaces the log up to.
    package var position: LogPosition { LogPosition(index: index, term: term) }
}

/// A place for a snapshot that takes one word while there is none.
indirect enum SnapshotBox: Hashable, Sendable {
    case empty
    case full(Snapshot)

    init(_ snapshot: Snapshot?) { self = snapshot.map { .full($0) } ?? .empty }

    var content: Snapshot? {
        guard case .full(let snapshot) = self else { return nil }
        return snapshot
    }

    var position: LogPosition? {
        guard case .full(let snapshot) = self else { return nil }
        return snapshot.position
    }
}

/// The part a replica plays in its current term.
package enum Role: UInt8, Sendable {
    /// Follows a leader, or waits for one.
    case follower
    /// Asks whether an election could be won, without raising its term.
    case preCandidate
    /// Asks for votes.
    case candidate
    /// Replicates its log to the others.
    case leader
}

/// What changes with leadership and need not survive a restart.
package struct SoftState: Hashable, Sendable {
    /// The leader of the current term, if known.
    package var lead: ReplicaID
    /// The part this replica plays.
    package var role: Role

    package init(lead: ReplicaID, role: Role) {
        self.lead = lead
        self.role = role
    }
}

/// The answer to a read: once `index` is applied, local state is fresh enough for it.
package struct ReadState: Hashable, Sendable {
    /// The index to wait for.
    package var index: LogIndex
    /// What the reader passed to tell its requests apart.
    package var context: ArraySlice<UInt8>

    package init(index: LogIndex, context: ArraySlice<UInt8>) {
        self.index = index
        self.context = context
    }
}

/// Why a request was not taken.
package enum RaftError: Error, Hashable, Sendable, CustomStringConvertible {
    /// There is no leader to propose to, or it cannot take proposals now.
    case proposalDropped
    /// A message that only the replica itself may create came from outside.
    case localMessage
    /// A response came from a replica that is no member.
    case peerNotFound

    package var description: String {
        switch self {
        case .proposalDropped: "raft proposal dropped"
        case .localMessage: "raft: cannot step raft local message"
        case .peerNotFound: "raft: cannot step as peer not found"
        }
    }
}

extension ReplicaID {
    /// The local target that appends to the log and answers once that is durable.
    package static var appendThread: ReplicaID { ReplicaID(.max) }

    /// The local target that applies committed entries and answers once that is done.
    package static var applyThread: ReplicaID { ReplicaID(.max - 1) }

    /// Whether this names a part of the own node instead of a replica.
    package var isLocalTarget: Bool { self == .appendThread || self == .applyThread }
}
