import SteleBase
import Testing

@testable import SteleRaft

/// The rules of figure 2 of "In Search of an Understandable Consensus Algorithm" (Ongaro and
/// Ousterhout, 2014), one test each, in the order of the figure.
@Suite
struct PaperFigureTwo {
    // MARK: State

    @Test
    func `State: current term, vote and log survive a restart`() {
        let replica = TestReplica(1)
        replica.receive(.append(term: 3, after: 0, 0, terms: [1, 3]))
        replica.receive(.vote(from: 3, term: 4, last: 2, 3))
        let restarted = TestReplica(1, storage: replica.storage)
        #expect(restarted.group.term == 4)
        #expect(restarted.group.vote == ReplicaID(3))
        #expect(restarted.terms == [1, 3])
    }

    @Test
    func `State: commit index starts from what is known and only grows`() {
        let replica = TestReplica(1, terms: [1, 1, 1], hardState: HardState(term: 1, commit: 2))
        #expect(replica.group.committed == 2)
        replica.receive(.append(term: 1, after: 3, 1, commit: 1))
        #expect(replica.group.committed == 2)
    }

    @Test
    func `State: a new leader sends from behind its last entry on and knows of no match`() {
        let leader = TestReplica(1, terms: [1, 1])
        leader.lead()
        #expect(leader.group.progress(of: ReplicaID(2))?.match == 0)
        #expect(leader.group.progress(of: ReplicaID(2))?.next == 3)
    }

    // MARK: AppendEntries

    @Test
    func `AppendEntries 1: an append of an earlier term is refused`() {
        let replica = TestReplica(1, terms: [2]) { $0.checkQuorum = true }
        let answers = replica.receive(.append(term: 1, after: 0, 0, terms: [1]))
        #expect(replica.terms == [2])
        #expect(answers.map(\.term) == [2], "the sender learns of the term")
    }

    @Test(arguments: [(2, 2), (3, 2)] as [(LogIndex, Term)])
    func `AppendEntries 2: an append is refused unless the log holds the entry before`(
        index: LogIndex, term: Term
    ) {
        let replica = TestReplica(1, terms: [1, 1])
        let answers = replica.receive(.append(term: 2, after: index, term, terms: [2]))
        #expect(answers.map(\.reject) == [true])
        #expect(replica.terms == [1, 1])
    }

    @Test
    func `AppendEntries 3: an entry in conflict is deleted with all that follow it`() {
        let replica = TestReplica(1, terms: [1, 1, 1, 1])
        replica.receive(.append(term: 2, after: 1, 1, terms: [2]))
        #expect(replica.terms == [1, 2])
        #expect(replica.storage.lastIndex == 2)
    }

    @Test
    func `AppendEntries 3: entries that agree are not deleted by an old append`() {
        let replica = TestReplica(1, terms: [1, 1, 1, 1])
        let answers = replica.receive(.append(term: 1, after: 1, 1, terms: [1]))
        #expect(replica.terms == [1, 1, 1, 1])
        #expect(answers.map(\.index) == [2])
    }

    @Test
    func `AppendEntries 4: entries that are missing are appended`() {
        let replica = TestReplica(1, terms: [1])
        let answers = replica.receive(.append(term: 2, after: 0, 0, terms: [1, 1, 2]))
        #expect(replica.terms == [1, 1, 2])
        #expect(answers.map(\.index) == [3] && answers.allSatisfy { !$0.reject })
    }

    @Test(arguments: [(2, 2), (9, 3)] as [(LogIndex, LogIndex)])
    func `AppendEntries 5: commit index is the leader's, or the last new entry if that is less`(
        leaderCommit: LogIndex, expected: LogIndex
    ) {
        let replica = TestReplica(1, terms: [1, 1, 1, 1])
        replica.receive(.append(term: 1, after: 1, 1, terms: [1, 1], commit: leaderCommit))
        #expect(replica.group.committed == expected)
    }

    // MARK: RequestVote

    @Test
    func `RequestVote 1: a request of an earlier term gets no vote`() {
        let replica = TestReplica(1, terms: [3])
        let answers = replica.receive(.vote(term: 2, last: 9, 3))
        #expect(!answers.contains { $0.type == .voteResponse && !$0.reject })
        #expect(replica.group.vote == .none && replica.group.term == 3)
    }

    @Test
    func `RequestVote 2: one vote a term, which may be repeated`() {
        let replica = TestReplica(1, terms: [1])
        #expect(replica.receive(.vote(from: 2, term: 2, last: 1, 1)).map(\.reject) == [false])
        #expect(replica.receive(.vote(from: 3, term: 2, last: 5, 1)).map(\.reject) == [true])
        #expect(replica.receive(.vote(from: 2, term: 2, last: 1, 1)).map(\.reject) == [false])
        #expect(replica.receive(.vote(from: 3, term: 3, last: 5, 1)).map(\.reject) == [false])
    }

    @Test(arguments: [
        (2, 2, true), (3, 2, true), (1, 3, true), (1, 2, false), (9, 1, false),
    ] as [(LogIndex, Term, Bool)])
    func `RequestVote 2: a vote goes only to a log that is at least as up to date`(
        index: LogIndex, term: Term, isGranted: Bool
    ) {
        let replica = TestReplica(1, terms: [1, 2])
        let answers = replica.receive(.vote(term: 5, last: index, term))
        #expect(answers.map(\.reject) == [!isGranted])
    }

    // MARK: All servers

    @Test
    func `All servers: what is committed is applied, in order and once`() {
        let replica = TestReplica(1)
        replica.receive(.append(term: 1, after: 0, 0, terms: [1, 1, 1], commit: 2))
        replica.receive(.append(term: 1, after: 2, 1, terms: [1], commit: 3))
        #expect(replica.applied.map(\.index) == [1, 2, 3])
    }

    @Test(arguments: [
        MessageType.append, .heartbeat, .vote, .voteResponse, .appendResponse, .heartbeatResponse,
    ])
    func `All servers: a later term makes a follower of anyone`(type: MessageType) {
        let follower = TestReplica(1, terms: [1])
        let candidate = TestReplica(1, terms: [1])
        candidate.group.campaign()
        let leader = TestReplica(1, terms: [1])
        leader.lead()
        for replica in [follower, candidate, leader] {
            replica.receive(Message(type: type, from: ReplicaID(2), term: 9))
            #expect(replica.group.role == .follower && replica.group.term == 9)
        }
    }

    // MARK: Followers

    @Test
    func `Followers: they answer leaders and candidates and send nothing by themselves`() {
        let replica = TestReplica(1, terms: [1])
        #expect(replica.receive(Message(type: .heartbeat, from: ReplicaID(2), term: 1)).count == 1)
        #expect(replica.receive(.append(term: 1, after: 1, 1, terms: [1])).count == 1)
        #expect(replica.receive(.vote(from: 3, term: 2, last: 2, 1)).count == 1)
        #expect(replica.tick().isEmpty)
    }

    @Test
    func `Followers: an election timeout without leader or granted vote starts an election`() {
        let replica = TestReplica(1)
        replica.group.fixElectionTimeout(10)
        replica.tick(9)
        #expect(replica.group.role == .follower)
        replica.tick()
        #expect(replica.group.role == .candidate)
    }

    @Test
    func `Followers: an append and a granted vote start the timeout over`() {
        let replica = TestReplica(1)
        replica.receive(.vote(term: 1, last: 0, 0))
        replica.group.fixElectionTimeout(10)
        replica.tick(9)
        replica.receive(.vote(term: 1, last: 0, 0))
        replica.tick(9)
        replica.receive(.append(term: 1, after: 0, 0))
        replica.group.fixElectionTimeout(10)
        replica.tick(9)
        #expect(replica.group.role == .follower)
        replica.tick()
        #expect(replica.group.role == .candidate)
    }

    // MARK: Candidates

    @Test
    func `Candidates: the term grows, the own vote is cast, everybody is asked`() {
        let replica = TestReplica(1, voters: [1, 2, 3, 4, 5], terms: [1, 1])
        replica.group.campaign()
        let requests = replica.drain()
        #expect(replica.group.term == 2 && replica.group.vote == ReplicaID(1))
        #expect(requests.map(\.to) == [2, 3, 4, 5].map { ReplicaID($0) })
        #expect(requests.allSatisfy { $0.type == .vote && $0.term == 2 })
        #expect(requests.allSatisfy { $0.index == 2 && $0.logTerm == 1 })
    }

    @Test(arguments: [(1, 1), (3, 2), (4, 3), (5, 3)] as [(UInt64, Int)])
    func `Candidates: votes of a majority make a leader`(size: UInt64, majority: Int) {
        let replica = TestReplica(1, voters: Array(1...size))
        replica.group.campaign()
        replica.drain()
        var votes = 1
        while !replica.group.isLeader, votes < Int(size) {
            votes += 1
            replica.receive(
                Message(type: .voteResponse, from: ReplicaID(UInt64(votes)), term: 1))
            #expect(replica.group.isLeader == (votes >= majority))
        }
        #expect(replica.group.isLeader && votes == majority)
    }

    @Test
    func `Candidates: votes of replicas that refused do not count, a majority of them ends it`() {
        let replica = TestReplica(1, voters: [1, 2, 3, 4, 5])
        replica.group.campaign()
        replica.drain()
        for voter: UInt64 in [2, 3] {
            #expect(replica.group.role == .candidate)
            for _ in 0..<2 {
                replica.receive(
                    Message(
                        type: .voteResponse, from: ReplicaID(voter), term: 1, reject: true))
            }
        }
        replica.receive(
            Message(type: .voteResponse, from: ReplicaID(4), term: 1, reject: true))
        #expect(replica.group.role == .follower)
    }

    @Test(arguments: [MessageType.append, .heartbeat])
    func `Candidates: a leader of the same term makes a follower`(type: MessageType) {
        let replica = TestReplica(1)
        replica.group.campaign()
        replica.drain()
        replica.receive(Message(type: type, from: ReplicaID(2), term: 1))
        #expect(replica.group.role == .follower && replica.group.lead == ReplicaID(2))
    }

    @Test
    func `Candidates: an election timeout starts another election`() {
        let replica = TestReplica(1)
        replica.group.campaign()
        replica.drain()
        replica.group.fixElectionTimeout(10)
        let requests = replica.tick(10)
        #expect(replica.group.term == 2 && replica.group.role == .candidate)
        #expect(requests.map(\.term) == [2, 2])
    }

    // MARK: Leaders

    @Test
    func `Leaders: a new leader makes itself known at once and at every heartbeat interval`() {
        let replica = TestReplica(1)
        let first = replica.lead()
        #expect(replica.group.isLeader)
        #expect(first.isEmpty, "everything was sent with the election already")
        let heartbeats = replica.tick()
        #expect(heartbeats.map(\.type) == [.heartbeat, .heartbeat])
        #expect(heartbeats.map(\.to) == [ReplicaID(2), ReplicaID(3)])
    }

    @Test
    func `Leaders: a command is appended, and answered once it is applied`() throws {
        let leader = TestReplica(1)
        leader.lead()
        leader.acknowledge(1, from: 2)
        #expect(try leader.group.propose([[7]]) == 2)
        leader.drain()
        #expect(leader.terms == [1, 1] && leader.applied.count == 1)
        leader.acknowledge(2, from: 2)
        #expect(leader.applied.map(\.payload) == [[], [7]])
    }

    @Test
    func `Leaders: followers get the entries from their next index on`() throws {
        let leader = TestReplica(1, terms: [1, 1])
        leader.lead()
        leader.acknowledge(3, from: 2)
        try leader.group.propose([[7], [8]])
        let sent = leader.drain().filter { $0.to == ReplicaID(2) && $0.type == .append }
        #expect(sent.map(\.index) == [3])
        #expect(sent.first?.entries.map(\.index) == [4, 5])
    }

    @Test
    func `Leaders: an acknowledgement moves next and match index`() {
        let leader = TestReplica(1, terms: [1, 1])
        leader.lead()
        leader.acknowledge(3, from: 2)
        #expect(leader.group.progress(of: ReplicaID(2))?.match == 3)
        #expect(leader.group.progress(of: ReplicaID(2))?.next == 4)
    }

    @Test
    func `Leaders: after a refusal they step back and try again`() {
        let leader = TestReplica(1, terms: [1, 1, 1])
        leader.lead()
        let sent = leader.receive(
            Message(
                type: .appendResponse, from: ReplicaID(2), term: 2, logTerm: 1, index: 3,
                reject: true, rejectHint: 1))
        #expect(sent.map(\.index) == [1] && sent.map(\.logTerm) == [1])
        #expect(sent.first?.entries.map(\.index) == [2, 3, 4])
    }

    @Test
    func `Leaders: an entry of the own term on a majority is committed`() {
        let leader = TestReplica(1, voters: [1, 2, 3, 4, 5])
        leader.lead(with: [2, 3])
        leader.acknowledge(1, from: 2)
        #expect(leader.group.committed == 0)
        leader.acknowledge(1, from: 3)
        #expect(leader.group.committed == 1)
    }

    @Test
    func `Leaders: entries of earlier terms are committed only by one of the own (figure 8)`() {
        let leader = TestReplica(1, terms: [1, 2])
        leader.lead()
        #expect(leader.terms == [1, 2, 3])
        leader.acknowledge(2, from: 2)
        #expect(leader.group.committed == 0)
        leader.acknowledge(3, from: 2)
        #expect(leader.group.committed == 3)
    }

    // MARK: Figure 3

    @Test
    func `Leader append-only: a leader never deletes or overwrites its entries`() throws {
        let leader = TestReplica(1, terms: [1, 1])
        leader.lead()
        try leader.group.propose([[1], [2]])
        leader.drain()
        let before = leader.terms
        leader.receive(.append(term: 2, after: 1, 1, terms: [2, 2]))
        leader.receive(
            Message(
                type: .appendResponse, from: ReplicaID(2), term: 2, index: 2, reject: true))
        #expect(leader.terms == before && leader.group.isLeader)
    }
}
