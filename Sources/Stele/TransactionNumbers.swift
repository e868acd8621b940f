import SteleAPI
import SteleBase
import SteleTablet
import SteleTransaction
import Synchronization

/// Hands out transaction ids from the range that the node's record on disk reserves.
///
/// Invariant: no number at or above the durable bound is given, so that a restart repeats none.
final class TransactionNumbers: Sendable {
    fileprivate struct State {
        var isMember = false
        var node = NodeID.none
        var next: UInt64 = 0
        var bound: UInt64 = 0
    }

    private let state = Mutex(State())

    /// The node belongs to a cluster, and can serve once it has read its log.
    func join() { state.withLock { $0.isMember = true } }

    /// Why the node serves nothing yet; nil once it does.
    var obstacle: TabletReply.Failure? { state.withLock(\.obstacle) }

    func start(node: NodeID, at first: UInt64) {
        state.withLock {
            $0.node = node
            $0.next = first
        }
    }

    /// Numbers below `bound` are reserved on disk.
    func extend(to bound: UInt64) { state.withLock { $0.bound = max($0.bound, bound) } }

    /// The next number to be given.
    var used: UInt64 { state.withLock { $0.next } }

    /// A number of the same sequence, for whatever must be unique in the cluster.
    ///
    /// Not held back by the bound: millions are reserved ahead, and renewed with each turn.
    func uniqueNumber() -> UInt64 {
        state.withLock { state in
            defer { state.next += 1 }
            return TransactionID(node: state.node, sequence: state.next).rawValue
        }
    }

    func next() throws(SteleError) -> TransactionID {
        let result: Result<TransactionID, SteleError> = state.withLock { state in
            if let obstacle = state.obstacle { return .failure(TabletReply.failed(obstacle).error) }
            guard state.next < state.bound else {
                return .failure(
                    SteleError(.overloaded, "the log is too slow to number transactions"))
            }
            defer { state.next += 1 }
            return .success(TransactionID(node: state.node, sequence: state.next))
        }
        return try result.get()
    }
}

extension TransactionNumbers.State {
    fileprivate var obstacle: TabletReply.Failure? {
        guard isMember else {
            return .init(.notInitialized, "the node does not belong to a cluster yet")
        }
        guard bound > 0 else {
            return .init(.notLeader, "the node is starting: it reads its log")
        }
        return nil
    }
}
