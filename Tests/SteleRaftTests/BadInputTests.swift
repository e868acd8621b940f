import SteleBase
import Testing

@testable import SteleRaft

/// Each kind of message that no correct replica sends: refused or ignored as the protocol says,
/// counted, and without a change of state beyond what the paper allows.
@Suite
struct BadInputTests {
    private func ids(_ numbers: [UInt64]) -> [ReplicaID] { numbers.map { ReplicaID($0) } }

    /// Three replicas, the first one leads, everything is committed.
    private func network() -> TestNetwork {
        let network = TestNetwork { $0.checkQuorum = true }
        network.elect(1)
        network.propose(at: 1)
        network.tick()
        return network
    }

    /// Steps a message that must not change anything, and returns what it was counted as.
    private func refused(_ message: Message, by replica: TestReplica) -> Refusals {
        let group = replica.group
        let before = (group.hardState, group.softState, group.lastIndex, group.membership)
        let refusals = group.refusals
        try? group.step(message)
        #expect(!group.hasReady)
        let after = (group.hardState, group.softState, group.lastIndex, group.membership)
        #expect(before.0 == after.0 && before.1 == after.1)
        #expect(before.2 == after.2 && before.3 == after.3)
        #expect(group.refusals.total == refusals.total + 1)
        return group.refusals
    }

    @Test(arguments: [
        MessageType.appendResponse, .voteResponse, .heartbeatResponse, .preVoteResponse,
        .readIndexResponse,
    ])
    func `answers of non-members`(type: MessageType) {
        let leader = network()[1]
        let message = Message(
            type: type, from: ReplicaID(9), to: ReplicaID(1), term: leader.group.term, index: 12)
        #expect(refused(message, by: leader).fromStrangers == 1)
    }

    @Test(arguments: [MessageType.append, .heartbeat, .snapshot, .vote, .preVote, .timeoutNow])
    func `messages from the replica itself`(type: MessageType) {
        let follower = network()[2]
        var message = Message(
            type: type, from: ReplicaID(2), to: ReplicaID(2), term: follower.group.term + 1)
        message.snapshot = Snapshot(index: 50, term: 1, confState: ConfState(voters: ids([2])))
        #expect(refused(message, by: follower).misaddressed == 1)
    }

    @Test(arguments: [UInt64(0), 3, 7])
    func `messages for another replica, or for another group's`(to: UInt64) {
        let message = Message(
            type: .heartbeat, from: ReplicaID(1), to: ReplicaID(to), term: 50)
        #expect(refused(message, by: network()[2]).misaddressed == 1)
    }

    @Test(arguments: MessageType.allCases.filter(\.needsTerm))
    func `term 0`(type: MessageType) {
        let message = Message(type: type, from: ReplicaID(1), to: ReplicaID(2), term: 0)
        #expect(refused(message, by: network()[2]).malformed == 1)
    }

    @Test(arguments: [Term.max, Term.max - 1, 1 << 62, 1 << 40])
    func `terms that would use up all terms`(term: Term) {
        let replicas = network()
        for type: MessageType in [.append, .heartbeat, .vote, .preVote, .appendResponse] {
            var message = Message(
                type: type, from: ReplicaID(3), to: ReplicaID(2), term: term)
            message.context = Message.transferContext
            _ = refused(message, by: replicas[2])
        }
        #expect(replicas[2].group.refusals.malformed == 5)
    }

    @Test
    func `a commit index beyond the log`() {
        let replicas = network()
        let term = replicas[1].group.term
        let follower = replicas[2]
        let last = follower.group.lastIndex
        follower.receive(
            Message(type: .heartbeat, from: ReplicaID(1), term: term, commit: last + 500))
        #expect(follower.group.committed == last && follower.group.refusals.beyondLog == 1)
        follower.receive(.append(from: 1, term: term, after: last, term, commit: .max))
        #expect(follower.group.committed == last)
    }

    @Test
    func `an acknowledgement of entries that were never sent`() {
        let leader = network()[1]
        let message = Message(
            type: .appendResponse, from: ReplicaID(2), to: ReplicaID(1), term: leader.group.term,
            index: 500)
        #expect(refused(message, by: leader).beyondLog == 1)
        #expect(leader.group.progress(of: ReplicaID(2))?.match == 12)
    }

    @Test
    func `more of it than can be counted`() {
        let follower = network()[2]
        follower.group.core.refusals.malformed = .max
        follower.group.core.refusals.misaddressed = .max
        for to: UInt64 in [2, 3] {
            let term = follower.group.term * (to - 2)
            let message = Message(
                type: .vote, from: ReplicaID(1), to: ReplicaID(to), term: term)
            try? follower.group.step(message)
        }
        #expect(follower.group.refusals.total / 2 == UInt32.max)
    }

    @Test(arguments: [[2, 1], [1, 3], [0], [9]] as [[Term]])
    func `terms that fall, exceed the message's, or are 0`(terms: [Term]) {
        let follower = network()[2]
        var message = Message.append(from: 1, term: 2, after: 12, 2, terms: terms)
        message.to = follower.id
        #expect(refused(message, by: follower).malformed == 1)
    }

    @Test(arguments: [[13, 15], [14], [13, 13], [12], [0], [.max]] as [[LogIndex]])
    func `entries with gaps, repetitions and wrong places`(indices: [LogIndex]) {
        let follower = network()[2]
        var message = Message.append(from: 1, term: 2, after: 12, 2)
        message.to = follower.id
        message.entries = indices.map { Entry(term: 2, index: $0) }
        #expect(refused(message, by: follower).malformed == 1)
    }

    @Test(arguments: MessageType.allCases.filter(\.isLocal))
    func `local types from outside`(type: MessageType) {
        let leader = network()[1]
        let message = Message(
            type: type, from: ReplicaID(2), to: ReplicaID(1), term: leader.group.term)
        #expect(throws: RaftError.localMessage) { try leader.group.step(message) }
        #expect(refused(message, by: leader).local == 2)
    }

    @Test(arguments: [UInt8(24), 99, 255])
    func `unknown types`(code: UInt8) {
        var writer = ByteWriter()
        Message(type: .heartbeat, from: ReplicaID(1), to: ReplicaID(2), term: 1)
            .encode(into: &writer)
        writer.bytes[1] = code
        var reader = ByteReader(writer.bytes)
        #expect(throws: DecodingError.self) { try Message(from: &reader) }
    }

    @Test
    func `forged vote requests while the leader is alive`() {
        let follower = network()[2]
        for type: MessageType in [.vote, .preVote] {
            let answers = follower.receive(
                Message(
                    type: type, from: ReplicaID(3), term: 50, logTerm: 49, index: 1 << 40))
            #expect(answers.isEmpty && follower.group.term == 2)
        }
    }

    @Test
    func `forged requests for an election`() {
        let follower = network()[2]
        let message = Message(
            type: .timeoutNow, from: ReplicaID(3), to: ReplicaID(2), term: follower.group.term)
        #expect(refused(message, by: follower).forgedTransfers == 1)
    }

    @Test
    func `a snapshot without the receiver`() {
        let follower = network()[2]
        let foreign = Snapshot(
            index: 100, term: 2, confState: ConfState(voters: ids([1, 3]), learners: ids([4])))
        follower.receive(
            Message(
                type: .snapshot, from: ReplicaID(1), term: follower.group.term,
                snapshot: foreign))
        #expect(follower.group.lastIndex == 12 && follower.group.refusals.foreignSnapshots == 1)
        #expect(follower.group.membership.voters.ids == ids([1, 2, 3]))
    }

    @Test(arguments: [
        ConfState(), ConfState(voters: [ReplicaID(2), ReplicaID(2)]),
        ConfState(voters: [ReplicaID(2)], learners: [ReplicaID(2)]),
        ConfState(voters: [ReplicaID(2)], learnersNext: [ReplicaID(3)]),
        ConfState(voters: [ReplicaID(2)], autoLeave: true),
        ConfState(voters: [ReplicaID(2), .applyThread]),
    ])
    func `snapshots with a membership that cannot be`(state: ConfState) {
        let follower = network()[2]
        let message = Message(
            type: .snapshot, from: ReplicaID(1), to: ReplicaID(2), term: follower.group.term,
            snapshot: Snapshot(index: 100, term: 2, confState: state))
        #expect(refused(message, by: follower).malformed == 1)
    }

    @Test(arguments: [ConfChangeTransition.auto, .jointImplicit, .jointExplicit])
    func `a change that removes everyone`(transition: ConfChangeTransition) {
        let network = network()
        network.change(
            [.remove(1), .remove(2), .remove(3)], transition: transition, at: 1)
        network.tick(2)
        for replica in network.replicas {
            #expect(replica.group.membership.voters.ids == ids([1, 2, 3]))
            #expect(!replica.group.membership.voters.isJoint)
            #expect(replica.group.refusals.membershipChanges == 1)
        }
        network.propose(at: 1)
        #expect(network[1].group.committed == network[1].group.lastIndex)
    }

    @Test
    func `changes that repeat a member`() {
        let network = network()
        network.change([.remove(3), .remove(3), .remove(9)], at: 1)
        network.tick()
        #expect(network[1].group.membership.voters.ids == ids([1, 2]))
        network.change([.add(3), .add(3), .learner(3), .add(3)], at: 1)
        network.tick()
        #expect(network[1].group.membership.voters.ids == ids([1, 2, 3]))
        #expect(network[1].group.progress.count == 3)
        #expect(network[1].group.refusals.membershipChanges == 0)
    }

    @Test
    func `proposals that cannot be decoded, and empty ones`() {
        let leader = network()[1]
        let broken = Message(
            type: .propose, from: ReplicaID(2), to: ReplicaID(1),
            entries: [Entry(type: .confChangeV2, payload: [7])])
        #expect(throws: RaftError.proposalDropped) { try leader.group.step(broken) }
        let empty = Message(type: .propose, from: ReplicaID(2), to: ReplicaID(1))
        #expect(refused(empty, by: leader).malformed == 1)
        #expect(leader.group.lastIndex == 12)
    }
}
