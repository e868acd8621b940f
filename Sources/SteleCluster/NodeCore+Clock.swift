import SteleBase
import SteleClock
import SteleRaft
import SteleTablet

/// How a node core judges its clock by its peers', and what follows (DESIGN, section 4, "Clocks").
///
/// Invariant: while a majority does not confirm the clock, the node serves nothing, evaluates
/// nothing, gives no timestamps and does not campaign. It still votes, grants, stores and applies,
/// and passes its clients' requests on, so a wrong clock costs its cluster a leader and no more.
extension NodeCore {
    /// Whether a majority of the nodes agrees with this node's clock.
    package var isClockConfirmed: Bool {
        if case .confirmed = clockVerdict { true } else { false }
    }

    /// Whether the peers have shown their clocks and do not agree with this node's.
    var isClockDoubtful: Bool {
        clockVerdict == .disputed || clockVerdict == .outOfBounds
    }

    /// Takes in the readings that came in this turn.
    ///
    /// - Parameter end: the time now, read anew: after all of them had arrived.
    func readPeerClocks(at end: UInt64) {
        guard !clockReadings.isEmpty else { return }
        for (peer, sentAt, physical) in clockReadings {
            // Both own clocks run at almost the same pace, and the monitor allows for the rest.
            let since = turnBegan - min(sentAt, turnBegan)
            guard since <= clock.physical else { continue }
            clockMonitor.receive(
                physical, from: peer, sentAt: sentAt, receivedAt: end,
                ownAtSending: clock.physical - since)
        }
        clockReadings.removeAll(keepingCapacity: true)
        clockVerdict = clockMonitor.verdict(at: end)
    }

    /// Answers heartbeats with this node's time, read after they had arrived.
    func sendHeartbeatReplies() {
        for (peer, granted) in heartbeatReplies {
            var reply = granted
            reply.physical = clock.physical + (clock.monotonic - turnBegan)
            outgoing[peer].messages.append(.heartbeatReply(reply))
        }
        heartbeatReplies.removeAll(keepingCapacity: true)
    }
}
