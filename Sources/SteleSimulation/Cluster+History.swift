import SteleBase
import SteleClock
import SteleCluster
import SteleEngine
import SteleTablet

/// What must hold of old versions: nobody reads what may be gone, and what may go is gone in the end.
extension SimulatedCluster {
    /// A read below a watermark is refused. Where no node fails, that happens to no reader that its
    /// node knew of.
    func noteRefusal(_ reply: TabletReply?) {
        guard case .failed(let failure)? = reply, failure.reason == .snapshotTooOld else { return }
        result.counts.refusedReads += 1
        if !scenario.hasFaults { fail("a watermark was raised above an open reader") }
    }

    /// Whether a node's store holds no version that nobody can read, once nothing is written for
    /// longer than the retention; a longer one is not waited for.
    func isHistoryShort(_ node: SimulatedNode) -> Bool {
        guard scenario.retention < 2_000_000 else { return true }
        var page = ScanPage()
        do {
            try node.engine.scan(
                .all, at: .max, limits: ScanLimits(bytes: .max), reverse: false, into: &page)
            return try node.engine.statistics().estimatedVersions == page.count
        } catch {
            invariantFailed("an engine in memory cannot be read: \(error)")
        }
    }
}
