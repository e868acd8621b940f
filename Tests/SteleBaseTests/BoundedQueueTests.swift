import SteleBase
import Testing

@Suite struct BoundedQueueTests {
    @Test(arguments: [1, 7, 8, 100]) func `behaves like an array with a bound`(limit: Int) {
        var queue = BoundedQueue<Int>(limit: limit)
        var model: [Int] = []
        var random = SeededRandom(seed: UInt64(limit))
        for number in 0..<3_000 {
            // Rather more than less for a while, then the other way round.
            if random.below(10) < (number / 500 % 2 == 0 ? 7 : 3) {
                let accepted = queue.append(number)
                #expect(accepted == (model.count < limit))
                if accepted { model.append(number) }
            } else {
                #expect(queue.popFirst() == (model.isEmpty ? nil : model.removeFirst()))
            }
            #expect(queue.first == model.first)
            #expect(queue.count == model.count)
            #expect(queue.isEmpty == model.isEmpty && queue.isFull == (model.count == limit))
        }
    }

    @Test func `gives up what it no longer holds`() {
        final class Held {}
        var queue = BoundedQueue<Held>(limit: 4)
        weak var seen: Held?
        do {
            let held = Held()
            seen = held
            _ = queue.append(held)
        }
        #expect(seen != nil)
        _ = queue.popFirst()
        #expect(seen == nil)
    }
}
