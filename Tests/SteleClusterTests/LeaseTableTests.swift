import SteleBase
import SteleClock
import SteleCluster
import SteleTablet
import Testing

@Suite struct LeaseTableTests {
    private let other = NodeID(2)
    private let third = NodeID(3)

    private func clock(_ monotonic: UInt64 = 1_000) -> TurnClock {
        var hybrid = HybridClock(startingAbove: .zero)
        hybrid.raiseBound(to: Timestamp(microseconds: 1 << 40))
        return TurnClock(monotonic: monotonic, physical: 5_000_000, hybrid: hybrid)
    }

    private func table() -> LeaseTable {
        LeaseTable(
            boot: 4, highestBound: .zero, leaseMicroseconds: 350, grantMicroseconds: 400,
            maximumOffsetMicroseconds: 250)
    }

    @Test func `a grant that is prolonged keeps its epoch, one that lapsed begins another`() {
        var table = table()
        let clock = clock()
        let first = table.grant(to: other, clock: clock).epoch
        clock.monotonic += 399
        #expect(table.standingEpoch(for: other, at: clock.monotonic) == first)
        let prolonged = table.grant(to: other, clock: clock).epoch
        #expect(prolonged == first)
        clock.monotonic += 400
        #expect(table.standingEpoch(for: other, at: clock.monotonic) == nil)
        let renewed = table.grant(to: other, clock: clock).epoch
        #expect(renewed != first)
    }

    @Test func `a lease needs a quorum that acknowledged under the grants that stand`() {
        var table = table()
        let clock = clock()
        let epoch = GrantEpoch(boot: 1, counter: 1)
        let bound = Timestamp(microseconds: 4_000_000)
        func lease(_ epoch: GrantEpoch) -> Timestamp {
            table.bound(
                votersIncludingSelf: 3, term: 1,
                acknowledgements: [(node: other, term: 1, epoch: epoch)], clock: clock)
        }
        #expect(lease(epoch) == .zero)
        table.receive(
            .init(sentAt: 1_000, epoch: epoch, bound: bound, boot: 1, physical: 0), from: other)
        #expect(lease(epoch) == bound)
        #expect(lease(GrantEpoch(boot: 1, counter: 2)) == .zero)
        clock.monotonic = 1_349
        #expect(lease(epoch) == bound)
        clock.monotonic = 1_350
        #expect(lease(epoch) == .zero)
    }

    @Test func `the bound is the one that a quorum reaches`() {
        var table = table()
        let clock = clock()
        let epoch = GrantEpoch(boot: 1, counter: 1)
        for (node, microseconds) in [(other, 3_000_000), (third, 2_000_000)] as [(NodeID, UInt64)] {
            table.receive(
                .init(
                    sentAt: 1_000, epoch: epoch, bound: Timestamp(microseconds: microseconds),
                    boot: 1, physical: 0), from: node)
        }
        let bound = table.bound(
            votersIncludingSelf: 3, term: 2,
            acknowledgements: [
                (node: other, term: 2, epoch: epoch), (node: third, term: 2, epoch: epoch),
                (node: NodeID(4), term: 1, epoch: epoch),
            ],
            clock: clock)
        #expect(bound == Timestamp(microseconds: 3_000_000))
    }

    @Test func `no bound exceeds what the clock may give by its record on disk`() {
        var table = table()
        let hybrid = HybridClock(startingAbove: Timestamp(microseconds: 5_000_001))
        let clock = TurnClock(monotonic: 0, physical: 5_000_000, hybrid: hybrid)
        let bound = table.grant(to: other, clock: clock).bound
        #expect(bound == Timestamp(microseconds: 5_000_001))
        #expect(table.highestBound == Timestamp(microseconds: 5_000_001))
    }
}
