import SteleBase
import SteleClock
import Testing

/// The theorems of Kulkarni et al. 2014, as properties of random runs of a few nodes.
@Suite struct ClockPropertyTests {
    private struct Node {
        var hybrid: HybridClock
        /// How far the physical clock is from true time.
        var offset: Int64
        /// Greatest physical reading so far: physical clocks do not go back, but may stand still.
        var physical: UInt64 = 0
        /// For each node, how many of its events happened before the latest one here.
        var past: [Int]

        mutating func read(_ now: UInt64) -> UInt64 {
            physical = max(physical, UInt64(Int64(now) + offset))
            return physical
        }
    }

    private struct Event {
        var node: Int
        var timestamp: Timestamp
        var physical: UInt64
        var past: [Int]
    }

    /// Random local events, messages that carry timestamps, clocks that stand still or leap.
    private func run(
        _ random: inout SeededRandom, nodes count: Int, spread: UInt64, events: Int
    ) throws -> [Event] {
        var nodes = (0..<count).map { _ in
            Node(
                hybrid: HybridClock(startingAbove: .zero, toleranceMicroseconds: spread + 1),
                offset: Int64(random.uniform(0...spread)), past: Array(repeating: 0, count: count))
        }
        for index in nodes.indices { nodes[index].hybrid.raiseBound(to: .max) }
        var now: UInt64 = 1_000_000
        var result: [Event] = []
        var messages: [(to: Int, Timestamp, past: [Int])] = []
        for _ in 0..<events {
            now += random.oneIn(3) ? 0 : random.below(20)
            let index = Int(random.below(UInt64(count)))
            if random.oneIn(20) { nodes[index].offset = Int64(random.uniform(0...spread)) }
            let physical = nodes[index].read(now)
            if let place = messages.firstIndex(where: { $0.to == index }), random.oneIn(2) {
                let (_, timestamp, past) = messages.remove(at: place)
                try nodes[index].hybrid.update(with: timestamp, physical: physical)
                nodes[index].past = zip(nodes[index].past, past).map { max($0, $1) }
            }
            let given = nodes[index].hybrid.now(physical: physical)
            let timestamp = try #require(given)
            nodes[index].past[index] += 1
            let event = Event(
                node: index, timestamp: timestamp, physical: physical, past: nodes[index].past)
            result.append(event)
            if random.oneIn(2) {
                messages.append((Int(random.below(UInt64(count))), timestamp, event.past))
            }
        }
        return result
    }

    @Test(arguments: 0..<20 as Range<UInt64>)
    func `causes come first, physical time is kept to, the counter stays small`(
        seed: UInt64
    ) throws {
        var random = SeededRandom(seed: seed)
        let spread = [0, 10, 1_000][Int(random.below(3))] as UInt64
        let events = try run(
            &random, nodes: Int(random.uniform(2...5)), spread: spread, events: 400)
        // The overflow of the logical part could add to the physical one, but not in so few events.
        for (place, event) in events.enumerated() {
            #expect(event.timestamp.microseconds >= event.physical)
            #expect(event.timestamp.microseconds <= event.physical + spread)
            var sameMicrosecond = 0
            for earlier in events[..<place] {
                let happenedBefore = event.past[earlier.node] >= earlier.past[earlier.node]
                if happenedBefore {
                    #expect(earlier.timestamp < event.timestamp)
                    if earlier.timestamp.microseconds == event.timestamp.microseconds {
                        sameMicrosecond += 1
                    }
                }
            }
            #expect(event.timestamp.logical <= UInt64(sameMicrosecond))
        }
    }
}
