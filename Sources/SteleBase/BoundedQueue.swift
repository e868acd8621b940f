/// A first-in, first-out queue of at most `limit` elements, in a ring that grows up to that.
///
/// Whoever adds to a full queue is told so, and answers overload or makes room.
package struct BoundedQueue<Element> {
    package let limit: Int
    package private(set) var count = 0
    private var ring: [Element?] = []
    private var head = 0

    /// - Parameter limit: at least 1.
    package init(limit: Int) {
        invariant(limit > 0, "a queue that holds nothing")
        self.limit = limit
    }

    package var isEmpty: Bool { count == 0 }

    package var isFull: Bool { count == limit }

    /// The element that was added first.
    package var first: Element? { isEmpty ? nil : ring[head] }

    /// Adds an element behind all others; false, and nothing is added, if the queue is full.
    package mutating func append(_ element: Element) -> Bool {
        if isFull { return false }
        if count == ring.count { grow() }
        ring[place(count)] = element
        count += 1
        return true
    }

    /// Takes the element that was added first.
    package mutating func popFirst() -> Element? {
        if isEmpty { return nil }
        let element = ring[head]
        ring[head] = nil
        head = place(1)
        count -= 1
        return element
    }

    private func place(_ offset: Int) -> Int {
        let place = head + offset
        return place < ring.count ? place : place - ring.count
    }

    private mutating func grow() {
        let size = min(max(ring.count * 2, 8), limit)
        var grown: [Element?] = []
        grown.reserveCapacity(size)
        grown += ring[head...]
        grown += ring[..<head]
        grown += [Element?](repeating: nil, count: size - count)
        ring = grown
        head = 0
    }
}

extension BoundedQueue: Sendable where Element: Sendable {}
