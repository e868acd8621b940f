import SteleBase

@testable import SteleRaft

/// One replica with a perfect disk, driven in classic mode.
final class TestReplica {
    let group: RaftGroup
    let storage: MemoryStorage
    /// What the state machine applied, through which index, and with which members.
    private(set) var applied: [Entry] = []
    private var state: Snapshot
    /// Committed entries are handed out, but not applied, while this is set.
    var withholdsApply = false
    private var withheld: Ready?

    /// A log with one entry for each of `terms`, from index 1 on; `snapshot` goes before it.
    init(
        _ id: UInt64, voters: [UInt64] = [1, 2, 3], learners: [UInt64] = [], terms: [Term] = [],
        hardState: HardState? = nil, snapshot: Snapshot? = nil, storage: MemoryStorage? = nil,
        configure: (inout RaftConfiguration) -> Void = { _ in }
    ) {
        let disk = storage ?? MemoryStorage()
        state = snapshot ?? Snapshot()
        if storage == nil {
            let members = ConfState(
                voters: voters.map { ReplicaID($0) }, learners: learners.map { ReplicaID($0) })
            if let snapshot { disk.restore(snapshot) } else { disk.set(members) }
            let first = disk.lastIndex + 1
            disk.append(
                terms.enumerated().map { Entry(term: $1, index: first + UInt64($0)) })
            disk.set(hardState ?? HardState(term: terms.last ?? snapshot?.term ?? 0))
            if snapshot == nil { state.confState = members }
        }
        var configuration = RaftConfiguration(id: ReplicaID(id), applied: state.index, seed: id)
        configure(&configuration)
        self.storage = disk
        group = RaftGroup(configuration, storage: disk)
        disk.makeSnapshot = { [unowned self] in state }
    }

    var id: ReplicaID { group.id }

    /// The terms of all entries from index 1 on, or from the first one that is left.
    var terms: [Term] {
        (group.firstIndex..<group.lastIndex + 1).map { group.termOfEntry(at: $0) ?? 0 }
    }

    /// Makes durable, applies, and hands over what is to be sent.
    @discardableResult
    func drain() -> [Message] {
        var sent: [Message] = []
        while group.hasReady, withheld == nil {
            let ready = group.ready()
            if let state = ready.hardState { storage.set(state) }
            if let snapshot = ready.snapshot {
                storage.restore(snapshot)
                state = snapshot
            }
            storage.append(ready.entries)
            sent += ready.messages
            if withholdsApply, !ready.committedEntries.isEmpty {
                withheld = ready
            } else {
                finish(ready)
            }
        }
        return sent
    }

    private func finish(_ ready: Ready) {
        for entry in ready.committedEntries {
            applied.append(entry)
            state.index = entry.index
            state.term = entry.term
            if entry.type != .normal, let change = try? ConfChange(decoding: entry) {
                state.confState = group.applyConfChange(change, at: entry.index)
            }
        }
        group.advance(ready)
    }

    /// Ends `withholdsApply`.
    @discardableResult
    func applyWithheld() -> [Message] {
        withholdsApply = false
        if let ready = withheld {
            withheld = nil
            finish(ready)
        }
        return drain()
    }

    /// Takes a message and hands over the answers.
    @discardableResult
    func receive(_ message: Message) -> [Message] {
        var message = message
        message.to = id
        try? group.step(message)
        return drain()
    }

    /// Lets ticks pass, and hands over what is to be sent.
    @discardableResult
    func tick(_ count: Int = 1) -> [Message] {
        for _ in 0..<count { group.tick() }
        return drain()
    }

    /// Leads, with the votes of those voters; they acknowledge the first entry of the term.
    @discardableResult
    func lead(with voters: [UInt64] = [2]) -> [Message] {
        group.campaign()
        drain()
        for voter in voters {
            if group.role == .preCandidate {
                receive(
                    Message(type: .preVoteResponse, from: ReplicaID(voter), term: group.term + 1))
            }
        }
        for voter in voters {
            receive(Message(type: .voteResponse, from: ReplicaID(voter), term: group.term))
        }
        return drain()
    }

    @discardableResult
    func acknowledge(_ index: LogIndex, from voter: UInt64) -> [Message] {
        receive(
            Message(
                type: .appendResponse, from: ReplicaID(voter), term: group.term, index: index))
    }

    /// Drops the log through what was applied.
    func compact() { _ = storage.compact(through: group.applied) }
}

/// Replicas and a network between them that loses what crosses a cut.
final class TestNetwork {
    let replicas: [TestReplica]
    /// Replicas that nothing reaches, and nothing comes from.
    var isolated: [UInt64] = []
    /// Links that lose everything, by sender and receiver.
    var cuts: [(from: UInt64, to: UInt64)] = []
    /// What else gets lost.
    var loses: (Message) -> Bool = { _ in false }

    init(_ replicas: [TestReplica]) { self.replicas = replicas }

    /// The members start from a snapshot at index 10, so that others can be added.
    convenience init(
        voters: [UInt64] = [1, 2, 3], learners: [UInt64] = [], blank: [UInt64] = [],
        configure: (inout RaftConfiguration) -> Void = { _ in }
    ) {
        let state = ConfState(
            voters: voters.map { ReplicaID($0) }, learners: learners.map { ReplicaID($0) })
        let snapshot = Snapshot(index: 10, term: 1, confState: state)
        self.init(
            (voters + learners).map { TestReplica($0, snapshot: snapshot, configure: configure) }
                + blank.map { TestReplica($0, voters: [], configure: configure) })
    }

    subscript(_ id: UInt64) -> TestReplica {
        guard let replica = replicas.first(where: { $0.id == ReplicaID(id) }) else {
            invariantFailed("there is no replica \(id)")
        }
        return replica
    }

    var leader: TestReplica? {
        replicas.filter(\.group.isLeader).max { $0.group.term < $1.group.term }
    }

    /// Delivers messages until there are none.
    func settle() {
        for _ in 0..<1_000 {
            var queue: [Message] = []
            for replica in replicas { queue += replica.drain() }
            if queue.isEmpty { return }
            for message in queue where passes(message) {
                try? replicas.first { $0.id == message.to }?.group.step(message)
            }
        }
        invariantFailed("messages never end")
    }

    private func passes(_ message: Message) -> Bool {
        let (from, to) = (message.from.rawValue, message.to.rawValue)
        return !isolated.contains(from) && !isolated.contains(to)
            && !cuts.contains { $0.from == from && $0.to == to } && !loses(message)
    }

    func elect(_ id: UInt64) {
        self[id].group.campaign()
        settle()
    }

    /// Lets ticks pass at all replicas, with all messages after each.
    func tick(_ count: Int = 1) {
        for _ in 0..<count {
            for replica in replicas { replica.group.tick() }
            settle()
        }
    }

    func propose(_ number: UInt8 = 1, at id: UInt64) {
        _ = try? self[id].group.propose([[number]])
        settle()
    }

    func change(
        _ changes: [MemberChange], transition: ConfChangeTransition = .auto, at id: UInt64
    ) {
        _ = try? self[id].group.proposeConfChange(ConfChange(changes, transition: transition))
        settle()
    }
}

extension MemberChange {
    static func add(_ id: UInt64) -> MemberChange { MemberChange(.addVoter, ReplicaID(id)) }
    static func learner(_ id: UInt64) -> MemberChange { MemberChange(.addLearner, ReplicaID(id)) }
    static func remove(_ id: UInt64) -> MemberChange { MemberChange(.remove, ReplicaID(id)) }
}

extension Message {
    /// An append of entries with those terms behind a position.
    static func append(
        from: UInt64 = 2, term: Term, after index: LogIndex, _ logTerm: Term, terms: [Term] = [],
        commit: LogIndex = 0
    ) -> Message {
        Message(
            type: .append, from: ReplicaID(from), term: term, logTerm: logTerm, index: index,
            entries: terms.enumerated().map { Entry(term: $1, index: index + 1 + UInt64($0)) },
            commit: commit)
    }

    static func vote(
        from: UInt64 = 2, term: Term, last index: LogIndex, _ logTerm: Term
    ) -> Message {
        Message(
            type: .vote, from: ReplicaID(from), term: term, logTerm: logTerm, index: index)
    }
}
