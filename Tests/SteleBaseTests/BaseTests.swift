import SteleBase
import Testing

@Suite struct KeyRangeTests {
    @Test func `keys compare byte by byte as unsigned, whatever their lengths`() {
        var random = SeededRandom(seed: 6)
        for _ in 0..<5_000 {
            let left = (0..<Int(random.below(30))).map { _ in UInt8(random.below(2) * 255) }
            var right = random.oneIn(2) ? left : Array(left.prefix(Int(random.below(30))))
            if random.oneIn(2), !right.isEmpty {
                right[Int(random.below(UInt64(right.count)))] = UInt8(random.below(256))
            }
            let expected = left == right ? 0 : left.lexicographicallyPrecedes(right) ? -1 : 1
            #expect(left.compareBytes(right).signum() == expected)
            #expect(left.precedes(right) == (expected < 0))
        }
    }

    @Test func `prefix ranges end at the next prefix`() {
        #expect(KeyRange(prefix: [1, 2]) == KeyRange(start: [1, 2], end: [1, 3]))
        #expect(KeyRange(prefix: [1, 0xFF]) == KeyRange(start: [1, 0xFF], end: [2]))
        #expect(KeyRange(prefix: [0xFF]) == KeyRange(start: [0xFF], end: []))
    }

    @Test func `containment and overlap respect open ends`() {
        let low = KeyRange(start: [], end: [5])
        let high = KeyRange(start: [5], end: [])
        #expect(low.contains([4, 0xFF]) && !low.contains([5]))
        #expect(high.contains([5]) && high.contains([0xFF, 0xFF]))
        #expect(!low.overlaps(high))
        #expect(KeyRange.all.contains(low) && KeyRange.all.contains(high))
        #expect(!low.contains(KeyRange.all) && !high.contains(KeyRange.all))
        #expect(low.intersection(KeyRange(start: [3], end: [])) == KeyRange(start: [3], end: [5]))
        #expect(low.intersection(high).isEmpty)
    }
}

@Suite struct ByteCodingTests {
    @Test func `every part reads back, and every truncation is an error`() throws {
        var writer = ByteWriter()
        writer.write(UInt32(0xDEAD_BEEF))
        writer.writeVarint(300)
        writer.writeVarint(.max)
        writer.writeString("stele")
        writer.writeBytes([1, 2, 3])
        writer.writeRaw([9, 9, 4, 5][2...])
        writer.write(true)
        let bytes = writer.bytes
        func read(_ bytes: ArraySlice<UInt8>) throws {
            var reader = ByteReader(bytes)
            #expect(try reader.read(UInt32.self) == 0xDEAD_BEEF)
            #expect(try reader.readVarint() == 300)
            #expect(try reader.readVarint() == .max)
            #expect(try reader.readString() == "stele")
            #expect(try reader.readBytes() == [1, 2, 3])
            #expect(try reader.readRaw(2) == [4, 5])
            #expect(try reader.readBool())
            try reader.expectEnd()
        }
        try read(bytes[...])
        for count in 0..<bytes.count {
            #expect(throws: DecodingError.self) { try read(bytes[..<count]) }
        }
    }

    @Test func `an overlong varint and a count beyond the input are refused`() {
        var overlong = ByteReader([UInt8](repeating: 0xFF, count: 11))
        #expect(throws: DecodingError.self) { try overlong.readVarint() }
        var count = ByteReader([0xFF, 0xFF, 0xFF, 0x7F, 1, 2])
        #expect(throws: DecodingError.self) { try count.readCount() }
    }
}

@Suite struct SeededRandomTests {
    @Test func `the same seed gives the same numbers within bounds`() {
        var first = SeededRandom(seed: 42)
        var second = SeededRandom(seed: 42)
        for _ in 0..<1_000 {
            let value = first.uniform(10...19)
            #expect((10...19).contains(value))
            #expect(second.uniform(10...19) == value)
        }
    }
}

#if os(Linux) || os(macOS)
    @Suite struct InvariantTests {
        @Test func `a broken invariant ends the process`() async {
            await #expect(processExitsWith: .failure) { invariant(false, "for the test") }
        }
    }
#endif
