import SteleBase

/// The append messages that were sent to one follower and not acknowledged yet, oldest first.
///
/// Bounds what is under way by number of messages and by bytes. A message may exceed the limit of
/// bytes; only the next one then has to wait.
package struct Inflights: Hashable, Sendable {
    private struct Sent: Hashable {
        /// The last index in the message.
        var index: LogIndex
        var bytes: Int
    }

    private let maxBytes: Int
    /// A ring, grown on demand up to `maxMessages`.
    private var ring: [Sent] = []
    private var bytes = 0
    // The small ones last, so that others fit behind them.
    private let maxMessages: Int32
    private var start: Int32 = 0
    /// How many messages are under way.
    package private(set) var count: Int32 = 0

    package init(maxMessages: Int, maxBytes: Int) {
        self.maxMessages = Int32(clamping: maxMessages)
        self.maxBytes = maxBytes
    }

    /// Whether nothing more may be sent.
    package var isFull: Bool { count >= maxMessages || bytes >= maxBytes }

    /// Notes a message that ends at `index`. Indices ascend.
    package mutating func add(_ index: LogIndex, bytes size: Int) {
        invariant(!isFull, "a message was sent into a full window")
        if Int(count) == ring.count { grow() }
        ring[Int(start + count) % ring.count] = Sent(index: index, bytes: size)
        count += 1
        bytes += size
    }

    /// Forgets all messages that end at or below `index`.
    package mutating func free(through index: LogIndex) {
        while count > 0, ring[Int(start)].index <= index {
            bytes -= ring[Int(start)].bytes
            start = (start + 1) % Int32(ring.count)
            count -= 1
        }
        if count == 0 { start = 0 }
    }

    /// Forgets everything, and keeps the memory.
    package mutating func reset() {
        start = 0
        count = 0
        bytes = 0
    }

    private mutating func grow() {
        var larger: [Sent] = []
        let capacity = min(max(ring.count * 2, 4), Int(maxMessages))
        larger.reserveCapacity(capacity)
        for offset in 0..<count { larger.append(ring[Int(start + offset) % ring.count]) }
        let filler = Sent(index: 0, bytes: 0)
        larger.append(contentsOf: repeatElement(filler, count: capacity - Int(count)))
        ring = larger
        start = 0
    }
}
