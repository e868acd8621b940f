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
    private var isClockDoubtful: Bool {
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

    /// Lets the verdict age, and hands on what a node with a doubtful clock must not lead.
    ///
    /// A leader that has heard of nobody for a while keeps its tablets: it serves nothing, and what
    /// its peers show next decides.
    func judgeClock() {
        clockVerdict = clockMonitor.verdict(at: clock.monotonic)
        for index in tablets.indices where tablets[index].group.isLeader {
            let hasResigned = states[index].resignedTerm == tablets[index].group.term
            if isClockDoubtful || hasResigned { resign(index) }
        }
    }

    /// Asks another replica to lead. The lease is given up first, and for good: the others vote
    /// for the one that was asked although they stand by this node.
    private func resign(_ index: Int) {
        let tablet = tablets[index]
        guard tablet.group.leadTransferee == .none else { return }
        let targets = tablet.descriptor.replicas.filter {
            $0.node != configuration.node && isLive($0.node) && !isOutrun($0.node, index)
        }
        guard !targets.isEmpty else { return }
        let target = targets[states[index].resignations % targets.count]
        states[index].resignations += 1
        states[index].resignedTerm = tablet.group.term
        tablet.leaseBound = .zero
        mark("cluster: leadership is handed on because of the clock")
        tablet.group.transferLeader(to: target.id)
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
