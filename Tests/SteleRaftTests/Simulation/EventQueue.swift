/// What happens at some moment of virtual time.
struct SimulatedEvent {
    enum Kind: UInt8 {
        case tick, packet, disk, apply, start, client, nemesis
    }

    /// Milliseconds since the start of the run.
    var time: Int
    /// Decides between events of the same moment: first come, first served.
    var order: Int
    var kind: Kind
    /// The member that it happens to.
    var member = 0
    /// Which packet, or of which life of the process; what was due in an earlier life is void.
    var detail = 0

    func precedes(_ other: SimulatedEvent) -> Bool {
        time == other.time ? order < other.order : time < other.time
    }
}

/// Events by ascending time, as a binary heap.
struct EventQueue {
    private var heap: [SimulatedEvent] = []
    private var lastOrder = 0

    mutating func add(
        _ kind: SimulatedEvent.Kind, at time: Int, member: Int = 0, detail: Int = 0
    ) {
        lastOrder += 1
        let event = SimulatedEvent(
            time: time, order: lastOrder, kind: kind, member: member, detail: detail)
        heap.append(event)
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard event.precedes(heap[parent]) else { break }
            heap[child] = heap[parent]
            child = parent
        }
        heap[child] = event
    }

    mutating func popFirst() -> SimulatedEvent? {
        guard let first = heap.first, let last = heap.popLast() else { return nil }
        let count = heap.count
        guard count > 0 else { return first }
        var parent = 0
        while true {
            var child = 2 * parent + 1
            guard child < count else { break }
            if child + 1 < count, heap[child + 1].precedes(heap[child]) { child += 1 }
            guard heap[child].precedes(last) else { break }
            heap[parent] = heap[child]
            parent = child
        }
        heap[parent] = last
        return first
    }
}
