import SteleBase
import Testing

@testable import SteleRaft

/// Bugs that other implementations of Raft had, by their number in the project's list of historical
/// bugs, as far as they concern membership and elections; `BugsOfOthersInLogs` has the rest.
///
/// Those that a bare core cannot have:
/// - 35 (a truncation removes what a snapshot under way needs): the core truncates nothing; its owner
///   does, and the log's tests cover it. The core's part, that snapshots finish while writes go on,
///   is tested here.
/// - 36 (snapshots sorted by term after a restart): the core keeps no files; it takes the position
///   of the one snapshot that storage answers with.
/// - 37 (a refused snapshot leaves its stream half read): the core has no streams; the transport's
///   frames have lengths. The core's part, that a refusal leaves the replica able to take the next
///   snapshot, is tested here.
@Suite
struct BugsOfOthers {
    private func ids(_ numbers: [UInt64]) -> [ReplicaID] { numbers.map { ReplicaID($0) } }

    private func state(
        _ voters: [UInt64], outgoing: [UInt64] = [], learners: [UInt64] = [],
        autoLeave: Bool = false
    ) -> ConfState {
        ConfState(
            voters: ids(voters), votersOutgoing: ids(outgoing), learners: ids(learners),
            autoLeave: autoLeave)
    }

    // MARK: Campaigns

    @Test(arguments: [false, true])
    func `1: nobody campaigns over a committed change that is not applied`(byTransfer: Bool) {
        let replica = TestReplica(2)
        replica.withholdsApply = true
        let change = ConfChange([.add(4), .remove(1)]).entry()
        var append = Message.append(from: 1, term: 1, after: 0, 0, commit: 1)
        append.entries = [Entry(term: 1, index: 1, type: .confChangeV2, payload: change.payload)]
        replica.receive(append)
        #expect(replica.group.committed == 1 && replica.group.applied == 0)
        if byTransfer {
            replica.receive(Message(type: .timeoutNow, from: ReplicaID(1), term: 1))
        } else {
            replica.tick(100)
        }
        #expect(replica.group.role == .follower && replica.group.term == 1)
        replica.applyWithheld()
        replica.tick(100)
        #expect(replica.group.role == .candidate)
    }

    @Test
    func `6: a promoted learner votes although it does not know of its promotion`() {
        let network = TestNetwork(voters: [1, 2], learners: [3])
        network.elect(1)
        network.isolated = [3]
        network.change([.add(3)], at: 1)
        network.isolated = [1]
        #expect(network[3].group.membership.learners == ids([3]))
        network[2].group.campaign()
        network.settle()
        #expect(network[2].group.isLeader)
    }

    @Test
    func `14: removed replicas and learners neither campaign nor move terms`() {
        let network = TestNetwork(learners: [4]) {
            $0.preVote = true
            $0.checkQuorum = true
        }
        network.elect(1)
        network.change([.remove(3)], at: 1)
        let term = network[1].group.term
        for _ in 0..<10 {
            network[3].tick(5)
            network[4].tick(5)
            network.settle()
            network.tick()
        }
        #expect(network[1].group.isLeader)
        for id: UInt64 in [1, 2, 4] { #expect(network[id].group.term == term) }
        #expect(throws: RaftError.peerNotFound) {
            try network[1].group.step(
                Message(type: .voteResponse, from: ReplicaID(3), to: ReplicaID(1), term: term + 5))
        }
    }

    @Test
    func `14: votes of replicas that are no voters do not count`() {
        let candidate = TestReplica(1, learners: [4, 5, 6])
        candidate.group.campaign()
        candidate.drain()
        for id: UInt64 in 4...6 {
            candidate.receive(Message(type: .voteResponse, from: ReplicaID(id), term: 1))
        }
        #expect(candidate.group.role == .candidate)
    }

    @Test
    func `15: the quorum check counts voters only`() {
        let leader = TestReplica(1, learners: [4, 5, 6]) { $0.checkQuorum = true }
        leader.lead()
        let timeout = leader.group.configuration.electionTicks
        for voters: [UInt64] in [[2], []] {
            leader.tick(timeout / 2)
            for id in voters + [4, 5, 6] {
                leader.receive(Message(type: .heartbeatResponse, from: ReplicaID(id), term: 1))
            }
            leader.tick(timeout / 2)
            #expect(leader.group.isLeader == !voters.isEmpty)
        }
    }

    @Test(arguments: [false, true])
    func `31: one who was cut off for long and comes back with an old log stops nobody`(
        checkQuorum: Bool
    ) {
        let network = TestNetwork {
            $0.preVote = true
            $0.checkQuorum = checkQuorum
        }
        network.elect(1)
        network.isolated = [3]
        network.propose(at: 1)
        network.tick(50)
        let term = network[1].group.term
        // Back at the moment when the leader is gone.
        network.isolated = [1]
        network.tick(60)
        #expect(network[2].group.isLeader)
        #expect(network[2].group.term <= term + 3)
        network.isolated = []
        network.tick(5)
        #expect(network[1].group.lead == ReplicaID(2) && network[3].group.committed == 13)
    }

    @Test
    func `31: a granted pre-vote is no contact with a leader`() {
        let replica = TestReplica(1, terms: [1]) { $0.preVote = true }
        replica.group.fixElectionTimeout(10)
        replica.tick(9)
        let answers = replica.receive(
            Message(type: .preVote, from: ReplicaID(2), term: 2, logTerm: 1, index: 1))
        #expect(answers.map(\.reject) == [false])
        #expect(replica.group.vote == .none && replica.group.term == 1)
        replica.tick()
        #expect(replica.group.role == .preCandidate)
    }

    @Test
    func `31: a higher term behind a pre-vote does not keep a candidate from joining`() {
        let network = TestNetwork { $0.preVote = true }
        network.elect(1)
        // The term of 3 grows without anybody's knowledge.
        network[3].receive(.vote(from: 2, term: 20, last: 99, 99))
        network.tick(60)
        #expect(Set(network.replicas.map(\.group.term)).count == 1)
        #expect(network.leader != nil)
        #expect(network.replicas.allSatisfy { $0.group.lead == network.leader?.id })
    }

    // MARK: Joint configurations

    @Test
    func `2: a joint configuration is left also by the next leader`() throws {
        let joint = state([1, 2, 4], outgoing: [1, 2, 3], autoLeave: true)
        // The leader is gone right after it applied the change.
        let leader = TestReplica(2, snapshot: Snapshot(index: 10, term: 1, confState: joint))
        leader.lead(with: [1, 3, 4])
        leader.acknowledge(11, from: 1)
        let entries = try leader.group.core.log.entries(from: 12, maxBytes: .max)
        #expect(entries.map(\.type) == [.confChangeV2] && entries.allSatisfy(\.payload.isEmpty))
        leader.acknowledge(12, from: 1)
        #expect(!leader.group.membership.voters.isJoint)
    }

    @Test
    func `3: a joint configuration is left once, whatever is behind the change`() throws {
        let network = TestNetwork(blank: [4])
        network.elect(1)
        let change = ConfChange([.add(4), .remove(3)])
        try network[1].group.proposeConfChange(change)
        for number in UInt8(0)..<5 { try network[1].group.propose([[number]]) }
        network.settle()
        network.propose(at: 1)
        network.tick(3)
        #expect(network[1].applied.count { $0.type != .normal } == 2)
        #expect(network[1].group.membership.voters.ids == ids([1, 2, 4]))
    }

    @Test
    func `4: a snapshot made in a joint configuration brings both halves`() {
        let joint = state([4, 5], outgoing: [1, 2, 3], learners: [6], autoLeave: true)
        let replica = TestReplica(4, voters: [])
        replica.receive(
            Message(
                type: .snapshot, from: ReplicaID(1), term: 1,
                snapshot: Snapshot(index: 10, term: 1, confState: joint)))
        #expect(replica.group.membership.confState == joint)
        let restarted = TestReplica(
            4, snapshot: replica.storage.latestSnapshot, storage: replica.storage)
        #expect(restarted.group.membership.confState == joint)
        // The new half alone elects nobody.
        restarted.lead(with: [5])
        #expect(!restarted.group.isLeader)
    }

    @Test
    func `5: who is only in the outgoing half takes the snapshot`() {
        let replica = TestReplica(3, voters: [1, 2, 3])
        let joint = state([1, 2, 4], outgoing: [1, 2, 3])
        let answers = replica.receive(
            Message(
                type: .snapshot, from: ReplicaID(1), term: 1,
                snapshot: Snapshot(index: 10, term: 1, confState: joint)))
        #expect(answers.map(\.index) == [10])
        #expect(replica.group.membership.confState == joint)
    }

    @Test
    func `7: a voter that was demoted while it was away takes the snapshot that says so`() {
        let network = TestNetwork()
        network.elect(1)
        network.isolated = [3]
        network.change([.remove(3)], at: 1)
        network.change([.learner(3)], at: 1)
        network[1].compact()
        network[2].compact()
        network.isolated = []
        network.tick(3)
        #expect(network[3].group.membership.learners == ids([3]))
        #expect(network[3].group.applied == network[1].group.applied)
    }

    @Test
    func `8: a snapshot replaces an uncommitted change, whatever their indices`() throws {
        let replica = TestReplica(
            1, snapshot: Snapshot(index: 10, term: 1, confState: state([1, 2, 3])))
        replica.lead()
        replica.acknowledge(11, from: 2)
        // Led briefly, and proposed entries of which nobody heard, a change among them.
        for number in UInt8(0)..<9 { try replica.group.propose([[number]]) }
        try replica.group.proposeConfChange(ConfChange([.add(4), .add(5)]))
        replica.drain()
        #expect(replica.group.lastIndex == 21)
        replica.receive(
            Message(
                type: .snapshot, from: ReplicaID(2), term: 5,
                snapshot: Snapshot(index: 15, term: 4, confState: state([1, 2, 6]))))
        #expect(replica.group.lastIndex == 15)
        #expect(replica.group.membership.confState == state([1, 2, 6]))
        replica.group.campaign()
        #expect(replica.drain().map(\.to) == ids([2, 6]))
    }

    @Test
    func `9: what precedes a change is committed by the old quorum, and so is the change`() throws {
        let leader = TestReplica(
            1, snapshot: Snapshot(index: 10, term: 1, confState: state([1])))
        leader.group.campaign()
        leader.drain()
        leader.withholdsApply = true
        try leader.group.propose([[1]])
        try leader.group.proposeConfChange(ConfChange([.add(2), .add(3)]))
        try leader.group.propose([[2]])
        leader.drain()
        leader.applyWithheld()
        // Applied now, so what follows needs the others.
        let committed = leader.group.committed
        try leader.group.propose([[3]])
        leader.drain()
        #expect(leader.group.membership.voters.isJoint)
        #expect(leader.group.committed == committed)
        leader.acknowledge(leader.group.lastIndex, from: 2)
        #expect(leader.group.committed == leader.group.lastIndex)
    }

    @Test
    func `10: changes of two leaders from one parent do not both commit`() throws {
        let network = TestNetwork(voters: [1, 2, 3, 4], blank: [5])
        network.elect(1)
        // 1 proposes a change that nobody hears of.
        network.isolated = [1]
        try network[1].group.proposeConfChange(ConfChange([.add(5)]))
        network.settle()
        network.elect(2)
        // The other leader has to commit something of its own term before its own change.
        #expect(network[2].group.hasCommittedInTerm)
        network.change([.remove(1)], at: 2)
        network.isolated = []
        network.tick(3)
        #expect(network[1].group.membership.voters.incoming.contains(ReplicaID(5)) == false)
        #expect(network[2].group.membership.voters.ids == ids([2, 3, 4]))
    }

    @Test
    func `11: an inherited joint change waits for the old side before it is left`() throws {
        // 1 restarts as leader; the joint change is in its log, uncommitted.
        let change = ConfChange([.add(4), .add(5), .remove(2), .remove(3)]).entry()
        let storage = MemoryStorage()
        storage.restore(Snapshot(index: 10, term: 1, confState: state([1, 2, 3])))
        storage.append(
            [Entry(term: 1, index: 11, type: .confChangeV2, payload: change.payload)])
        storage.set(HardState(term: 1, commit: 10))
        let leader = TestReplica(
            1, snapshot: Snapshot(index: 10, term: 1, confState: state([1, 2, 3])),
            storage: storage)
        leader.lead(with: [2])
        #expect(leader.group.committed == 10 && !leader.group.membership.voters.isJoint)
        leader.acknowledge(12, from: 2)
        #expect(leader.group.membership.voters.isJoint)
        // The end of it is proposed, and needs both sides.
        #expect(leader.group.lastIndex == 13)
        leader.acknowledge(13, from: 4)
        leader.acknowledge(13, from: 5)
        #expect(leader.group.membership.voters.isJoint)
        leader.acknowledge(13, from: 2)
        #expect(leader.group.membership.voters.ids == ids([1, 4, 5]))
    }

    @Test
    func `12: a change survives restarts between append and commit and can be finished`() throws {
        let network = TestNetwork(blank: [4])
        network.elect(1)
        network.loses = { $0.type == .appendResponse }
        try network[1].group.proposeConfChange(ConfChange([.add(4), .remove(3)]))
        network.settle()
        #expect(network[1].group.committed == 11 || network[1].group.committed == 10)
        let snapshot = Snapshot(index: 10, term: 1, confState: state([1, 2, 3]))
        let restarted = TestNetwork(
            network.replicas.map { old in
                let isBlank = old.id == ReplicaID(4)
                return TestReplica(
                    old.id.rawValue, snapshot: isBlank ? nil : snapshot, storage: old.storage)
            })
        restarted.elect(2)
        restarted.tick(3)
        #expect(restarted[2].group.membership.voters.ids == ids([1, 2, 4]))
        #expect(restarted[4].group.isPromotable)
    }

    @Test
    func `16: what an isolated leader is asked to change changes nothing`() throws {
        let network = TestNetwork()
        network.elect(1)
        network.propose(1, at: 1)
        network.isolated = [1]
        network.change([.remove(2)], at: 1)
        network.change([.remove(3)], at: 1)
        network.propose(2, at: 1)
        #expect(network[1].group.membership.voters.ids == ids([1, 2, 3]))
        network.elect(2)
        network.propose(3, at: 2)
        network.isolated = []
        network.tick(5)
        for replica in network.replicas {
            #expect(replica.group.membership.voters.ids == ids([1, 2, 3]))
            #expect(replica.applied.map(\.payload).filter { !$0.isEmpty } == [[1], [3]])
        }
    }
}
