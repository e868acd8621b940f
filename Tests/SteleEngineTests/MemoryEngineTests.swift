import SteleBase
import SteleClock
import SteleEngine
import Testing

/// How the memory engine models durability.
@Suite struct MemoryEngineTests {
    private let engine = MemoryEngine()

    private func put(_ name: String) throws {
        try engine.apply { list in
            list.put(key(name), [1], at: time(1), by: writerID)
            list.put(key(name), [1], in: .transactions)
        }
    }

    private func expectKeys(_ expected: [String]) throws {
        #expect(try engine.page().keys == expected)
        #expect(try engine.plainPairs(of: .all, in: .transactions).map(\.key) == expected.map(key))
    }

    @Test func crashGoesBackToTheLastFlush() throws {
        try put("a")
        try engine.flush()
        try put("b")
        try engine.apply { $0.clear(.all) }
        #expect(engine.unflushedBytes > 0)
        engine.crash()
        try expectKeys(["a"])
        #expect(engine.unflushedBytes == 0)
        try put("c")
        try expectKeys(["a", "c"])
        engine.close()
        try expectKeys(["a"])
    }

    @Test func flushMakesDurableWhatWasThereWhenItBegan() throws {
        try put("a")
        let token = engine.beginFlush()
        try put("b")
        engine.completeFlush(token)
        #expect(engine.unflushedBytes > 0)
        try expectKeys(["a", "b"])
        engine.crash()
        try expectKeys(["a"])
    }

    @Test func crashEndsAFlushThatHadOnlyBegun() throws {
        try put("a")
        let token = engine.beginFlush()
        engine.crash()
        try put("b")
        engine.completeFlush(token)
        engine.crash()
        try expectKeys([])
    }

    @Test func laterFlushEndsEarlierOnes() throws {
        try put("a")
        let first = engine.beginFlush()
        try put("b")
        let second = engine.beginFlush()
        engine.completeFlush(second)
        engine.completeFlush(first)
        engine.crash()
        try expectKeys(["a", "b"])
    }

    /// More keys than a chunk of the map holds, in several orders of arrival.
    @Test(arguments: [0, 1, 2])
    func manyKeysStayInOrder(arrival: Int) throws {
        var keys: [KeyBytes] = (0..<3000).map { [UInt8($0 / 256), UInt8($0 % 256)] }
        let sorted = keys
        var random = SeededRandom(seed: 3)
        if arrival == 1 { keys.reverse() }
        if arrival == 2 { keys.shuffle(using: &random) }
        for key in keys { try engine.apply { $0.put(key, key, at: time(1), by: writerID) } }
        #expect(try engine.page(limits: ScanLimits(bytes: .max)).plainRows.map(\.key) == sorted)
        let range = KeyRange(start: [2, 7], end: [9, 1])
        try engine.apply { $0.clear(range) }
        let left = sorted.filter { !range.contains($0) }
        #expect(try engine.page(limits: ScanLimits(bytes: .max)).plainRows.map(\.key) == left)
        for key in sorted {
            #expect(
                try engine.newestVersion(of: key, at: .max)?.value
                    == (range.contains(key) ? nil : key))
        }
    }
}
