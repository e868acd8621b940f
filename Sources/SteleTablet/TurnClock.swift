import SteleClock

/// The time of the turn that runs, shared by everything of a node.
///
/// The node's host reads the real clocks; nothing below ever does.
package final class TurnClock {
    /// Microseconds of the monotonic clock.
    package var monotonic: UInt64
    /// Physical time in microseconds since 1970; see ``PhysicalClock``.
    package var physical: UInt64
    package var hybrid: HybridClock

    package init(monotonic: UInt64, physical: UInt64, hybrid: HybridClock) {
        self.monotonic = monotonic
        self.physical = physical
        self.hybrid = hybrid
    }

    /// The next hybrid timestamp; nil while a stalled disk keeps the clock's bound back.
    package func now() -> Timestamp? { hybrid.now(physical: physical) }
}
