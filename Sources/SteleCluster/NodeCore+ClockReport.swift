import SteleBase
import SteleClock

/// What a node knows of its clock and its peers'.
package struct ClockReport: Hashable, Sendable {
    package struct Peer: Hashable, Sendable {
        package var node: NodeID
        /// How far its clock is ahead of the own one, in microseconds; nil if nothing was heard of
        /// it lately.
        package var offset: ClosedRange<Int64>?
        /// What it says that its peers say of it.
        package var standing: ClockStanding
    }

    package var node: NodeID
    package var standing: ClockStanding
    /// See ``NodeCore/clockWait``.
    package var wait: UInt64
    /// How often the clock was set in this run.
    package var steps: UInt64
    package var peers: [Peer]
    /// How far two clocks may be apart that agree, in microseconds.
    package var limit: UInt64

    /// The nodes whose clocks are too far from that of `node` to agree with it, as far as is known.
    package func doubters(of node: NodeID) -> [NodeID] {
        guard let own = offset(of: node) else { return [] }
        let all = [self.node] + peers.map(\.node)
        return all.sorted().filter { other in
            guard other != node, let offset = offset(of: other) else { return false }
            return offset.lowerBound > own.upperBound + Int64(limit)
                || own.lowerBound > offset.upperBound + Int64(limit)
        }
    }

    /// How far a node's clock is ahead of the own one.
    package func offset(of node: NodeID) -> ClosedRange<Int64>? {
        node == self.node ? 0...0 : peers.first { $0.node == node }?.offset
    }
}

/// What was told of a clock that peers do not agree with.
struct ClockDoubt {
    /// Since when the clock is not confirmed, although a majority was heard in between.
    var since: UInt64?
    var toldAt: UInt64?
    var steps: UInt64 = 0
}

extension NodeCore {
    /// A doubt is told once it lasts for so long, and again and again after that, in microseconds.
    private static let doubtDelay: UInt64 = 1_000_000
    private static let doubtInterval: UInt64 = 10_000_000

    package var clockReport: ClockReport {
        ClockReport(
            node: configuration.node, standing: clockStanding, wait: clockWait,
            steps: clockDoubt.steps,
            peers: outgoing.map { peer in
                let isHeard = clockMonitor.hasHeard(peer.node, at: clock.monotonic)
                return ClockReport.Peer(
                    node: peer.node,
                    offset: isHeard
                        ? clockMonitor.offset(of: peer.node, at: clock.monotonic) : nil,
                    standing: isLive(peer.node) ? peer.clock : .unheard)
            }, limit: configuration.maximumClockOffset * 8 / 10)
    }

    func noteDoubt() {
        if isClockConfirmed {
            if clockDoubt.toldAt != nil { effects.notices.append(.clockConfirmed) }
            clockDoubt.since = nil
            clockDoubt.toldAt = nil
        } else if isClockDoubtful {
            let since = clockDoubt.since ?? clock.monotonic
            clockDoubt.since = since
            guard clock.monotonic >= since + Self.doubtDelay,
                clock.monotonic >= (clockDoubt.toldAt ?? 0) + Self.doubtInterval
            else { return }
            clockDoubt.toldAt = clock.monotonic
            effects.notices.append(.clockDoubted(clockReport, for: clock.monotonic - since))
        }
    }
}
