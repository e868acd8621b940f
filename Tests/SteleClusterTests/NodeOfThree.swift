import SteleBase
import SteleClock
import SteleEngine
import SteleRaft
import SteleTablet

@testable import SteleCluster

extension NodeCore {
    /// Node 1 of three new ones, each with a replica of one tablet.
    static func firstOfThree(monotonic: UInt64, wall: UInt64) throws -> NodeCore {
        let nodes = (1...3).map { NodeID($0) }
        let descriptor = TabletDescriptor(
            id: .firstData, range: .all, generation: 1,
            replicas: nodes.map { .init(node: $0, id: ReplicaID($0.rawValue)) })
        return try NodeCore(
            configuration: NodeCoreConfiguration(
                node: NodeID(1), tablets: [descriptor], members: nodes, seed: 1),
            engine: MemoryEngine(), recovered: RecoveredLog(), monotonic: monotonic, wall: wall)
    }

    /// Node 1 of two new ones, with the only replica of one tablet.
    static func onlyReplica(monotonic: UInt64, wall: UInt64) throws -> NodeCore {
        let descriptor = TabletDescriptor(
            id: .firstData, range: .all, generation: 1,
            replicas: [.init(node: NodeID(1), id: ReplicaID(1))])
        return try NodeCore(
            configuration: NodeCoreConfiguration(
                node: NodeID(1), tablets: [descriptor], members: [NodeID(1), NodeID(2)], seed: 1),
            engine: MemoryEngine(), recovered: RecoveredLog(), monotonic: monotonic, wall: wall)
    }

    /// Has a peer confirm this node's clock, within a turn.
    func clockConfirmed(by peer: NodeID) {
        let reply = PeerMessage.HeartbeatReply(
            sentAt: clock.monotonic &+ echoMark, epoch: GrantEpoch(boot: 1, counter: 1),
            bound: Timestamp(microseconds: clock.physical), boot: 1, physical: clock.physical)
        receive([.heartbeatReply(reply)], from: peer)
    }

    /// A turn at `time`, in which `body` runs, and those that its log records call for, `step`
    /// microseconds apart; returns what each of them wants done.
    func turns(
        at time: inout UInt64, every step: UInt64, _ body: (NodeCore) -> Void = { _ in }
    ) -> [NodeEffects] {
        var all: [NodeEffects] = []
        var synced: UInt64?
        repeat {
            time += step
            beginTurn(monotonic: time, wall: 1_700_000_000_000_000 + time)
            if let synced { logSynced(synced) }
            if all.isEmpty { body(self) }
            all.append(endTurn(monotonic: time))
            synced = all[all.count - 1].log?.token
        } while synced != nil
        return all
    }
}

extension TabletRequest {
    /// A request for exclusive locks that waits for as long as it takes.
    static func lock(_ keys: [KeyBytes], for transaction: TransactionID) -> TabletRequest {
        TabletRequest(
            transaction: transaction,
            body: .lock(
                .init(
                    keys: keys, mode: .exclusive, wait: .wait, timeoutMicroseconds: nil,
                    snapshot: nil, grant: nil)))
    }
}
