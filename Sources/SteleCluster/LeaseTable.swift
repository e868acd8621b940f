import SteleBase
import SteleClock
import SteleRaft
import SteleTablet

/// The leases that a node has granted to, and received from, its peers.
///
/// Leader leases per pair of nodes (DESIGN, section 4). The argument in short: a leader of term T
/// serves at a timestamp only while a quorum of voters stand by it. A voter stands by it when it
/// acknowledged T under a grant that has not lapsed since, and it votes for nobody else until that
/// grant has lapsed. So no other leader exists within the time of the leases; and because each vote
/// names the highest bound its voter ever granted, the next leader writes above all that was served.
///
/// Invariants:
/// - A grant lasts longer for its giver than for its receiver: the receiver counts from when it
///   asked, the giver from the end of the turn that answered, and for longer.
/// - `highestBound` covers every bound granted, to others and to oneself, and is itself covered by
///   the clock's bound on disk.
package struct LeaseTable: Sendable {
    private struct Given: Sendable {
        var until: UInt64
        var counter: UInt64
    }

    private struct Received: Sendable {
        var until: UInt64
        var sentAt: UInt64
        var epoch: GrantEpoch
        var bound: Timestamp
    }

    /// Microseconds, counted from the sending of the request, for which a grant may be relied upon.
    package let leaseMicroseconds: UInt64
    /// Microseconds, counted from the answer, for which a grant binds.
    package let grantMicroseconds: UInt64
    package let maximumOffsetMicroseconds: UInt64
    private let boot: UInt64
    private var given: [NodeID: Given] = [:]
    /// To whom the present turn has granted.
    private var grantedNow: [NodeID] = []
    private var received: [NodeID: Received] = [:]
    /// Scratch of ``bound(votersIncludingSelf:term:acknowledgements:clock:)``, kept for its memory.
    private var bounds: [Timestamp] = []
    /// The highest bound ever granted.
    package private(set) var highestBound: Timestamp

    package init(
        boot: UInt64, highestBound: Timestamp, leaseMicroseconds: UInt64,
        grantMicroseconds: UInt64, maximumOffsetMicroseconds: UInt64
    ) {
        self.boot = boot
        self.highestBound = highestBound
        self.leaseMicroseconds = leaseMicroseconds
        self.grantMicroseconds = grantMicroseconds
        self.maximumOffsetMicroseconds = maximumOffsetMicroseconds
    }

    /// Grants `node` a lease, or prolongs the one it has.
    ///
    /// - Parameter physical: the physical time that bounds it, if not the own clock's.
    package mutating func grant(
        to node: NodeID, clock: TurnClock, physical: UInt64? = nil
    ) -> (epoch: GrantEpoch, bound: Timestamp) {
        var grant = given[node] ?? Given(until: 0, counter: 0)
        if grant.until <= clock.monotonic { grant.counter += 1 }
        grant.until = clock.monotonic + grantMicroseconds
        given[node] = grant
        grantedNow.append(node)
        return (GrantEpoch(boot: boot, counter: grant.counter), newBound(clock, physical))
    }

    /// Counts the grants of the present turn from its end.
    ///
    /// A turn may take long, when the process is stopped within it, and answer what was sent long
    /// after it began: counted from its beginning, a grant could end for its giver first.
    package mutating func endTurn(at monotonic: UInt64) {
        for node in grantedNow { given[node]?.until = monotonic + grantMicroseconds }
        grantedNow.removeAll(keepingCapacity: true)
    }

    /// The epoch under which this node stands by `node`, if it does.
    package func standingEpoch(for node: NodeID, at monotonic: UInt64) -> GrantEpoch? {
        guard let grant = given[node], grant.until > monotonic else { return nil }
        return GrantEpoch(boot: boot, counter: grant.counter)
    }

    /// Whether `node` stands by this node, under the grant that `epoch` names.
    package func isStandingBy(_ node: NodeID, under epoch: GrantEpoch, at monotonic: UInt64) -> Bool {
        guard let grant = received[node] else { return false }
        return grant.epoch == epoch && grant.until > monotonic
    }

    /// When the grant to `node` ends; 0 if there is none.
    package func grantEnd(for node: NodeID) -> UInt64 { given[node]?.until ?? 0 }

    /// Takes in a grant that `node` gave in answer to a heartbeat sent at `sentAt`.
    package mutating func receive(_ reply: PeerMessage.HeartbeatReply, from node: NodeID) {
        if let known = received[node], known.sentAt >= reply.sentAt { return }
        received[node] = Received(
            until: reply.sentAt + leaseMicroseconds, sentAt: reply.sentAt, epoch: reply.epoch,
            bound: reply.bound)
    }

    /// Up to where a leader may serve and write, on the strength of its own vote and of the voters
    /// that acknowledged it; zero if they are no quorum.
    ///
    /// - Parameters:
    ///   - term: the leader's present term.
    ///   - acknowledgements: for each other voter, its node, the term that it acknowledged last, and
    ///     the epoch under which it did.
    package mutating func bound(
        votersIncludingSelf voters: Int, term: Term,
        acknowledgements: [(node: NodeID, term: Term, epoch: GrantEpoch)], clock: TurnClock
    ) -> Timestamp {
        bounds.removeAll(keepingCapacity: true)
        bounds.append(newBound(clock))
        for acknowledgement in acknowledgements where acknowledgement.term == term {
            guard let grant = received[acknowledgement.node],
                grant.epoch == acknowledgement.epoch, grant.until > clock.monotonic
            else { continue }
            // A handful: each to its place, the highest first.
            var place = bounds.count
            bounds.append(grant.bound)
            while place > 0, bounds[place - 1] < grant.bound {
                bounds.swapAt(place, place - 1)
                place -= 1
            }
        }
        return bounds.count > voters / 2 ? bounds[voters / 2] : .zero
    }

    private mutating func newBound(_ clock: TurnClock, _ physical: UInt64? = nil) -> Timestamp {
        let ahead = maximumOffsetMicroseconds + leaseMicroseconds
        let bound = min(
            Timestamp(microseconds: (physical ?? clock.physical) + ahead), clock.hybrid.bound)
        highestBound = max(highestBound, bound)
        return bound
    }
}
