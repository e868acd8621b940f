import SteleBase
import Testing

@testable import SteleTransaction

@Suite struct WriteBufferTests {
    @Test(arguments: [1, 100, 2_048, 2_049, 30_000])
    func `slices come to the same as one piece, and sorting is stable`(count: Int) async {
        var random = SeededRandom(seed: UInt64(count))
        for isAscending in [true, false] {
            var buffer = WriteBuffer()
            for number in 0..<count {
                let key = isAscending ? UInt64(number) : random.below(UInt64(count))
                let bytes = (0..<4).reversed().map { UInt8(key >> (8 * $0) & 0xFF) }
                buffer.write(bytes, random.oneIn(5) ? nil : [UInt8(number & 0xFF)])
            }
            let whole = buffer.allWrites()
            let sliced = await buffer.allWritesInSlices()
            #expect(whole.map(\.key) == sliced.map(\.key))
            #expect(whole.map(\.value) == sliced.map(\.value))
            await buffer.discard()
            #expect(buffer.isEmpty && buffer.bytes == 0)
        }
        let pairs = (0..<count).map { (Int(random.below(50)), $0) }
        let sorted = await Slices.sorted(pairs) { $0.0 < $1.0 }
        let expected = pairs.sorted { $0 < $1 }
        #expect(sorted.map(\.1) == expected.map(\.1))
    }

    /// Against a list of all writes: keys that come in order, go back and forth, and are taken back.
    @Test(arguments: 1...40)
    func `it knows the newest write of each key`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var buffer = WriteBuffer()
        var writes: [(key: KeyBytes, value: [UInt8]?)] = []
        var next: UInt8 = 0
        func newest(_ key: KeyBytes, upTo position: Int) -> [UInt8]?? {
            writes.prefix(position).last { $0.key == key }.map(\.value)
        }
        for step in 0..<300 {
            if random.oneIn(40) {
                let position = Int(random.below(UInt64(writes.count + 1)))
                buffer.rollback(to: position)
                writes.removeLast(writes.count - position)
                next = writes.last?.key[0] ?? 0
            } else {
                next = random.oneIn(seed) ? UInt8(random.below(60)) : next &+ 1
                let value: [UInt8]? = random.oneIn(5) ? nil : [UInt8(step & 0xFF)]
                buffer.write([next], value)
                writes.append(([next], value))
            }
            let key = [UInt8(random.below(80))]
            let position = Int(random.below(UInt64(writes.count + 1)))
            #expect(buffer.value(of: key) == newest(key, upTo: writes.count))
            #expect(buffer.value(of: key, upTo: position) == newest(key, upTo: position))
            #expect(buffer.position == writes.count)
        }
        let keys = Set(writes.map(\.key)).sorted { $0.precedes($1) }
        #expect(Array(buffer.writes(in: KeyRange(start: [], end: []))) == keys)
        let all = buffer.allWrites()
        #expect(all.map(\.key) == keys)
        #expect(all.map(\.value) == keys.map { newest($0, upTo: writes.count) ?? nil })
    }
}
