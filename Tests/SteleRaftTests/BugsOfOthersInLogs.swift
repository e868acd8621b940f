import SteleBase
import Testing

@testable import SteleRaft

/// Bugs that other implementations of Raft had with logs, reads, snapshots and flow control, by their
/// number in the project's list of historical bugs; see `BugsOfOthers` for the rest.
@Suite
struct BugsOfOthersInLogs {
    private func ids(_ numbers: [UInt64]) -> [ReplicaID] { numbers.map { ReplicaID($0) } }

    private func snapshot(_ index: LogIndex, term: Term = 1) -> Snapshot {
        Snapshot(index: index, term: term, confState: ConfState(voters: ids([1, 2, 3])))
    }

    // MARK: Reads

    private func confirmation(_ round: UInt64, from id: UInt64, term: Term = 1) -> Message {
        Message(
            type: .heartbeatResponse, from: ReplicaID(id), term: term,
            context: ReadIndexQueue.context(of: round))
    }

    /// Leads a term in which something is committed.
    private func leader(voters: [UInt64] = [1, 2, 3]) -> TestReplica {
        let leader = TestReplica(1, voters: voters)
        leader.lead(with: Array(voters.dropFirst()))
        for voter in voters.dropFirst() { leader.acknowledge(1, from: voter) }
        return leader
    }

    @Test(arguments: [(3, 1), (4, 2), (5, 2)] as [(UInt64, Int)])
    func `17: a read is confirmed by a majority, the leader included`(size: UInt64, others: Int) {
        let leader = leader(voters: Array(1...size))
        leader.group.readIndex(context: [9])
        for answer in 1...others {
            #expect(leader.group.core.readStates.isEmpty)
            try? leader.group.step(addressed(confirmation(1, from: UInt64(answer) + 1)))
        }
        #expect(leader.group.core.readStates == [ReadState(index: 1, context: [9])])
    }

    private func addressed(_ message: Message) -> Message {
        var message = message
        message.to = ReplicaID(1)
        return message
    }

    @Test
    func `17: appends that come late and twice delete nothing`() {
        let replica = TestReplica(1)
        let old = Message.append(term: 1, after: 0, 0, terms: [1])
        replica.receive(old)
        replica.receive(.append(term: 1, after: 1, 1, terms: [1, 1, 1], commit: 1))
        for _ in 0..<2 { replica.receive(old) }
        replica.receive(.append(term: 1, after: 1, 1, terms: [1]))
        replica.receive(.append(term: 1, after: 1, 1))
        #expect(replica.terms == [1, 1, 1, 1] && replica.storage.lastIndex == 4)
    }

    @Test
    func `18: answers to an earlier read do not confirm a later one with the same context`() {
        let leader = leader()
        leader.group.readIndex(context: [9])
        try? leader.group.step(addressed(confirmation(1, from: 2)))
        #expect(leader.group.ready().readStates.count == 1)
        leader.group.advance(Ready())
        // The same again; the answer to the first one arrives once more, and one from 3.
        leader.group.readIndex(context: [9])
        leader.receive(confirmation(1, from: 2))
        leader.receive(confirmation(1, from: 3))
        #expect(leader.group.core.readStates.isEmpty)
        try? leader.group.step(addressed(confirmation(2, from: 3)))
        #expect(leader.group.core.readStates.count == 1)
    }

    @Test
    func `19: no read before the first commit of the term`() {
        // An entry at 2 was committed by the leader before; this one does not know.
        let leader = TestReplica(1, terms: [1, 1], hardState: HardState(term: 1, commit: 1))
        leader.lead()
        leader.group.readIndex(context: [9])
        let heartbeats = leader.drain()
        #expect(!heartbeats.contains { $0.type == .heartbeat && !$0.context.isEmpty })
        leader.receive(confirmation(1, from: 2, term: 2))
        #expect(leader.group.core.readStates.isEmpty)
        leader.acknowledge(3, from: 2)
        try? leader.group.step(addressed(confirmation(1, from: 2, term: 2)))
        #expect(leader.group.core.readStates == [ReadState(index: 3, context: [9])])
    }

    // MARK: Logs and snapshots

    /// Its disk has lied. Nothing can be sent that it could take, and asking at once would be
    /// answered at once, for ever.
    @Test
    func `a follower that lacks what it acknowledged is asked once per heartbeat`() throws {
        let leader = leader()
        leader.group.reportUnreachable(ReplicaID(2))
        _ = try leader.group.propose([[7]])
        func asked(_ messages: [Message]) -> Int {
            messages.count { $0.type == .append && $0.to == ReplicaID(2) }
        }
        #expect(asked(leader.drain()) == 1)
        let rejection = Message(
            type: .appendResponse, from: ReplicaID(2), term: 1, index: 1, reject: true)
        for _ in 0..<3 { #expect(asked(leader.receive(rejection)) == 0) }
        let awake = Message(type: .heartbeatResponse, from: ReplicaID(2), term: 1)
        #expect(asked(leader.receive(awake)) == 1)
        #expect(asked(leader.receive(rejection)) == 0)
    }

    @Test
    func `32: the term of a compacted entry is not 0`() throws {
        let network = TestNetwork { $0.maxInflightMessages = 2 }
        network.elect(1)
        network.loses = { $0.to == ReplicaID(3) && $0.type == .append }
        for number in UInt8(0)..<6 { network.propose(number, at: 1) }
        network[1].compact()
        network.loses = { $0.to == ReplicaID(3) && $0.type == .snapshot }
        network.tick(2)
        #expect(network[3].group.committed <= network[3].group.lastIndex)
        network.loses = { _ in false }
        network[1].group.reportSnapshot(ReplicaID(3), ok: false)
        network.tick(2)
        #expect(network[3].group.committed == 17)
    }

    @Test
    func `32: a follower without the entry before refuses, even if both terms read 0`() {
        let replica = TestReplica(1)
        let answers = replica.receive(.append(term: 1, after: 5, 0, terms: [1], commit: 6))
        #expect(answers.map(\.reject) == [true])
        #expect(replica.group.committed == 0 && replica.group.lastIndex == 0)
    }

    @Test
    func `35: snapshots finish although the log is cut at every write`() {
        let network = TestNetwork()
        network.elect(1)
        network.isolated = [3]
        network.propose(at: 1)
        network.isolated = []
        // The first snapshot is always outdated when it arrives.
        for number in UInt8(0)..<10 {
            network.propose(number, at: 1)
            network[1].compact()
            network.tick()
        }
        #expect(network[3].group.committed == network[1].group.committed)
        #expect(network[1].group.progress(of: ReplicaID(3))?.state == .replicate)
    }

    @Test
    func `37: a replica that refused a snapshot takes the next one`() {
        let replica = TestReplica(1, terms: [1, 1, 3])
        let refused = Message(
            type: .snapshot, from: ReplicaID(2), term: 2, snapshot: snapshot(10, term: 2))
        replica.receive(refused)
        let foreign = Snapshot(index: 10, term: 3, confState: ConfState(voters: ids([2, 3])))
        replica.receive(
            Message(type: .snapshot, from: ReplicaID(2), term: 3, snapshot: foreign))
        #expect(replica.group.lastIndex == 3)
        let answers = replica.receive(
            Message(
                type: .snapshot, from: ReplicaID(2), term: 3, snapshot: snapshot(10, term: 3)))
        #expect(answers.map(\.index) == [10] && replica.group.lastIndex == 10)
    }

    @Test
    func `41: a second snapshot before the first one is durable`() throws {
        let storage = MemoryStorage()
        storage.set(ConfState(voters: ids([1, 2, 3])))
        let group = RaftGroup(
            RaftConfiguration(id: ReplicaID(1), asyncStorageWrites: true), storage: storage)
        var work: [Message] = []
        for index: LogIndex in [10, 20] {
            try group.step(
                Message(
                    type: .snapshot, from: ReplicaID(2), to: ReplicaID(1), term: 1,
                    snapshot: snapshot(index)))
            work += group.ready().messages.filter { $0.to == .appendThread }
        }
        #expect(work.map { $0.snapshot?.index } == [10, 20])
        for message in work {
            #expect(group.core.log.hasSnapshotUnderWay)
            if let snapshot = message.snapshot { storage.restore(snapshot) }
            for response in message.responses where response.to == ReplicaID(1) {
                try group.step(response)
            }
        }
        #expect(!group.core.log.hasSnapshotUnderWay)
        #expect(group.applied == 20 && group.lastIndex == 20)
        try group.step(addressed(.append(term: 1, after: 20, 1, terms: [1], commit: 21)))
        #expect(group.lastIndex == 21)
    }

    @Test
    func `42: a follower that a snapshot brought up to the end is replicated to`() {
        let network = TestNetwork()
        network.elect(1)
        network.isolated = [3]
        for number in UInt8(0)..<3 { network.propose(number, at: 1) }
        network[1].compact()
        network.isolated = []
        // Nothing is written meanwhile.
        network.tick(3)
        let progress = network[1].group.progress(of: ReplicaID(3))
        #expect(progress?.state == .replicate)
        #expect(progress?.match == network[1].group.lastIndex)
    }

    // MARK: Sizes, pages, transfers

    @Test
    func `70: the uncommitted size returns to 0, refused changes and elections included`() throws {
        let network = TestNetwork { $0.maxUncommittedBytes = 64 }
        network.elect(1)
        for round in UInt64(0)..<20 {
            let leader = network[round % 3 + 1]
            network.elect(leader.id.rawValue)
            network.tick()
            for _ in 0..<3 {
                _ = try? leader.group.propose([ArraySlice([UInt8](repeating: 1, count: 30))])
                _ = try? leader.group.proposeConfChange(ConfChange([.add(1), .add(2)]))
                _ = try? leader.group.proposeConfChange(ConfChange([.learner(1)]))
            }
            network.settle()
            network.tick(2)
            #expect(network.leader?.group.core.uncommittedBytes == 0)
        }
        try network.leader?.group.propose([ArraySlice([UInt8](repeating: 1, count: 30))])
    }

    /// Storage that answers with one entry more than asked for, or one less.
    private final class InexactStorage: RaftStorage {
        let exact = MemoryStorage()
        let surplus: Int

        init(surplus: Int) { self.surplus = surplus }

        func initialState() -> (HardState, ConfState) { exact.initialState() }
        func term(at index: LogIndex) throws(RaftStorageError) -> Term {
            try exact.term(at: index)
        }
        var firstIndex: LogIndex { exact.firstIndex }
        var lastIndex: LogIndex { exact.lastIndex }
        func snapshot() throws(RaftStorageError) -> Snapshot { try exact.snapshot() }

        func entries(
            from: LogIndex, upTo: LogIndex, maxBytes: Int, into buffer: inout [Entry]
        ) throws(RaftStorageError) {
            let count = max(1, Int(upTo - from) + surplus)
            let end = min(exact.lastIndex + 1, from + UInt64(count))
            try exact.entries(from: from, upTo: end, maxBytes: maxBytes, into: &buffer)
        }
    }

    @Test(arguments: [-1, 0, 1], [10, 60, Int.max])
    func `71: paginated apply skips nothing, whatever storage answers`(
        surplus: Int, pageBytes: Int
    ) throws {
        let storage = InexactStorage(surplus: surplus)
        storage.exact.set(ConfState(voters: ids([1])))
        storage.exact.append(
            (1...20).map { Entry(term: 1, index: $0, payload: [UInt8($0), 0, 0]) })
        storage.exact.set(HardState(term: 1, vote: ReplicaID(1), commit: 20))
        let group = RaftGroup(
            RaftConfiguration(id: ReplicaID(1), maxCommittedBytesPerReady: pageBytes),
            storage: storage)
        var applied: [LogIndex] = []
        var rounds = 0
        while group.hasReady, rounds < 50 {
            rounds += 1
            let ready = group.ready()
            applied += ready.committedEntries.map(\.index)
            group.advance(ready)
            #expect(group.committed == 20)
        }
        #expect(applied == Array(1...20))
    }

    @Test
    func `72: a transfer refuses proposals, and ends within an election timeout`() throws {
        let network = TestNetwork()
        network.elect(1)
        network.isolated = [3]
        network.propose(at: 1)
        network[1].group.transferLeader(to: ReplicaID(3))
        #expect(throws: RaftError.proposalDropped) { try network[1].group.propose([[1]]) }
        let timeout = network[1].group.configuration.electionTicks
        network.tick(timeout)
        #expect(network[1].group.leadTransferee == .none && network[1].group.isLeader)
        try network[1].group.propose([[2]])
        network.settle()
        network.isolated = []
        network.tick()
        network[1].group.transferLeader(to: ReplicaID(3))
        network.settle()
        #expect(network[3].group.isLeader)
    }

    @Test
    func `72: a target that lags is caught up first, while others propose`() throws {
        let network = TestNetwork { $0.maxBytesPerMessage = 1 }
        network.elect(1)
        network.isolated = [3]
        for number in UInt8(0)..<9 { network.propose(number, at: 1) }
        network.isolated = []
        network[1].group.reportUnreachable(ReplicaID(3))
        network[1].group.transferLeader(to: ReplicaID(3))
        _ = try? network[2].group.propose([[99]])
        network.tick()
        #expect(network[3].group.isLeader)
        #expect(network[3].group.lastIndex == 21, "and nothing was taken meanwhile")
    }
}
