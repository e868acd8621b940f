import SteleBase
import SteleClock
import SteleEngine
import SteleRaft
import SteleTablet
import Testing

@testable import SteleCluster

/// A node that acknowledged a leader votes for nobody else while its grant stands, unless that
/// leader says itself that it does not lead any more.
@Suite struct StandTests {
    /// Node 1 of three, which follows node 2 in term 5 and has acknowledged it under a grant.
    private struct Follower {
        let core: NodeCore
        var time: UInt64 = 10_000_000
        let leader = NodeID(2)

        init() throws {
            core = try NodeCore.firstOfThree(monotonic: time, wall: 1_700_000_000_000_000)
            core.peerConnected(leader)
            // Its record becomes durable, and the wait after a start passes.
            for _ in 0..<10 { turn() }
            follow()
            #expect(core.states[0].standsBy?.term == 5)
        }

        func heartbeat() -> PeerMessage {
            .heartbeat(
                .init(
                    sentAt: 1, boot: 1, physical: 1_700_000_000_000_000 + time,
                    heard: core.clock.monotonic &+ core.echoMark))
        }

        mutating func follow() {
            let message = Message(
                type: .heartbeat, from: ReplicaID(2), to: ReplicaID(1), term: 5)
            let leader = leader
            let heartbeat = heartbeat()
            turn {
                $0.receive(
                    [heartbeat, .raft(.firstData, message, acknowledgedUnder: nil)], from: leader)
            }
        }

        /// Turns until nothing waits for the log; returns what was sent to the leader.
        @discardableResult
        mutating func turn(
            after elapsed: UInt64 = 100_000, _ body: (NodeCore) -> Void = { _ in }
        ) -> [PeerMessage] {
            time += elapsed
            return core.turns(at: &time, every: 100, body).flatMap(\.messages)
                .filter { $0.node == leader }.flatMap(\.messages)
        }

        /// The terms in which the leader was asked about.
        static func asked(_ messages: [PeerMessage]) -> [Term] {
            messages.compactMap { if case .standing(_, let term) = $0 { term } else { nil } }
        }
    }

    @Test func `a leader that is granted leases but silent is asked, and released once it denies`()
        throws
    {
        var follower = try Follower()
        let leader = follower.leader
        var asked: [Term] = []
        // It renews its grant for the sake of other tablets.
        for _ in 0..<7 {
            let heartbeat = follower.heartbeat()
            asked += Follower.asked(follower.turn { $0.receive([heartbeat], from: leader) })
        }
        #expect(!asked.isEmpty && asked.allSatisfy { $0 == 5 })
        #expect(follower.core.states[0].standsBy != nil)
        // An answer about another term says nothing.
        follower.turn(after: 0) { $0.receive([.notLeading(.firstData, 4)], from: leader) }
        #expect(follower.core.states[0].standsBy != nil)
        follower.turn(after: 0) { $0.receive([.notLeading(.firstData, 5)], from: NodeID(3)) }
        #expect(follower.core.states[0].standsBy != nil)
        follower.turn(after: 0) { $0.receive([.notLeading(.firstData, 5)], from: leader) }
        #expect(follower.core.states[0].standsBy == nil)
    }

    private func isStanding(_ follower: Follower) -> Bool {
        follower.core.leases.standingEpoch(for: follower.leader, at: follower.time) != nil
    }

    @Test func `a node that does not hear this one is granted nothing`() throws {
        var follower = try Follower()
        let leader = follower.leader
        // It goes on sending, but names an old heartbeat as the newest that it got.
        let heard = follower.core.clock.monotonic &+ follower.core.echoMark
        for _ in 0..<12 {
            var heartbeat = follower.heartbeat()
            if case .heartbeat(var old) = heartbeat {
                old.heard = heard
                heartbeat = .heartbeat(old)
            }
            let message = heartbeat
            follower.turn { $0.receive([message], from: leader) }
        }
        #expect(!isStanding(follower))
        #expect(follower.core.states[0].standsBy == nil)
        // It hears this node again.
        let heartbeat = follower.heartbeat()
        follower.turn(after: 1_000) { $0.receive([heartbeat], from: leader) }
        #expect(isStanding(follower))
    }

    @Test func `a node to which there is no connection is granted nothing`() throws {
        var follower = try Follower()
        let leader = follower.leader
        follower.turn { $0.peerDisconnected(leader) }
        for _ in 0..<5 {
            let heartbeat = follower.heartbeat()
            follower.turn { $0.receive([heartbeat], from: leader) }
        }
        #expect(!isStanding(follower))
        follower.turn { $0.peerConnected(leader) }
        let heartbeat = follower.heartbeat()
        follower.turn(after: 1_000) { $0.receive([heartbeat], from: leader) }
        #expect(isStanding(follower))
    }

    @Test func `a leader that is heard of is not asked`() throws {
        var follower = try Follower()
        for _ in 0..<10 {
            follower.follow()
            #expect(Follower.asked(follower.turn(after: 1_000)).isEmpty)
        }
    }

    @Test func `a grant that lapsed and was given anew stands for no tablet`() throws {
        var follower = try Follower()
        let leader = follower.leader
        follower.turn(after: 500_000)
        let heartbeat = follower.heartbeat()
        follower.turn { $0.receive([heartbeat], from: leader) }
        #expect(follower.core.leases.standingEpoch(for: leader, at: follower.time) != nil)
        #expect(follower.core.states[0].standsBy == nil)
    }

    @Test func `who leads in that term, or knows only earlier ones, denies nothing`() throws {
        var follower = try Follower()
        let leader = follower.leader
        func denied(_ term: Term) -> [Term] {
            follower.turn(after: 0) { $0.receive([.standing(.firstData, term)], from: leader) }
                .compactMap { if case .notLeading(_, let term) = $0 { term } else { nil } }
        }
        #expect(denied(5) == [5])
        #expect(denied(3) == [3])
        #expect(denied(6) == [])
    }
}
