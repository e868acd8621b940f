import SteleBase
import Testing

@testable import SteleRaft

/// The rules of chapter 4 of "Consensus: Bridging Theory and Practice" (Ongaro, 2014) on changes of
/// the membership, one test each, named by section.
///
/// One deviation, that etcd chose and that is safe with the rule of one change at a time: a change is
/// in force from when it is applied, not from when it is appended; so elections wait for that.
@Suite
struct ThesisMembership {
    private func ids(_ numbers: [UInt64]) -> [ReplicaID] { numbers.map { ReplicaID($0) } }

    private func types(_ replica: TestReplica, from index: LogIndex) throws -> [EntryType] {
        try replica.group.core.log.entries(from: index, maxBytes: .max).map(\.type)
    }

    // MARK: 4.1 Safety

    @Test
    func `4.1: majorities of the configurations before and after a single change overlap`() {
        for size in UInt64(1)...7 {
            let voters = Array(1...size)
            for other in [voters + [size + 1], Array(voters.dropLast())] where !other.isEmpty {
                let (left, right) = (voters.count / 2 + 1, other.count / 2 + 1)
                #expect(left + right > max(voters.count, other.count))
            }
        }
    }

    @Test(
        arguments: [
            [.add(4), .add(5)], [.remove(2), .remove(3)], [.add(4), .remove(3)],
        ] as [[MemberChange]])
    func `4.1: more than one voter at once needs a joint configuration`(
        changes: [MemberChange]
    ) throws {
        var tracker = ProgressTracker(maxInflightMessages: 1, maxInflightBytes: .max)
        tracker = ConfChanger(tracker, lastIndex: 1).restore(ConfState(voters: ids([1, 2, 3])))
        let changer = ConfChanger(tracker, lastIndex: 1)
        #expect(throws: ConfChangeError.self) { try changer.simple(changes) }
        #expect(try changer.apply(ConfChange(changes)).membership.voters.isJoint)
    }

    @Test
    func `4.1: only one change is under way at a time`() throws {
        let leader = TestReplica(1)
        leader.lead()
        leader.acknowledge(1, from: 2)
        try leader.group.proposeConfChange(ConfChange([.add(4)]))
        try leader.group.proposeConfChange(ConfChange([.add(5)]))
        leader.drain()
        let proposed = try types(leader, from: 2)
        #expect(proposed == [.confChangeV2, .normal], "the second one became empty")
        leader.acknowledge(3, from: 2)
        try leader.group.proposeConfChange(ConfChange([.add(5)]))
        #expect(try types(leader, from: 4) == [.confChangeV2])
    }

    @Test
    func `4.1: a new leader changes nothing before entries of earlier terms are committed`() throws {
        let leader = TestReplica(1, terms: [1, 1])
        leader.lead()
        try leader.group.proposeConfChange(ConfChange([.add(4)]))
        leader.drain()
        #expect(try types(leader, from: 4) == [.normal])
        leader.acknowledge(4, from: 2)
        try leader.group.proposeConfChange(ConfChange([.add(4)]))
        #expect(try types(leader, from: 5) == [.confChangeV2])
    }

    @Test
    func `4.1: a change is in force on every member once it is applied`() {
        let network = TestNetwork(blank: [4])
        network.elect(1)
        network.change([.add(4)], at: 1)
        network.tick()
        for replica in network.replicas {
            #expect(replica.group.membership.voters.incoming.voters == ids([1, 2, 3, 4]))
        }
    }

    @Test
    func `4.1: votes are asked of the configuration in force, and given to anyone`() {
        let network = TestNetwork(voters: [1, 2, 3])
        network.elect(1)
        network.change([.remove(3)], at: 1)
        let answers = network[2].receive(.vote(from: 3, term: 9, last: 9, 9))
        #expect(answers.map(\.reject) == [false], "a voter may not know yet who is a member")
        network[2].group.campaign()
        #expect(network[2].drain().map(\.to) == ids([1]))
    }

    // MARK: 4.2.1 Catching up new servers

    @Test
    func `4.2.1: a learner gets the log and counts neither for commitment nor for votes`() throws {
        let leader = TestReplica(1, voters: [1, 2], learners: [3, 4, 5])
        let requests = leader.lead()
        #expect(requests.isEmpty && leader.group.isLeader)
        for learner: UInt64 in 3...5 { leader.acknowledge(1, from: learner) }
        #expect(leader.group.committed == 0)
        leader.acknowledge(1, from: 2)
        #expect(leader.group.committed == 1)
        try leader.group.propose([[1]])
        #expect(Set(leader.drain().map(\.to)) == Set(ids([2, 3, 4, 5])))
    }

    @Test
    func `4.2.1: a learner does not campaign`() {
        let learner = TestReplica(4, learners: [4])
        learner.tick(100)
        learner.group.campaign()
        learner.receive(Message(type: .timeoutNow, from: ReplicaID(1), term: 1))
        #expect(learner.group.role == .follower && learner.group.term == 1)
    }

    @Test
    func `4.2.1: a new member starts from nothing and is caught up, by a snapshot if need be`() {
        let network = TestNetwork(blank: [4])
        network.elect(1)
        for number in 0..<5 { network.propose(UInt8(number), at: 1) }
        network[1].compact()
        network.change([.learner(4)], at: 1)
        network.tick(2)
        #expect(network[4].group.applied == network[1].group.applied)
        network.change([.add(4)], at: 1)
        network.tick()
        #expect(network[4].group.isPromotable)
    }

    // MARK: 4.2.2 Removing the current leader

    @Test
    func `4.2.2: a leader that removes itself does not count itself any more`() throws {
        let leader = TestReplica(1)
        leader.lead()
        leader.acknowledge(1, from: 2)
        try leader.group.proposeConfChange(ConfChange([.remove(1)]))
        leader.drain()
        leader.acknowledge(2, from: 2)
        #expect(leader.group.isLeader && leader.group.membership.voters.ids == ids([2, 3]))
        leader.receive(
            Message(
                type: .propose, from: ReplicaID(2), entries: [Entry(payload: [1])]))
        #expect(leader.group.lastIndex == 2, "who is no member takes no proposals")
    }

    @Test
    func `4.2.2: a leader that removes itself steps down once that is committed`() throws {
        let network = TestNetwork { $0.stepDownOnRemoval = true }
        network.elect(1)
        network.change([.remove(1)], at: 1)
        #expect(network[1].group.role == .follower)
        network.tick(40)
        #expect(network.leader.map { [ReplicaID(2), ReplicaID(3)].contains($0.id) } == true)
    }

    // MARK: 4.2.3 Disruptive servers

    @Test
    func `4.2.3: a removed replica disturbs nobody, by pre-vote`() {
        let network = TestNetwork { $0.preVote = true }
        network.elect(1)
        network.isolated = [3]
        network.change([.remove(3)], at: 1)
        network.propose(at: 1)
        network.isolated = []
        let term = network[1].group.term
        network[3].tick(40)
        network.settle()
        #expect(network[1].group.isLeader && network[1].group.term == term)
    }

    @Test
    func `4.2.3: who hears from a leader ignores candidates`() {
        let follower = TestReplica(1, terms: [1]) { $0.checkQuorum = true }
        follower.receive(.append(term: 1, after: 1, 1))
        #expect(follower.receive(.vote(from: 3, term: 2, last: 9, 1)).isEmpty)
        #expect(follower.group.term == 1)
        follower.group.fixElectionTimeout(100)
        follower.tick(follower.group.configuration.electionTicks)
        #expect(follower.receive(.vote(from: 3, term: 2, last: 9, 1)).map(\.reject) == [false])
    }

    @Test
    func `4.2.3: a transfer of leadership is no disturbance`() {
        let follower = TestReplica(1, terms: [1]) { $0.checkQuorum = true }
        follower.receive(.append(term: 1, after: 1, 1))
        var request = Message.vote(from: 3, term: 2, last: 9, 1)
        request.context = Message.transferContext
        #expect(follower.receive(request).map(\.reject) == [false])
    }

    // MARK: 4.3 Joint consensus

    @Test(arguments: [
        ([2, 4], false), ([2, 4, 5], true), ([4, 5], false), ([2, 3], false),
    ] as [([UInt64], Bool)])
    func `4.3: commitment needs a majority of both configurations`(
        acknowledging: [UInt64], isCommitted: Bool
    ) {
        let leader = jointLeader()
        let index = leader.group.lastIndex
        for voter in acknowledging { leader.acknowledge(index, from: voter) }
        #expect((leader.group.committed >= index) == isCommitted)
    }

    /// Leads {1, 2, 3} on its way to {4, 5, 6}, and has an uncommitted entry.
    private func jointLeader() -> TestReplica {
        let leader = TestReplica(
            1, snapshot: Snapshot(
                index: 10, term: 1,
                confState: ConfState(voters: ids([4, 5, 6]), votersOutgoing: ids([1, 2, 3]))))
        leader.lead(with: [2, 4, 5])
        return leader
    }

    @Test
    func `4.3: an election needs a majority of both configurations`() {
        let state = ConfState(voters: ids([4, 5, 6]), votersOutgoing: ids([1, 2, 3]))
        for (voters, isWon) in [([2, 4], false), ([4, 5, 6], false), ([2, 4, 5], true)]
            as [([UInt64], Bool)]
        {
            let candidate = TestReplica(
                1, snapshot: Snapshot(index: 10, term: 1, confState: state))
            candidate.lead(with: voters)
            #expect(candidate.group.isLeader == isWon)
        }
    }

    @Test
    func `4.3: entries go to the members of both configurations`() throws {
        let leader = jointLeader()
        for voter: UInt64 in 2...6 { leader.acknowledge(11, from: voter) }
        try leader.group.propose([[1]])
        #expect(Set(leader.drain().map(\.to)) == Set(ids([2, 3, 4, 5, 6])))
    }

    @Test
    func `4.3: members of either configuration can lead`() {
        let state = ConfState(voters: ids([4, 5, 6]), votersOutgoing: ids([1, 2, 3]))
        for id: UInt64 in [1, 4] {
            let candidate = TestReplica(
                id, snapshot: Snapshot(index: 10, term: 1, confState: state))
            candidate.lead(with: [2, 3, 5, 6])
            #expect(candidate.group.isLeader)
        }
    }

    @Test
    func `4.3: once the joint configuration is committed the new one follows`() {
        let network = TestNetwork(blank: [4, 5, 6])
        network.elect(1)
        network.change(
            [.add(4), .add(5), .add(6), .remove(2), .remove(3)], transition: .jointImplicit, at: 1)
        network.tick(2)
        #expect(network[1].group.membership.voters.incoming.voters == ids([1, 4, 5, 6]))
        #expect(!network[1].group.membership.voters.isJoint)
    }

    @Test
    func `4.3: an explicit joint configuration lasts until it is told to end`() {
        let network = TestNetwork(blank: [4])
        network.elect(1)
        network.change([.add(4), .remove(3)], transition: .jointExplicit, at: 1)
        network.tick(5)
        #expect(network[1].group.membership.voters.isJoint)
        network.change([.add(3)], at: 1)
        #expect(network[1].group.membership.voters.isJoint, "nothing else goes meanwhile")
        network.change([], at: 1)
        #expect(!network[1].group.membership.voters.isJoint)
        #expect(network[1].group.membership.voters.ids == ids([1, 2, 4]))
    }
}
