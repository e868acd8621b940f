import SteleBase
import SteleEngine
import SteleRaft
import Testing

@testable import SteleCluster
@testable import SteleTablet

/// The locks of a node that is gone must go too, in whatever state their leader learns of it: it is
/// told once.
@Suite struct LockReleaseTests {
    /// A leader of one replica, where a transaction of node 2 holds a lock on one key and one of
    /// node 3 waits for it.
    private struct Leader {
        let core: NodeCore
        var time: UInt64 = 1_000_000
        private let key: KeyBytes = [0x6B]

        var tablet: Tablet { core.tablets[0] }

        init() throws {
            let descriptor = TabletDescriptor(
                id: .firstData, range: .all, generation: 1,
                replicas: [.init(node: NodeID(1), id: ReplicaID(1))])
            core = try NodeCore(
                configuration: NodeCoreConfiguration(
                    node: NodeID(1), tablets: [descriptor], members: [NodeID(1)], seed: 1),
                engine: MemoryEngine(), recovered: RecoveredLog(), monotonic: time,
                wall: 1_700_000_000_000_000)
            while !tablet.isServing, time < 10_000_000 { turn() }
            for node in [2, 3] as [UInt64] {
                let request = lock(of: node)
                turn { $0.submit(request, token: node, timeoutMicroseconds: 60_000_000) }
            }
            #expect(!tablet.locks.isEmpty)
        }

        func lock(of node: UInt64, sequence: UInt64 = 1) -> TabletRequest {
            TabletRequest(
                transaction: TransactionID(node: NodeID(node), sequence: sequence),
                body: .lock(
                    .init(
                        keys: [key], mode: .exclusive, wait: .wait, timeoutMicroseconds: nil,
                        snapshot: nil, grant: nil)))
        }

        /// One turn, and those that its log records call for; returns the tokens it answered.
        @discardableResult
        mutating func turn(_ body: (NodeCore) -> Void = { _ in }) -> [UInt64] {
            core.turns(at: &time, every: 10_000, body).flatMap { $0.replies.map(\.0) }
        }
    }

    @Test func `a leader without a lease gives up the locks of a node that is gone`() throws {
        var leader = try Leader()
        leader.tablet.leaseBound = .zero
        leader.tablet.releaseLocks(of: NodeID(2))
        #expect(leader.tablet.locks.transactions(of: NodeID(2)).isEmpty)
        // The next in the queue gets the lock once there is a lease again.
        #expect(leader.turn() == [3])
    }

    @Test func `a transaction's own release needs no lease`() throws {
        var leader = try Leader()
        leader.tablet.leaseBound = .zero
        leader.tablet.handle(
            TabletRequest(
                transaction: TransactionID(node: NodeID(2), sequence: 1),
                body: .release(near: [0x6B])), origin: 99)
        #expect(leader.tablet.locks.transactions(of: NodeID(2)).isEmpty)
        #expect(leader.turn() == [3])
    }

    /// Another node may pass it on after that run's locks were given up: nobody would give it up.
    @Test func `a transaction of an earlier run gets no lock`() throws {
        var leader = try Leader()
        leader.tablet.releaseLocks(of: NodeID(2))
        leader.tablet.releaseLocks(of: NodeID(3))
        leader.turn()
        let request = leader.lock(of: 1, sequence: leader.core.firstTransaction - 1)
        let answered = leader.turn {
            $0.submit(request, token: 9, timeoutMicroseconds: 60_000_000)
        }
        #expect(answered == [9])
        #expect(leader.tablet.locks.isEmpty)
    }
}
