import SteleBase
import Testing

@testable import SteleRaft

/// What an owner can do beyond the protocol: forbid votes, pass bounds along, hurry elections,
/// fetch entries later.
@Suite
struct OwnerControlTests {
    /// Three voters with a log that ends at index 10, term 5, and a perfect network and disk.
    final class Trio {
        let groups: [RaftGroup]
        let storages: [MemoryStorage]
        var cut: [ReplicaID] = []

        init(preVote: Bool = true, configure: (inout RaftConfiguration) -> Void = { _ in }) {
            let ids = (1...3).map { ReplicaID($0) }
            var storages: [MemoryStorage] = []
            var groups: [RaftGroup] = []
            for id in ids {
                let storage = MemoryStorage()
                storage.restore(
                    Snapshot(index: 10, term: 5, confState: ConfState(voters: ids)))
                storage.set(HardState(term: 5, commit: 10))
                var configuration = RaftConfiguration(
                    id: id, applied: 10, checkQuorum: true, preVote: preVote, seed: id.rawValue)
                configure(&configuration)
                groups.append(RaftGroup(configuration, storage: storage))
                storages.append(storage)
            }
            (self.groups, self.storages) = (groups, storages)
        }

        func settle() {
            var rounds = 0
            while groups.contains(where: \.hasReady) {
                rounds += 1
                guard rounds < 1_000 else {
                    Issue.record("messages never end")
                    return
                }
                for (group, storage) in zip(groups, storages) where group.hasReady {
                    let ready = group.ready()
                    if let state = ready.hardState { storage.set(state) }
                    storage.append(ready.entries)
                    group.advance(ready)
                    for message in ready.messages
                    where !cut.contains(message.to) && !cut.contains(message.from) {
                        try? groups.first { $0.id == message.to }?.step(message)
                    }
                }
            }
        }

        func elect(_ number: Int) {
            groups[number - 1].campaign()
            settle()
        }
    }

    @Test
    func votesGoOnlyWhereTheOwnerAllows() {
        let trio = Trio()
        trio.groups[1].votesAllowedFor = .nobody
        trio.groups[2].votesAllowedFor = .only(ReplicaID(2))
        trio.elect(1)
        #expect(trio.groups[0].role == .preCandidate)
        #expect(trio.groups.allSatisfy { $0.term == 5 }, "a refused candidate changed a term")
        trio.groups[2].votesAllowedFor = .only(ReplicaID(1))
        trio.elect(1)
        #expect(trio.groups[0].isLeader && trio.groups[0].term == 6)
    }

    @Test
    func ownCampaignNeedsPermissionAtBothStages() {
        let trio = Trio()
        trio.groups[0].votesAllowedFor = .only(ReplicaID(2))
        for _ in 0..<40 { trio.groups[0].tick() }
        #expect(trio.groups[0].role == .follower && !trio.groups[0].hasReady)
        trio.groups[0].votesAllowedFor = .anyone
        trio.groups[0].tick()
        #expect(trio.groups[0].role == .preCandidate)
        // Granted in the meantime: pre-votes still arrive, the election must not begin.
        trio.groups[0].votesAllowedFor = .nobody
        trio.settle()
        #expect(trio.groups[0].role == .follower && trio.groups[0].term == 5)
    }

    @Test
    func transfersAreExempt() {
        let trio = Trio()
        trio.elect(1)
        for group in trio.groups { group.votesAllowedFor = .only(ReplicaID(1)) }
        trio.groups[0].transferLeader(to: ReplicaID(3))
        trio.settle()
        #expect(trio.groups[2].isLeader && trio.groups[0].lead == ReplicaID(3))
    }

    @Test(arguments: [true, false])
    func winnerKnowsTheHighestBoundOfItsVoters(preVote: Bool) {
        let trio = Trio(preVote: preVote)
        for (group, bound) in zip(trio.groups, [70, 90, 80] as [UInt64]) { group.voteBound = bound }
        trio.cut = [ReplicaID(2)]
        trio.elect(1)
        #expect(trio.groups[0].isLeader && trio.groups[0].electionBound == 80)
        trio.cut = [ReplicaID(1)]
        for _ in 0..<20 { for group in trio.groups { group.tick() } }
        trio.groups[2].expireElectionTimeout()
        trio.settle()
        #expect(trio.groups[2].isLeader && trio.groups[2].electionBound == 90)
    }

    @Test
    func lostLeaderIsReplacedAtOnce() {
        let trio = Trio()
        trio.elect(1)
        trio.cut = [ReplicaID(1)]
        trio.groups[1].expireElectionTimeout(campaignAfter: 2)
        trio.groups[2].expireElectionTimeout(campaignAfter: 4)
        for _ in 0..<3 {
            for group in trio.groups { group.tick() }
            trio.settle()
        }
        #expect(trio.groups[1].isLeader && trio.groups[2].lead == ReplicaID(2))
        #expect(trio.groups[1].term == 7)
    }

    @Test
    func entriesOnTheirWayFromDiskDelayTheFollowerOnly() throws {
        let trio = Trio()
        trio.elect(1)
        trio.cut = [ReplicaID(3)]
        for number in 0..<5 {
            try trio.groups[0].propose([[UInt8(number)]])
            trio.settle()
        }
        trio.cut = []
        trio.storages[0].unavailableThrough = trio.storages[0].lastIndex
        trio.groups[0].reportUnreachable(ReplicaID(3))
        trio.groups[0].tick()
        trio.settle()
        #expect(trio.groups[2].lastIndex == 11, "entries were sent that cannot be read")
        trio.storages[0].unavailableThrough = 0
        trio.groups[0].entriesAvailable()
        trio.settle()
        #expect(trio.groups[2].committed == 16)
    }

    @Test
    func appliedEntriesWaitForTheDisk() {
        let storage = MemoryStorage()
        let voters = [ReplicaID(1)]
        storage.restore(Snapshot(index: 10, term: 5, confState: ConfState(voters: voters)))
        storage.append((11...14).map { Entry(term: 5, index: $0) })
        storage.set(HardState(term: 5, vote: ReplicaID(1), commit: 14))
        storage.unavailableThrough = 14
        let group = RaftGroup(RaftConfiguration(id: ReplicaID(1), applied: 10), storage: storage)
        #expect(group.hasReady)
        #expect(group.ready().committedEntries.isEmpty)
        #expect(!group.hasReady, "an owner would poll in vain")
        storage.unavailableThrough = 0
        group.entriesAvailable()
        #expect(group.ready().committedEntries.map(\.index) == [11, 12, 13, 14])
    }

    @Test
    func uncommittedProposalsAreBounded() throws {
        let trio = Trio { $0.maxUncommittedBytes = 100 }
        trio.elect(1)
        trio.cut = [ReplicaID(2), ReplicaID(3)]
        let payload = ArraySlice([UInt8](repeating: 0, count: 60))
        #expect(try trio.groups[0].propose([payload]) == 12)
        #expect(throws: RaftError.proposalDropped) { try trio.groups[0].propose([payload]) }
        try trio.groups[0].propose([[]])
        trio.cut = []
        trio.settle()
        trio.groups[0].tick()
        trio.settle()
        #expect(trio.groups[0].committed == 13)
        try trio.groups[0].propose([payload])
    }

    @Test
    func readsNeedAQuorumAndKeepTheirContext() {
        let trio = Trio()
        trio.elect(1)
        trio.cut = [ReplicaID(2), ReplicaID(3)]
        trio.groups[0].readIndex(context: [1])
        _ = trio.groups[0].ready()
        #expect(!trio.groups[0].hasReady)
        trio.cut = []
        trio.groups[0].advance(Ready())
        trio.groups[0].tick()
        let heartbeats = trio.groups[0].ready()
        trio.groups[0].advance(heartbeats)
        for message in heartbeats.messages {
            let follower = trio.groups[Int(message.to.rawValue) - 1]
            try? follower.step(message)
            let answers = follower.ready()
            follower.advance(answers)
            for answer in answers.messages { try? trio.groups[0].step(answer) }
        }
        #expect(trio.groups[0].ready().readStates == [ReadState(index: 11, context: [1])])
    }

    @Test
    func restartedSingleVoterReadsOnlyAfterItsFirstCommit() {
        let storage = MemoryStorage()
        let voters = [ReplicaID(1)]
        storage.restore(Snapshot(index: 10, term: 5, confState: ConfState(voters: voters)))
        // Entries through 14 were committed and answered; the stored commit index is older.
        storage.append((11...14).map { Entry(term: 5, index: $0) })
        storage.set(HardState(term: 5, vote: ReplicaID(1), commit: 12))
        let group = RaftGroup(RaftConfiguration(id: ReplicaID(1), applied: 10), storage: storage)
        group.campaign()
        let election = group.ready()
        group.advance(election)
        group.readIndex(context: [1])
        let first = group.ready()
        #expect(group.isLeader && first.readStates.isEmpty)
        storage.append(first.entries)
        group.advance(first)
        #expect(group.ready().readStates == [ReadState(index: 15, context: [1])])
    }

    /// With the shortest timeout that there is, its time would begin anew before it ever ran out.
    @Test
    func `who may not lead votes for another once its leader is gone`() {
        for seed in 1...40 as ClosedRange<UInt64> {
            let network = TestNetwork {
                $0.checkQuorum = true
                $0.preVote = true
                $0.seed = seed
            }
            network.elect(1)
            network[2].group.mayLead = false
            network.isolated = [1]
            network.tick(80)
            #expect(network[3].group.isLeader, "seed \(seed)")
        }
    }

    @Test
    func `an expired timeout ends the lease also of a voter that may not lead`() {
        let network = TestNetwork {
            $0.checkQuorum = true
            $0.preVote = true
        }
        network.elect(1)
        network.isolated = [1]
        network[2].group.mayLead = false
        network[2].group.expireElectionTimeout()
        network[3].group.expireElectionTimeout()
        network.settle()
        #expect(network[3].group.isLeader)
    }
}
