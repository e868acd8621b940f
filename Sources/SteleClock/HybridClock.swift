import SteleBase

/// A node's hybrid logical clock: physical time that never goes back and orders causes first.
///
/// Kulkarni et al., "Logical Physical Clocks and Consistent Snapshots in Globally Distributed
/// Databases" (2014), figure 5. Physical time comes in as an argument.
///
/// Invariants:
/// - Every timestamp given is greater than all that were given or taken in before.
/// - No timestamp above ``bound`` is given. The bound is on disk before it is in force, so a node
///   that restarts knows a time before which it has said nothing, and never runs backwards.
package struct HybridClock: Sendable {
    /// The highest timestamp given or taken in so far.
    package private(set) var last: Timestamp
    /// The highest timestamp that may be given.
    package private(set) var bound: Timestamp
    /// How far ahead of physical time a timestamp from elsewhere may be.
    package let tolerance: UInt64

    /// - Parameters:
    ///   - last: what an earlier run of the node may have given: its persisted bound.
    ///   - toleranceMicroseconds: see ``tolerance``.
    package init(startingAbove last: Timestamp, toleranceMicroseconds: UInt64 = 250_000) {
        self.last = last
        self.bound = last
        self.tolerance = toleranceMicroseconds
    }

    /// The next timestamp; nil while it would exceed the bound: before the first one of a run is on
    /// disk, while the disk is stalled, or shortly after a timestamp from far ahead was taken in.
    package mutating func now(physical: UInt64) -> Timestamp? {
        let next = peek(physical: physical)
        guard next <= bound else { return nil }
        last = next
        return next
    }

    /// What ``now(physical:)`` would give, without giving it.
    package func peek(physical: UInt64) -> Timestamp {
        max(Timestamp(microseconds: physical), last.next)
    }

    /// Takes in a timestamp that came with a request, so that later ones of ours are above it.
    ///
    /// - Throws: ``ClockError`` when it is too far ahead of physical time; nothing changes then.
    package mutating func update(
        with other: Timestamp, physical: UInt64
    ) throws(ClockError) {
        guard other > last else { return }
        guard other.microseconds <= physical + tolerance else {
            throw ClockError(aheadBy: other.microseconds - physical, tolerance: tolerance)
        }
        last = other
    }

    /// Takes in a timestamp that is known to be good: one from a committed entry, a vote or a grant.
    package mutating func advance(to other: Timestamp) { last = max(last, other) }

    /// Allows timestamps up to `bound`, which is on disk by now.
    package mutating func raiseBound(to bound: Timestamp) { self.bound = max(self.bound, bound) }
}

/// A timestamp from elsewhere was so far ahead that its sender's clock must be wrong.
package struct ClockError: Error, Hashable, Sendable, CustomStringConvertible {
    package let aheadBy: UInt64
    package let tolerance: UInt64

    package init(aheadBy: UInt64, tolerance: UInt64) {
        self.aheadBy = aheadBy
        self.tolerance = tolerance
    }

    package var description: String {
        "a timestamp is \(aheadBy) µs ahead of this node's clock; \(tolerance) µs are tolerated"
    }
}
