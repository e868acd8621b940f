import SteleBase

/// What is going to happen, by virtual time.
///
/// A binary heap of words, each a time and a number: these are compared and moved by the million, in
/// debug builds too, so they are one integer, and what they stand for stays where it is.
///
/// Invariant: what is due at the same time happens in the order in which it was scheduled, so a run
/// depends on nothing but its seed.
struct EventQueue {
    private static let numberBits: UInt64 = 28

    /// Time above, number below.
    private var keys: [UInt64] = []
    /// Where the event of the key at the same place lies.
    private var slots: [Int] = []
    private var events: [(() -> Void)?] = []
    private var freeSlots: [Int] = []
    private var scheduled: UInt64 = 0

    /// When the next event is due.
    var nextTime: UInt64? { keys.first.map { $0 >> Self.numberBits } }

    /// Adds an event that is due at `time`, in microseconds; up to 19 hours and 268 million events.
    mutating func schedule(at time: UInt64, _ event: @escaping () -> Void) {
        scheduled += 1
        invariant(
            scheduled < 1 << Self.numberBits && time < 1 << (64 - Self.numberBits),
            "a simulation is too long")
        let slot: Int
        if let free = freeSlots.popLast() {
            slot = free
            events[slot] = event
        } else {
            slot = events.count
            events.append(event)
        }
        let key = time << Self.numberBits | scheduled
        var child = keys.count
        keys.append(key)
        slots.append(slot)
        while child > 0 {
            let parent = (child - 1) / 2
            let other = keys[parent]
            if other < key { break }
            keys[child] = other
            slots[child] = slots[parent]
            child = parent
        }
        keys[child] = key
        slots[child] = slot
    }

    /// Removes the next event.
    mutating func next() -> (time: UInt64, event: () -> Void)? {
        guard let first = keys.first, let event = events[slots[0]] else { return nil }
        events[slots[0]] = nil
        freeSlots.append(slots[0])
        let key = keys.removeLast()
        let slot = slots.removeLast()
        if !keys.isEmpty { sink(key, slot) }
        return (first >> Self.numberBits, event)
    }

    /// Finds the place for a key, from the root downwards.
    private mutating func sink(_ key: UInt64, _ slot: Int) {
        let count = keys.count
        var parent = 0
        while true {
            var child = 2 * parent + 1
            guard child < count else { break }
            if child + 1 < count, keys[child + 1] < keys[child] { child += 1 }
            let other = keys[child]
            if key < other { break }
            keys[parent] = other
            slots[parent] = slots[child]
            parent = child
        }
        keys[parent] = key
        slots[parent] = slot
    }
}
