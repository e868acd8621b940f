import SteleAPI
import SteleBase
import Testing

/// The order of codings is the order of values, and every coding decodes to what was encoded.
@Suite struct OrderedCodingTests {
    typealias Part = OrderedCoding.Part

    /// Checks that the codings of `parts`, which ascend, ascend too, that none is a prefix of the
    /// next, that their descending forms descend, and that all decode to what they were.
    private func expectAscending(_ parts: [Part]) throws {
        var previous: (ascending: [UInt8], descending: [UInt8])?
        for part in parts {
            var key: [UInt8] = []
            part.encode(into: &key)
            var reverse: [UInt8] = []
            Part.descending(part).encode(into: &reverse)
            if let previous {
                #expect(previous.ascending.precedes(key), "\(part)")
                #expect(!key.starts(with: previous.ascending), "\(part)")
                #expect(reverse.precedes(previous.descending), "\(part)")
            }
            previous = (key, reverse)
            #expect(try OrderedCoding.decodeAll(key[...]) == [part])
            var rest = (reverse + [0x02])[...]
            #expect(try OrderedCoding.decodeDescendingPart(&rest) == part)
            #expect(rest == [0x02])
        }
    }

    @Test func `integers of all widths sort as numbers and decode`() throws {
        var values: Set<Int128> = [0, .max, .min]
        for shift in 0..<127 {
            let power = Int128(1) << Int128(shift)
            values.formUnion([power, power - 1, power + 1, -power, -power - 1, -power + 1])
        }
        var random = SeededRandom(seed: 1)
        for _ in 0..<1_000 {
            let value = Int128(Int64(bitPattern: random.next())) << 64 | Int128(random.next())
            values.insert(value >> Int128(random.below(128)))
        }
        let parts = values.sorted().map { value -> Part in
            if let small = Int64(exactly: value) { return .integer(small) }
            if let large = UInt64(exactly: value) { return .unsigned(large) }
            return .wide(value)
        }
        try expectAscending(parts + [.wideUnsigned(1 << 127), .wideUnsigned(.max)])
    }

    @Test func `an integer has one coding whatever its type`() {
        func key(_ value: some KeyConvertible) -> [UInt8] { Key(value).keyBytes }
        let codings = [
            key(200 as UInt8), key(200 as Int16), key(200 as UInt16), key(200 as Int32),
            key(200 as UInt32), key(200 as Int64), key(200 as UInt64), key(200 as Int128),
            key(200 as UInt128), key(200),
        ]
        #expect(Set(codings) == [[0x21, 200]])
        #expect(key(-1 as Int8) == key(-1 as Int128))
        #expect(key(UInt64.max) == key(UInt128(UInt64.max)))
        #expect(key(1.5 as Float) == key(1.5))
    }

    @Test func `doubles have a total order`() throws {
        let values: [Double] = [
            -.nan, -.infinity, -1e300, -1, -.leastNonzeroMagnitude, -0.0, 0.0,
            .leastNonzeroMagnitude, 1, 1e300, .infinity, .nan,
        ]
        try expectAscending(values.map { .double($0.bitPattern) })
    }

    @Test func `strings and bytes with zeros, ones and prefixes sort by content`() throws {
        var contents: Set<[UInt8]> = [[]]
        for first in [0, 1, 2, 0x61, 0xFF] as [UInt8] {
            contents.insert([first])
            for second in [0, 1, 2, 0x61, 0xFF] as [UInt8] {
                contents.insert([first, second])
                contents.insert([UInt8](repeating: 0x61, count: 9) + [first, second])
                contents.insert([first, second] + [UInt8](repeating: 0x61, count: 9))
            }
        }
        let sorted = contents.sorted { $0.precedes($1) }
        try expectAscending(sorted.map { .bytes($0) })
        let texts = sorted.filter { !$0.contains(0xFF) }
        try expectAscending(texts.map { .string(String(decoding: $0, as: UTF8.self)) })
    }

    @Test func `values of different types have a fixed order`() throws {
        try expectAscending([
            .null, .bytes([]), .bytes([0xFF]), .string(""), .string("\u{10FFFF}"), .nested([]),
            .nested([.null]), .nested([.uniqueID(.none), .null]), .wide(.min), .integer(0),
            .wideUnsigned(.max), .double(0), .bool(false), .bool(true), .uniqueID(.none),
            .uniqueID(UniqueID(high: 0, low: 1)), .uniqueID(UniqueID(high: 1, low: 0)),
        ])
    }

    @Test func `nested tuples sort part by part, and hold descending parts`() throws {
        try expectAscending([
            .nested([]), .nested([.string("")]), .nested([.string(""), .null]),
            .nested([.string("\0")]), .nested([.string("a")]),
            .nested([.string("a"), .nested([])]),
            .nested([.string("a"), .nested([.integer(1)])]),
            .nested([.string("a"), .descending(.integer(9))]),
            .nested([.string("a"), .descending(.integer(8))]),
            .nested([.string("a"), .descending(.nested([.descending(.integer(1))]))]),
            .nested([.string("b")]),
        ])
    }

    @Test func `a range of a prefix of parts holds only keys with equal parts`() {
        let range = KeyRange(prefix: Key("a").keyBytes)
        #expect(range.contains(Key("a", 1).keyBytes))
        #expect(range.contains(Key("a", Descending("z")).keyBytes))
        for other in ["", "a\0", "a\0b", "a\u{1}", "ab", "b"] {
            #expect(!range.contains(Key(other, 1).keyBytes))
        }
    }

    @Test func `descending parts at any place sort the other way round`() {
        let texts = ["", "\0", "a", "a\0", "a\0b", "a\u{1}", "aa", "b"]
        for (low, high) in zip(texts, texts.dropFirst()) {
            #expect(Key(Descending(high)).keyBytes.precedes(Key(Descending(low)).keyBytes))
            #expect(Key(Descending(high), 1).keyBytes.precedes(Key(Descending(low), 0).keyBytes))
            let (second, first) = (Key(low, Descending(low)), Key(low, Descending(high)))
            #expect(first.keyBytes.precedes(second.keyBytes))
        }
    }

    @Test func `a part that ascends where a descending one belongs is an error`() {
        var key = Key(1).keyBytes[...]
        #expect(throws: DecodingError.self) { try OrderedCoding.decodeDescendingPart(&key) }
    }

    @Test func `tuples nested beyond the limit are an error`() throws {
        func nested(_ depth: Int) -> [UInt8] {
            [UInt8](repeating: 0x05, count: depth) + [UInt8](repeating: 0, count: depth)
        }
        _ = try OrderedCoding.decodeAll(nested(Limits.keyNesting)[...])
        let error = #expect(throws: DecodingError.self) {
            try OrderedCoding.decodeAll(nested(Limits.keyNesting + 1)[...])
        }
        #expect(error?.description.contains("\(Limits.keyNesting)") == true)
    }

    @Test func `every truncation of a tuple is an error or a shorter tuple`() throws {
        let key = Key("a\0b", -4711, Key(1.5, [1, 2] as [UInt8]), Descending(UInt128.max)).keyBytes
        let whole = try OrderedCoding.decodeAll(key[...])
        for count in 0..<key.count {
            guard let parts = try? OrderedCoding.decodeAll(key[..<count]) else { continue }
            #expect(whole.starts(with: parts) && parts.count < whole.count)
        }
    }

    @Test func `random bytes never crash the decoder, and what decodes encodes to itself`() {
        var random = SeededRandom(seed: 7)
        var decoded = 0
        for _ in 0..<20_000 {
            let bytes = (0..<Int(random.below(24))).map { _ in
                let byte = UInt8(random.below(random.oneIn(4) ? 256 : 0x44))
                return random.oneIn(4) ? ~byte : byte
            }
            guard let parts = try? OrderedCoding.decodeAll(bytes[...]) else { continue }
            var again: [UInt8] = []
            for part in parts { part.encode(into: &again) }
            #expect(again == bytes)
            decoded += 1
        }
        #expect(decoded > 500)
    }

    @Test func `the format is pinned`() {
        let key = Key(
            "a\0\u{1}", [0, 1, 2] as [UInt8], -1, 256, 0.5, true, UniqueID(high: 1, low: 2),
            Key(7), Descending(7)
        ).keyBytes
        #expect(
            key == [
                0x04, 0x61, 0x01, 0x01, 0x01, 0x02, 0x00, 0x03, 0x01, 0x01, 0x01, 0x02, 0x02, 0x00,
                0x1F, 0xFE, 0x22, 0x01, 0x00, 0x38, 0xBF, 0xE0, 0, 0, 0, 0, 0, 0, 0x3D,
                0x40, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0x05, 0x21, 0x07, 0x00,
                0xDE, 0xF8,
            ])
    }
}
