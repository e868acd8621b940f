import SteleClock
import SteleEngine
import SteleTablet

/// How far the node's tablets may give up their past: what is older than the retention, as long as
/// no transaction of any node still reads there.
///
/// A reader is heard of within a heartbeat or two, and the retention keeps its timestamp until then.
/// That is a service and no promise: every read below a watermark is refused by whoever has applied
/// it, so a reader that was not heard of, or is older than any may be, gets an error and no hole.
extension NodeCore {
    /// A reader older than so many times the retention is waited for no more.
    private static let longestReader: UInt64 = 24
    /// A watermark rises by this part of the retention at least.
    private static let stepsOfRetention: UInt64 = 8
    /// A peer that was silent for so long, in microseconds, has lost its transactions.
    private static let silence: UInt64 = 3_000_000

    func lookAfterHistory() {
        let retention = configuration.retention
        let own = ownReader(retention)
        for peer in outgoing.indices { outgoing[peer].messages.append(.readers(own)) }
        guard isClockConfirmed, clock.physical > retention else { return }
        var wanted = min(Timestamp(microseconds: clock.physical - retention), own.previous)
        for peer in outgoing {
            guard let heard = peer.lastHeard, clock.monotonic < heard + Self.silence,
                let oldest = peerReaders[peer.node], oldest >= oldestAllowed(retention)
            else { continue }
            wanted = min(wanted, oldest.previous)
        }
        for tablet in tablets {
            if let sweep = tablet.lookAfterHistory(
                upTo: wanted, step: max(retention / Self.stepsOfRetention, 1))
            {
                effects.sweeps.append(sweep)
            }
        }
    }

    private func ownReader(_ retention: UInt64) -> Timestamp {
        oldestReader(oldestAllowed(retention)) ?? .max
    }

    private func oldestAllowed(_ retention: UInt64) -> Timestamp {
        let longest = retention.multipliedReportingOverflow(by: Self.longestReader)
        guard !longest.overflow, clock.physical > longest.partialValue else { return .zero }
        return Timestamp(microseconds: clock.physical - longest.partialValue)
    }

    /// A slice that was to be looked through was.
    package func swept(_ sweep: HistorySweep, _ found: ObsoleteDeletions) {
        tablets.first { $0.descriptor.id == sweep.tablet }?.swept(sweep, found)
    }
}
