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
}
