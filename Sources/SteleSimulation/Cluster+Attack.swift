import SteleBase
import SteleCluster
import SteleTablet

/// A request that one node sent another, to be sent again when nobody expects it.
struct OldRequest {
    var from: Int
    var transaction: TransactionID
    var frame: [UInt8]
}

/// Commits come again long after they were answered, at whoever leads by then, as if the network had
/// kept them: nothing may take effect twice, whatever came in between.
///
/// Only those that were not refused: a refusal is final for its client, but nothing holds a leader
/// that never heard of it to it.
extension SimulatedCluster {
    private static let remembered = 40

    func remember(_ message: PeerMessage, from node: SimulatedNode) {
        guard case .request(_, let request) = message, case .commit = request.body else { return }
        var writer = ByteWriter()
        message.encode(into: &writer)
        oldRequests.append(
            OldRequest(
                from: node.place, transaction: request.transaction, frame: writer.bytes))
        if oldRequests.count > Self.remembered { oldRequests.removeFirst() }
    }

    /// Sends an old request again now and then, as long as there is load.
    func startAttack() {
        after(taskRandom.uniform(20_000...200_000)) { [self] in
            guard workload.isRunning else { return }
            startAttack()
            guard !oldRequests.isEmpty else { return }
            let old = oldRequests[Int(taskRandom.below(UInt64(oldRequests.count)))]
            let target = nodes[Int(taskRandom.below(UInt64(nodes.count)))]
            guard target.place != old.from, mayTakeEffect(old.transaction) else { return }
            result.counts.oldRequests += 1
            trace.note(
                .message, at: now, UInt64(old.from), UInt64(target.place),
                "an old commit of \(old.transaction) reaches \(target.id)")
            give(.frame(from: old.from, bytes: old.frame), to: target)
        }
    }

    /// Whether the transaction's client was told that it is committed, or that nobody knows.
    private func mayTakeEffect(_ transaction: TransactionID) -> Bool {
        let told = workload.outcomes.last { $0.transaction == transaction }?.outcome
        switch told {
        case .committed, .unknown: return true
        case .failed, nil: return false
        }
    }
}
