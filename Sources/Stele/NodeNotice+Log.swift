import Logging
import SteleBase
import SteleCluster
import SteleWire

/// What operators read of it in the log.
extension Logger {
    func log(_ notice: NodeNotice) {
        switch notice {
        case .clockSet(let step, let wait):
            var metadata: Metadata = ["by_ms": "\(step / 1000)"]
            if wait > 0 { metadata["waits_ms"] = "\(wait / 1000)" }
            let rest = wait > 0 ? "; it promises nothing until it has made up for that" : ""
            warning(
                "the node's clock follows the machine's, which was set\(rest)", metadata: metadata)
        case .clockDoubted(let report, let duration):
            var metadata: Metadata = ["for_ms": "\(duration / 1000)"]
            for peer in report.peers {
                guard let offset = peer.offset else { continue }
                let middle = (offset.lowerBound + offset.upperBound) / 2_000
                metadata["node_\(peer.node.rawValue)_ahead_ms"] = "\(middle)"
            }
            let doubters = report.doubters(of: report.node).map { "\($0.rawValue)" }
            metadata["doubted_by"] = "\(doubters.joined(separator: ","))"
            warning(
                "no majority agrees with this node's clock: it leads nothing until one does",
                metadata: metadata)
        case .clockConfirmed: self.notice("a majority agrees with this node's clock again")
        case .peerRefused(let node, let boot, let known):
            error(
                "a node runs on an older copy of its directory: nothing that it says counts",
                metadata: [
                    "peer": "\(node.rawValue)", "start": "\(boot)", "latest_start": "\(known)",
                ])
        case .outdated(let boot, let node, let known):
            critical(
                "this directory is an older copy: a peer knows of a later start of this node",
                metadata: [
                    "peer": "\(node.rawValue)", "start": "\(boot)", "latest_start": "\(known)",
                ])
        case .diskHangs(let duration):
            error(
                "the disk has not ended a write to the log",
                metadata: ["for_ms": "\(duration / 1000)"])
        case .campaigns(let tablet, let term):
            self.notice(
                "this node stands for election",
                metadata: ["tablet": "\(tablet.rawValue)", "term": "\(term)"])
        case .leaderChanged(let tablet, .none, let term):
            self.notice(
                "a tablet has lost its leader",
                metadata: ["tablet": "\(tablet.rawValue)", "term": "\(term)"])
        case .leaderChanged(let tablet, let leader, let term):
            self.notice(
                "a tablet has a leader",
                metadata: [
                    "tablet": "\(tablet.rawValue)", "leader": "\(leader.rawValue)",
                    "term": "\(term)",
                ])
        }
    }
}

extension ClockReport {
    /// What `stele status` shows of a node's clock.
    func status(of node: NodeID) -> StatusReport.Clock {
        let isOwn = node == self.node
        let standing = isOwn ? self.standing : peers.first { $0.node == node }?.standing
        return StatusReport.Clock(
            standing: standing.flatMap { StatusReport.Clock.Standing(rawValue: $0.rawValue) }
                ?? .unheard,
            offset: offset(of: node), doubtedBy: doubters(of: node), wait: isOwn ? wait : 0,
            steps: isOwn ? steps : 0)
    }
}
