import SteleBase
import SteleRaft
import Testing

@testable import SteleCluster
@testable import SteleTablet

/// A request of another node names the term of the leader that it is meant for.
@Suite struct FenceTests {
    /// It may have been sent to a leader of an earlier term, and its sender have been told since that
    /// nothing came of it; or to one of a later term, about which this leader has not heard yet.
    @Test(arguments: [-1, 1] as [Int64])
    func `a request that is meant for another term is refused, and does nothing`(
        distance: Int64
    ) throws {
        let core = try NodeCore.onlyReplica(
            monotonic: 10_000_000, wall: 1_700_000_000_000_000)
        var time: UInt64 = 10_000_000
        _ = core.turns(at: &time, every: 10_000) { $0.peerConnected(NodeID(2)) }
        let tablet = core.tablets[0]
        while !tablet.isServing, time < 30_000_000 {
            _ = core.turns(at: &time, every: 10_000) { $0.clockConfirmed(by: NodeID(2)) }
        }
        let isServing = tablet.isServing
        try #require(isServing)
        let transaction = TransactionID(node: NodeID(2), sequence: 1)

        func answers(_ number: UInt64, term: Term) -> [TabletReply] {
            let lock = TabletRequest.lock([[0x6B]], for: transaction)
            let header = RequestHeader(
                RequestAttempt(id: number, number: 1), term: term, passage: .direct)
            let effects = core.turns(at: &time, every: 10_000) {
                $0.receive([.request(header, lock)], from: NodeID(2))
            }
            return effects.flatMap(\.messages).flatMap(\.messages).compactMap {
                if case .reply(_, let reply) = $0 { reply } else { nil }
            }
        }
        let term = tablet.group.term
        let other = Term(Int64(term) + distance)
        guard case .failed(let failure)? = answers(7, term: other).first else {
            Issue.record("it was not refused")
            return
        }
        #expect(failure.reason == .notLeader && failure.term == term)
        let isUntouched = tablet.locks.isEmpty
        #expect(isUntouched)
        guard case .locked? = answers(8, term: term).first else {
            Issue.record("one of its own term was refused")
            return
        }
    }
}
