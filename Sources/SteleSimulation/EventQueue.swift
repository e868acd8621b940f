/// What is going to happen, by virtual time.
///
/// A binary heap. Invariant: what is due at the same time happens in the order in which it was
/// scheduled, so a run depends on nothing but its seed.
struct EventQueue<Event> {
    private struct Item {
        var time: UInt64
        var number: UInt64
        var event: Event

        func precedes(_ other: Item) -> Bool {
            time != other.time ? time < other.time : number < other.number
        }
    }

    private var heap: [Item] = []
    private var scheduled: UInt64 = 0

    /// When the next event is due.
    var nextTime: UInt64? { heap.first?.time }

    /// Adds an event that is due at `time`.
    mutating func schedule(_ event: Event, at time: UInt64) {
        scheduled += 1
        heap.append(Item(time: time, number: scheduled, event: event))
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].precedes(heap[parent]) else { break }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    /// Removes the next event.
    mutating func next() -> (time: UInt64, event: Event)? {
        guard let first = heap.first else { return nil }
        let last = heap.removeLast()
        if !heap.isEmpty {
            heap[0] = last
            sink()
        }
        return (first.time, first.event)
    }

    private mutating func sink() {
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count {
                if heap[child].precedes(heap[least]) { least = child }
            }
            if least == parent { return }
            heap.swapAt(least, parent)
            parent = least
        }
    }
}
