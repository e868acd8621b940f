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

    @Test func `ranges overlap if their intersection holds a key, also where one is empty`() {
        let bounds: [KeyBytes] = [[], [1], [1, 0], [2], [3]]
        let ranges = bounds.flatMap { start in bounds.map { KeyRange(start: start, end: $0) } }
        for left in ranges {
            for right in ranges {
                #expect(left.overlaps(right) == !left.intersection(right).isEmpty)
            }
        }
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

    @Test func `the numbers are those of the reference implementations`() {
        // xoshiro256** whose state SplitMix64 filled from the seed 0 (prng.di.unimi.it).
        var random = SeededRandom(seed: 0)
        let expected: [UInt64] = [
            0x99EC_5F36_CB75_F2B4, 0xBF6E_1F78_4956_452A, 0x1A5F_849D_4933_E6E0,
            0x6AA5_94F1_262D_2D2C, 0xBBA5_AD4A_1F84_2E59, 0xFFEF_8375_D9EB_CACA,
        ]
        for number in expected { #expect(random.next() == number) }
    }

    @Test func `every number of a range comes up about equally often, its ends too`() {
        var random = SeededRandom(seed: 9)
        var counts = [UInt64: Int]()
        for _ in 0..<10_000 { counts[random.uniform(10...19), default: 0] += 1 }
        #expect(counts.keys.sorted() == Array(10...19))
        #expect(counts.values.allSatisfy { (850...1_150).contains($0) })
        #expect(random.below(0) == 0 && random.below(1) == 0)
        #expect(random.uniform(7...7) == 7)
        let whole = (0..<100).map { _ in random.uniform(0 ... .max) }
        #expect(Set(whole).count == 100)
    }
}

#if os(Linux) || os(macOS)
    @Suite struct InvariantTests {
        @Test func `a broken invariant ends the process and says why, optimised or not`() async {
            let result = await #expect(
                processExitsWith: .failure, observing: [\.standardErrorContent]
            ) {
                let number = 7
                invariant(number == 8, "seven is \(number)")
            }
            let told = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
            #expect(told.contains("invariant violated: seven is 7"))
        }
    }
#endif
