import SteleBase
import Testing

@testable import SteleRaft

/// Groups that have nothing to do stop their clocks together, and start them again in time.
@Suite
struct HibernationTests {
    private func sleepyNetwork(learners: [UInt64] = []) -> TestNetwork {
        TestNetwork(learners: learners) {
            $0.checkQuorum = true
            $0.preVote = true
            $0.hibernationTicks = 3
        }
    }

    private func sleepingNetwork(learners: [UInt64] = []) -> TestNetwork {
        let network = sleepyNetwork(learners: learners)
        network.elect(1)
        network.tick(4)
        return network
    }

    private func sleepers(_ network: TestNetwork) -> [UInt64] {
        network.replicas.filter(\.group.isHibernated).map(\.id.rawValue)
    }

    @Test
    func `an idle group falls asleep, and then ticks do nothing`() {
        let network = sleepyNetwork(learners: [4])
        network.elect(1)
        network.tick(2)
        #expect(sleepers(network) == [])
        network.tick(2)
        #expect(sleepers(network) == [1, 2, 3, 4])
        for replica in network.replicas {
            #expect(replica.tick(1_000).isEmpty)
            #expect(replica.group.term == network[1].group.term)
        }
        #expect(sleepers(network) == [1, 2, 3, 4])
        #expect(network[1].group.isLeader)
    }

    @Test
    func `a group of one falls asleep too`() {
        let replica = TestReplica(1, voters: [1]) {
            $0.checkQuorum = true
            $0.preVote = true
            $0.hibernationTicks = 2
        }
        replica.group.campaign()
        replica.drain()
        replica.tick(3)
        #expect(replica.group.isHibernated)
        _ = try? replica.group.propose([[1]])
        #expect(!replica.group.isHibernated)
        replica.drain()
        #expect(replica.applied.last?.payload == [1])
    }

    @Test
    func `work keeps a group awake, and wakes it`() {
        let network = sleepyNetwork()
        network.elect(1)
        for _ in 0..<10 {
            network.propose(at: 1)
            network.tick()
            #expect(sleepers(network) == [])
        }
        network.tick(4)
        #expect(sleepers(network) == [1, 2, 3])
        network.propose(7, at: 1)
        #expect(network.replicas.allSatisfy { $0.applied.last?.payload == [7] })
        #expect(sleepers(network) == [])
        network.tick(4)
        #expect(sleepers(network) == [1, 2, 3])
    }

    @Test
    func `nobody sleeps while a member lags`() {
        let network = sleepyNetwork()
        network.elect(1)
        network.isolated = [3]
        network.propose(at: 1)
        network.tick(8)
        #expect(sleepers(network) == [])
        network.isolated = []
        network.tick(8)
        #expect(sleepers(network) == [1, 2, 3])
        #expect(network[3].applied.count == network[1].applied.count)
    }

    @Test
    func `a follower does not sleep before it has applied everything`() {
        let network = sleepyNetwork()
        network.elect(1)
        network[2].withholdsApply = true
        network.propose(at: 1)
        network.tick(8)
        #expect(!network[2].group.isHibernated && !network[1].group.isHibernated)
        network[2].applyWithheld()
        network.tick(4)
        #expect(sleepers(network) == [1, 2, 3])
    }

    /// It invites them until it notices, and then nobody but itself could tell them.
    @Test
    func `a leader that hears of nobody does not leave its followers asleep`() {
        let network = sleepyNetwork()
        network.elect(1)
        network[1].group.mayLead = false
        network.cuts = [(from: 2, to: 1), (from: 3, to: 1)]
        network.tick(60)
        #expect(network.leader.map { [2, 3].contains($0.id.rawValue) } == true)
    }

    @Test
    func `a read wakes the group and hears from a quorum`() {
        let network = sleepingNetwork()
        network.isolated = [1]
        network[1].group.readIndex(context: [9])
        network.settle()
        #expect(!network[1].group.isHibernated)
        #expect(network[1].group.core.readStates.isEmpty)
    }

    @Test
    func `a follower that its owner wakes tells the leader, which wakes all`() {
        let network = sleepingNetwork()
        network[2].group.wake()
        network.settle()
        #expect(sleepers(network) == [3])
        network.replicas[0].group.tick()
        network.settle()
        #expect(sleepers(network) == [])
        #expect(network[1].group.isLeader)
    }

    @Test
    func `followers that are woken replace a leader that is gone`() {
        let network = sleepingNetwork()
        let term = network[1].group.term
        network.isolated = [1]
        for id in [2, 3] as [UInt64] { network[id].group.wake() }
        network.tick(25)
        #expect(network.replicas.contains { $0.group.isLeader && $0.group.term > term })
    }

    @Test
    func `a leader that hears nobody does not put others to sleep and step down`() {
        let network = sleepingNetwork()
        network.cuts = [(2, 1), (3, 1)]
        network[1].group.wake()
        // Its owner hears nobody either, so it does not trust its clock.
        network[1].group.mayLead = false
        network.tick(100)
        #expect([2, 3].contains { network[$0].group.isLeader })
    }

    @Test
    func `a voter that may not lead, and whose waking the leader missed, reminds it`() {
        let network = sleepingNetwork()
        network.loses = { $0.from == ReplicaID(3) }
        network[3].group.mayLead = false
        network[3].group.wake()
        network.settle()
        network.loses = { _ in false }
        network.tick(40)
        #expect(sleepers(network) == [1, 2, 3])
    }

    @Test
    func `a candidate wakes a sleeping group and is taken in`() {
        let network = sleepingNetwork()
        // A replica that restarted knows of no leader.
        network[3].group.wake()
        network[3].group.forgetLeader()
        _ = network[3].drain()
        network[3].group.campaign()
        network.settle()
        network.tick(12)
        #expect(sleepers(network) == [1, 2, 3])
        #expect(Set(network.replicas.map(\.group.term)).count == 1)
    }

    @Test
    func `a learner whose waking the leader missed reminds it`() {
        let network = sleepingNetwork(learners: [4])
        network.loses = { $0.from == ReplicaID(4) }
        network[4].group.wake()
        network.settle()
        #expect(sleepers(network) == [1, 2, 3])
        network.loses = { _ in false }
        network.tick(20)
        #expect(!network[1].group.isHibernated || network[4].group.isHibernated)
        network.tick(5)
        #expect(sleepers(network) == [1, 2, 3, 4])
    }

    @Test
    func `an old invitation finds a log that has grown`() {
        let network = sleepyNetwork()
        network.elect(1)
        let end = network[1].group.lastPosition
        network.propose(at: 1)
        let answers = network[2].receive(
            Message(
                type: .heartbeat, from: ReplicaID(1), term: network[1].group.term,
                logTerm: end.term, index: end.index))
        #expect(!network[2].group.isHibernated)
        #expect(answers.map(\.index) == [0])
    }
}
