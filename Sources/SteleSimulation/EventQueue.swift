import SteleBase

/// What is going to happen, by virtual time.
///
/// A binary heap of words, each a time and a number: these are compared and moved by the million, in
/// debug builds too, so they are one integer, what they stand for stays where it is, and arrays grow
/// but never shrink.
///
/// Invariant: what is due at the same time happens in the order in which it was scheduled, so a run
/// depends on nothing but its seed.
struct EventQueue {
    private static let numberBits: UInt64 = 28

    /// How many events there are; what the arrays hold beyond is void.
    private var count = 0
    /// Time above, number below.
    private var keys: [UInt64] = []
    /// Where the event of the key at the same place lies.
    private var slots: [Int] = []
    private var events: [(() -> Void)?] = []
    private var scheduled: UInt64 = 0

    /// When the next event is due.
    var nextTime: UInt64? { count == 0 ? nil : keys[0] >> Self.numberBits }

    /// Adds an event that is due at `time`, in microseconds; up to 19 hours and 268 million events.
    mutating func schedule(at time: UInt64, _ event: @escaping () -> Void) {
        scheduled += 1
        invariant(
            scheduled < 1 << Self.numberBits && time < 1 << (64 - Self.numberBits),
            "a simulation is too long")
        let key = time << Self.numberBits | scheduled
        // Of a heap of n, the slots of the first n places are n different ones: so are those beyond.
        if count == keys.count {
            keys.append(key)
            slots.append(count)
            events.append(nil)
        }
        let slot = slots[count]
        events[slot] = event
        var child = count
        count += 1
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
        guard count > 0, let event = events[slots[0]] else { return nil }
        let first = keys[0]
        let free = slots[0]
        events[free] = nil
        count -= 1
        if count > 0 { sink(keys[count], slots[count]) }
        slots[count] = free
        return (first >> Self.numberBits, event)
    }

    /// Finds the place for a key, from the root downwards.
    private mutating func sink(_ key: UInt64, _ slot: Int) {
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
