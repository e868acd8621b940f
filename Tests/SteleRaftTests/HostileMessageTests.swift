import SteleBase
import Testing

@testable import SteleRaft

/// Messages that no correct replica sends must not bring another one down.
@Suite
struct HostileMessageTests {
    @Test(arguments: UInt64(0)..<20)
    func anyMessageIsSurvived(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let preVote = random.oneIn(2)
        let sleepy = preVote && random.oneIn(2)
        let trio = OwnerControlTests.Trio(preVote: preVote) { $0.hibernationTicks = sleepy ? 1 : 0 }
        trio.elect(1)
        let edges: [UInt64] = [0, 1, 4, 5, 6, 7, 10, 11, 12, 1 << 62, .max - 1, .max]
        func number() -> UInt64 { edges[Int(random.below(UInt64(edges.count)))] }
        for _ in 0..<2_000 {
            let types = MessageType.allCases
            var message = Message(type: types[Int(random.below(UInt64(types.count)))])
            message.from = ReplicaID(random.below(5))
            message.to = ReplicaID(random.below(5))
            message.term = random.oneIn(3) ? number() : trio.groups[0].term
            (message.logTerm, message.index) = (number(), number())
            (message.commit, message.rejectHint) = (number(), number())
            message.reject = random.oneIn(2)
            if random.oneIn(2) { message.context = ReadIndexQueue.context(of: number()) }
            for offset in 0..<random.below(3) {
                let index = random.oneIn(2) ? message.index &+ 1 &+ offset : number()
                message.entries.append(Entry(term: number(), index: index, type: .confChangeV2))
            }
            if random.oneIn(3) {
                let lists = (0..<4).map { _ in (0..<random.below(3)).map { ReplicaID($0) } }
                let state = ConfState(
                    voters: lists[0], votersOutgoing: lists[1], learners: lists[2],
                    learnersNext: lists[3], autoLeave: random.oneIn(2))
                // A snapshot that is believed replaces the log; storage is not part of this test.
                let index: LogIndex = random.oneIn(2) ? .max : 10
                message.snapshot = Snapshot(index: index, term: number(), confState: state)
            }
            let group = trio.groups[Int(random.below(3))]
            try? group.step(message)
            #expect(group.committed <= group.lastIndex)
            group.checkInvariants()
            if random.oneIn(5) { group.tick() }
            if random.oneIn(10) { trio.settle() }
        }
    }
}
