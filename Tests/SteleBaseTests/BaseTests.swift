import SteleBase
import Testing

@Suite struct KeyRangeTests {
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
        writer.write(true)
        let bytes = writer.bytes
        func read(_ bytes: ArraySlice<UInt8>) throws {
            var reader = ByteReader(bytes)
            #expect(try reader.read(UInt32.self) == 0xDEAD_BEEF)
            #expect(try reader.readVarint() == 300)
            #expect(try reader.readVarint() == .max)
            #expect(try reader.readString() == "stele")
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
