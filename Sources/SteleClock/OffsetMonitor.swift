import SteleBase

/// Judges a node's clock by what its peers' clocks showed.
///
/// Every answer of a peer holds its clock's reading, taken between the sending of the question and
/// the arrival of the answer. So the offset of its clock from the own one is known to within the
/// round trip, however long the two ways took; with age the bounds widen by the drift of both
/// clocks. The intervals are intersected as Marzullo did ("Maintaining the Time in a Distributed
/// System", 1984) and NTP does: each clock claims that true time is close to it, and the largest
/// number of claims that have a point in common are believed.
///
/// A clock is fit for use while such a point lies within its own claim and a majority of all
/// clocks share it. The claims are such that clocks that are further apart than the maximum offset
/// for certain never agree, and clocks within 80 percent of it always do if the round trip is
/// short; what is known too inexactly to tell is no claim at all.
///
/// A reading counts for a short while only, as long as the grant that came with it: by then a node
/// without new ones leads nothing anyway. So even a clock that runs away far faster than any drift
/// that is allowed for is not confirmed by what a peer that is gone showed in better days.
///
/// Times are in microseconds; offsets are those of the other clock, so positive if it is ahead.
package struct OffsetMonitor: Sendable {
    /// What is known of a peer's clock: its offset lay within the bounds at `at`.
    private struct Reading: Sendable {
        var peer: NodeID
        var lowest: Int64
        var highest: Int64
        var at: UInt64
        /// When the peer was asked: the reading is no older.
        var askedAt: UInt64
    }

    package enum Verdict: Hashable, Sendable {
        /// A majority agrees with the own clock; no clock of it is further off than `error`.
        case confirmed(error: UInt64)
        /// Too few readings: just started, or the peers are gone.
        case unconfirmed
        /// A majority has shown its clocks, and no majority agrees with the own one: they differ, or
        /// what they showed is too inexact.
        case disputed
        /// A majority cannot agree with the own clock, whatever unheard peers may show.
        case outOfBounds
    }

    /// All nodes, this one included.
    package let members: Int
    package let maximumOffset: UInt64
    /// How far two clocks may drift apart, in parts per million: each follows its wall clock with
    /// up to 1,000, on an oscillator that is off by up to 200.
    package let driftPerMillion: UInt64
    /// How old the readings may be that the verdict counts, in microseconds since the question.
    package let maximumAge: UInt64
    /// One a peer.
    private var readings: [Reading] = []

    package init(
        members: Int, maximumOffset: UInt64, maximumAge: UInt64, driftPerMillion: UInt64 = 2_400
    ) {
        invariant(members > 0, "a cluster without members")
        self.members = members
        self.maximumOffset = maximumOffset
        self.maximumAge = maximumAge
        self.driftPerMillion = driftPerMillion
    }

    /// Takes in what the clock of `peer` showed.
    ///
    /// - Parameters:
    ///   - reading: that clock, at some moment between the two that follow.
    ///   - sentAt: the own monotonic clock when the question left, or earlier.
    ///   - receivedAt: the own monotonic clock when the answer was there, or later.
    ///   - ownAtSending: the own physical clock at `sentAt`.
    package mutating func receive(
        _ reading: UInt64, from peer: NodeID, sentAt: UInt64, receivedAt: UInt64,
        ownAtSending: UInt64
    ) {
        // A reading that fits no timestamp comes from no clock.
        guard sentAt <= receivedAt, max(reading, ownAtSending, receivedAt) < 1 << 52 else { return }
        let peerClock = Int64(reading)
        let own = Int64(ownAtSending)
        let roundTrip = Int64(receivedAt - sentAt)
        let drift = widening(receivedAt - sentAt)
        let new = Reading(
            peer: peer, lowest: peerClock - own - roundTrip - drift,
            highest: peerClock - own + drift, at: receivedAt, askedAt: sentAt)
        guard let place = readings.firstIndex(where: { $0.peer == peer }) else {
            return readings.append(new)
        }
        guard sentAt >= readings[place].askedAt else { return }
        // Both hold. But a clock may be set once what it showed counts no more; and if they exclude
        // each other, one was, and what was known of it is void.
        guard receivedAt <= readings[place].askedAt + maximumAge else {
            readings[place] = new
            return
        }
        let old = bounds(of: readings[place], at: receivedAt)
        let isDisjoint = new.lowest > old.highest || new.highest < old.lowest
        readings[place] = new
        if isDisjoint { return }
        readings[place].lowest = max(new.lowest, old.lowest)
        readings[place].highest = min(new.highest, old.highest)
    }

    /// The own clock was set, forward if `step` is positive; the others were not.
    package mutating func ownClockWasSet(by step: Int64) {
        for index in readings.indices {
            readings[index].lowest -= step
            readings[index].highest -= step
        }
    }

    /// Drops what is known of a peer, because it started anew.
    package mutating func forget(_ peer: NodeID) { readings.removeAll { $0.peer == peer } }

    /// Whether a peer has shown its clock lately enough that the verdict counts it.
    package func hasHeard(_ peer: NodeID, at monotonic: UInt64) -> Bool {
        readings.contains { $0.peer == peer && monotonic <= $0.askedAt + maximumAge }
    }

    /// Within what bounds the offset of a peer's clock is now; nil if nothing is known.
    package func offset(of peer: NodeID, at monotonic: UInt64) -> ClosedRange<Int64>? {
        guard let reading = readings.first(where: { $0.peer == peer }) else { return nil }
        let (lowest, highest) = bounds(of: reading, at: monotonic)
        return lowest...highest
    }

    /// What the peers' readings say about the own clock.
    package func verdict(at monotonic: UInt64) -> Verdict {
        let quorum = members / 2 + 1
        if quorum == 1 { return .confirmed(error: 0) }
        let ownRadius = Int64(maximumOffset) * 4 / 10
        let own = Claim(lowest: -ownRadius, highest: ownRadius, error: 0)
        var claims = [own]
        var heard = 1
        var contradicting = 0
        for reading in readings where monotonic <= reading.askedAt + maximumAge {
            heard += 1
            let (lowest, highest) = bounds(of: reading, at: monotonic)
            if lowest > 2 * ownRadius || highest < -2 * ownRadius { contradicting += 1 }
            if let claim = claim(lowest, highest) { claims.append(claim) }
        }
        if members - contradicting < quorum { return .outOfBounds }
        // A largest set of intervals with a common point has one at the beginning of an interval.
        var best: (agreeing: Int, error: UInt64) = (0, 0)
        for point in claims.lazy.map(\.lowest) where own.contains(point) {
            let agreeing = claims.lazy.filter { $0.contains(point) }
            let count = agreeing.count
            if count > best.agreeing {
                best = (count, agreeing.map(\.error).max() ?? 0)
            }
        }
        if best.agreeing >= quorum { return .confirmed(error: best.error) }
        return heard >= quorum ? .disputed : .unconfirmed
    }

    /// Where true time is, by one clock, relative to the own one.
    private struct Claim {
        var lowest: Int64
        var highest: Int64
        /// How far off the own clock its clock may be.
        var error: UInt64

        func contains(_ point: Int64) -> Bool { lowest <= point && point <= highest }
    }

    /// A clock is believed to be within 40 percent of the maximum offset of true time, so that two
    /// are within 80 of each other. Inexact bounds are given the benefit of the doubt, as long as it
    /// is certain that the clock is within half the maximum offset of what it claims.
    private func claim(_ lowest: Int64, _ highest: Int64) -> Claim? {
        let width = highest - lowest
        let maximum = Int64(maximumOffset)
        let radius = min(maximum * 4 / 10 + width / 2, maximum / 2 - (width + 1) / 2)
        guard radius >= 0 else { return nil }
        let middle = lowest + width / 2
        return Claim(
            lowest: middle - radius, highest: middle + radius,
            error: max(lowest.magnitude, highest.magnitude))
    }

    private func bounds(
        of reading: Reading, at monotonic: UInt64
    ) -> (lowest: Int64, highest: Int64) {
        let drift = widening(monotonic > reading.at ? monotonic - reading.at : 0)
        return (reading.lowest - drift, reading.highest + drift)
    }

    /// How far two clocks may drift apart in a time, rounded up.
    private func widening(_ elapsed: UInt64) -> Int64 {
        // Beyond this, some thirty years, nothing is known anyway.
        Int64(min(elapsed, 1 << 50) * driftPerMillion / 1_000_000) + 1
    }
}
