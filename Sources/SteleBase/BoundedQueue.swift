internal import DequeModule

/// A first-in, first-out queue of at most `limit` elements, in a ring that grows up to that.
///
/// Whoever adds to a full queue is told so, and answers overload or makes room.
package struct BoundedQueue<Element> {
    package let limit: Int
    private var ring: Deque<Element> = []

    /// - Parameter limit: at least 1.
    package init(limit: Int) {
        invariant(limit > 0, "a queue that holds nothing")
        self.limit = limit
    }

    package var count: Int { ring.count }

    package var isEmpty: Bool { ring.isEmpty }

    package var isFull: Bool { ring.count == limit }

    /// The element that was added first.
    package var first: Element? { ring.first }

    /// Adds an element behind all others; false, and nothing is added, if the queue is full.
    package mutating func append(_ element: Element) -> Bool {
        if isFull { return false }
        ring.append(element)
        return true
    }

    /// Takes the element that was added first.
    package mutating func popFirst() -> Element? { ring.popFirst() }
}

extension BoundedQueue: Sendable where Element: Sendable {}
