import SteleBase
import SteleClock
import SteleRaft
import SteleTablet

/// How a node core keeps its clock, judges it by its peers', and what follows (DESIGN, section 4,
/// "Clocks").
///
/// Invariants:
/// - While a majority does not confirm the clock, the node serves nothing, evaluates nothing, gives
///   no timestamps and does not campaign. It still votes, grants, stores and applies, and passes its
///   clients' requests on, so a wrong clock costs its cluster a leader and no more.
/// - While the clock has not passed what the node promised before it was set back, or in an earlier
///   run, the node does not vote or grant either.
/// - Of two nodes of which none is confirmed, none lends the other any time.
///
/// Why a clock that is set harms nothing. Four kinds of promises name a physical time:
/// 1. *Timestamps* come from the hybrid clock, which is never below one that it gave or took in, and
///    whose bound on disk only rises; setting the physical clock touches neither.
/// 2. *Bounds* that were granted or lent: votes name the highest of all, which only rises, so the
///    next leader starts above it, whatever clock the voter has by then. How long a lease lasts is
///    counted on the monotonic clock alone. A clock that was set forward lends more than before, but
///    only once it is confirmed, or as much as a confirmed asker has itself.
/// 3. *The bound on disk* that the next run starts above covers 1 and 2, and is raised by a clock
///    only while that is confirmed.
/// 4. *Readings* that peers were shown. They take it that the clock runs on at its pace, for as long
///    as a reading counts; it is not set before all of them have ceased to. Readings of peers'
///    clocks, which are kept relative to the own one, move with it by as much.
/// So nothing wrong can be served. What a step back can do is to make the node useless for long:
/// nobody serves above what a quorum's clocks allow (2), and a leader elected by this node would
/// have to wait until they have passed what it promised. The node itself waits for that (`wait`),
/// without standing in the way of anybody.
extension NodeCore {
    /// Whether a majority of the nodes agrees with this node's clock.
    package var isClockConfirmed: Bool {
        if case .confirmed = clockVerdict { true } else { false }
    }

    /// Whether the peers have shown their clocks and do not agree with this node's.
    var isClockDoubtful: Bool { clockVerdict == .disputed || clockVerdict == .outOfBounds }

    /// Whether the clock has passed all that was promised before it was set back, or by earlier
    /// runs, and there is a record of this run on disk.
    package var isClockUsable: Bool { durableRecord != nil && clockWait == 0 }

    /// Microseconds until physical time passes what was promised before it was set back, or by an
    /// earlier run. Usually less than a second; more where the wall clock was set back.
    package var clockWait: UInt64 { physicalClock.wait }

    var clockStanding: ClockStanding {
        if peers.isEmpty { return .alone }
        if isClockConfirmed { return .confirmed }
        return isClockDoubtful ? .doubted : .unheard
    }

    /// The latest time that the node gave, took in, or granted to peers.
    package var promised: Timestamp {
        peers.isEmpty ? clock.hybrid.last : max(clock.hybrid.last, leases.highestBound)
    }

    /// Sets the time of a turn.
    func readClocks(monotonic: UInt64, wall: UInt64) {
        clock.monotonic = max(clock.monotonic, monotonic)
        let step = physicalClock.read(
            monotonic: clock.monotonic, wall: wall, standing: clockStanding,
            promised: promised.microseconds)
        clock.physical = physicalClock.reading
        turnBegan = clock.monotonic
        guard step != 0 else { return }
        clockMonitor.ownClockWasSet(by: step)
        guard step.magnitude >= PhysicalClock.smallestStep else { return }
        mark("cluster: the physical clock is set")
        clockDoubt.steps += 1
        effects.notices.append(.clockSet(by: step, wait: clockWait))
    }

    /// The physical time by which a grant to the sender of a heartbeat is bounded.
    ///
    /// A clock that may be wrong must not lend its time to a leader's floor; so it lends what the
    /// other one has already, if that may be believed, and nothing otherwise.
    func timeToLend(for heartbeat: PeerMessage.Heartbeat) -> UInt64 {
        if isClockConfirmed { return clock.physical }
        return heartbeat.clock == .confirmed ? min(clock.physical, heartbeat.physical) : 0
    }

    /// Takes in the readings that came in this turn.
    ///
    /// - Parameter end: the time now, read anew: after all of them had arrived.
    func readPeerClocks(at end: UInt64) {
        guard !clockReadings.isEmpty else { return }
        for (peer, sentAt, physical) in clockReadings {
            // Both own clocks run at almost the same pace, and the monitor allows for the rest. Had
            // this one been set since, the other was asked as if it had always stood here.
            let since = turnBegan - min(sentAt, turnBegan)
            guard since <= clock.physical else { continue }
            clockMonitor.receive(
                physical, from: peer, sentAt: sentAt, receivedAt: end,
                ownAtSending: clock.physical - since)
        }
        clockReadings.removeAll(keepingCapacity: true)
        clockVerdict = clockMonitor.verdict(at: end)
    }

    /// Answers heartbeats with this node's time, read after they had arrived, unless it is about to
    /// be set.
    func sendHeartbeatReplies() {
        for (peer, granted) in heartbeatReplies {
            var reply = granted
            reply.physical = physicalClock.show(at: clock.monotonic) ?? 0
            outgoing[peer].messages.append(.heartbeatReply(reply))
        }
        heartbeatReplies.removeAll(keepingCapacity: true)
    }
}
