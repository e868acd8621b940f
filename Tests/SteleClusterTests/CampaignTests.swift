import SteleBase
import SteleClock
import SteleRaft
import SteleTablet
import Testing

@testable import SteleCluster

/// Two candidates at the same time, with the third replica down, refuse each other, and neither
/// hears that it has lost: they must not wait for timeouts that may be drawn alike again.
@Suite struct CampaignTests {
    /// Node 1 of three without a leader, and a peer that confirms its clock, would vote for it, and
    /// has voted for itself whenever it is asked to.
    private struct Candidate {
        let core: NodeCore
        var time: UInt64 = 10_000_000
        private(set) var peer: [PeerMessage] = []
        private var number: UInt64 = 0
        /// When votes were asked for, by term.
        private(set) var votes: [(term: Term, at: UInt64)] = []

        init() throws {
            core = try NodeCore.firstOfThree(monotonic: time, wall: 1_700_000_000_000_000)
            core.peerConnected(NodeID(2))
        }

        mutating func turn() {
            time += 2_000
            core.beginTurn(monotonic: time, wall: 1_700_000_000_000_000 + time)
            let received = peer
            peer = []
            core.receive(received, from: NodeID(2))
            let effects = core.endTurn(monotonic: time)
            if let (token, _) = effects.log {
                core.beginTurn(monotonic: time, wall: 1_700_000_000_000_000 + time)
                core.logSynced(token)
                effects.messages.forEach { answer($0) }
                core.endTurn(monotonic: time).messages.forEach { answer($0) }
            } else {
                effects.messages.forEach { answer($0) }
            }
        }

        private mutating func answer(_ outbox: PeerOutbox) {
            guard outbox.node == NodeID(2) else { return }
            for message in outbox.messages {
                switch message {
                case .heartbeat(let heartbeat):
                    peer.append(
                        .heartbeatReply(
                            .init(
                                sentAt: heartbeat.sentAt, epoch: GrantEpoch(boot: 1, counter: 1),
                                bound: Timestamp(microseconds: heartbeat.physical + 400_000),
                                boot: 1, physical: heartbeat.physical)))
                case .raft(let tablet, let asked, _):
                    answer(asked, of: tablet)
                default: break
                }
            }
        }

        private mutating func answer(_ asked: Message, of tablet: TabletID) {
            guard asked.type == .preVote || asked.type == .vote else { return }
            if asked.type == .vote { votes.append((asked.term, time)) }
            let answer = Message(
                type: asked.type == .vote ? .voteResponse : .preVoteResponse, from: ReplicaID(2),
                to: ReplicaID(1), term: asked.term, reject: asked.type == .vote)
            peer.append(.raft(tablet, answer, acknowledgedUnder: nil))
        }
    }

    @Test func `a candidate that was refused stands again long before its timeout`() throws {
        var candidate = try Candidate()
        while candidate.votes.count < 4, candidate.time < 20_000_000 { candidate.turn() }
        let terms = candidate.votes.map(\.term)
        try #require(terms.count == 4)
        #expect(terms == Array(terms[0]..<terms[0] + 4))
        let configuration = candidate.core.configuration
        let timeout = configuration.tickInterval * UInt64(configuration.electionTicks)
        for (earlier, later) in zip(candidate.votes, candidate.votes.dropFirst()) {
            #expect(later.at - earlier.at < timeout / 4)
        }
    }
}
