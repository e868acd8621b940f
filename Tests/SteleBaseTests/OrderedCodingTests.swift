import SteleBase
import Testing

/// The order of codings is the order of values, and every coding decodes to what was encoded.
@Suite struct OrderedCodingTests {
    @Test func `integers of all widths sort as numbers and decode`() throws {
        var values: [Int64] = [0, .max, .min]
        for shift in 0..<63 {
            let power = Int64(1) << Int64(shift)
            values += [power, power - 1, power + 1, -power, -power - 1, -power + 1]
        }
        var random = SeededRandom(seed: 1)
        for _ in 0..<1_000 { values.append(Int64(bitPattern: random.next())) }
        let sorted = Array(Set(values)).sorted()
        var previous: [UInt8]?
        for value in sorted {
            var key: [UInt8] = []
            OrderedCoding.encode(value, into: &key)
            if let previous { #expect(previous.precedes(key), "\(value)") }
            previous = key
            var rest = key[...]
            #expect(try OrderedCoding.decodePart(&rest) == .integer(value))
            #expect(rest.isEmpty)
        }
    }

    @Test func `unsigned integers sort above signed ones they exceed`() throws {
        var low: [UInt8] = []
        var high: [UInt8] = []
        OrderedCoding.encode(Int64.max, into: &low)
        OrderedCoding.encode(UInt64.max, into: &high)
        #expect(low.precedes(high))
        var rest = high[...]
        #expect(try OrderedCoding.decodePart(&rest) == .unsigned(.max))
    }

    @Test func `doubles have a total order`() {
        let values: [Double] = [
            -.infinity, -1e300, -1, -.leastNonzeroMagnitude, -0.0, 0.0, .leastNonzeroMagnitude,
            1, 1e300, .infinity, .nan,
        ]
        let keys = values.map { value in
            var key: [UInt8] = []
            OrderedCoding.encode(value, into: &key)
            return key
        }
        for (left, right) in zip(keys, keys.dropFirst()) { #expect(left.precedes(right)) }
    }

    @Test func `strings with zeros and prefixes sort by content inside tuples`() throws {
        let texts = ["", "\0", "\0\0", "\0a", "a", "a\0", "a\0b", "aa", "b"]
        var previous: [UInt8]?
        for text in texts {
            var key: [UInt8] = []
            OrderedCoding.encode(text, into: &key)
            OrderedCoding.encode(Int64(-1), into: &key)
            if let previous { #expect(previous.precedes(key), "\(text.debugDescription)") }
            previous = key
            #expect(try OrderedCoding.decodeAll(key[...]) == [.string(text), .integer(-1)])
        }
    }

    @Test func `descending parts reverse the order and decode`() throws {
        var previous: [UInt8]?
        for value in [Int64](-300...300) {
            var key: [UInt8] = []
            OrderedCoding.encode(value, into: &key)
            OrderedCoding.makeDescending(&key, from: 0)
            if let previous { #expect(key.precedes(previous)) }
            previous = key
            var rest = key[...]
            #expect(try OrderedCoding.decodeDescendingPart(&rest) == .integer(value))
        }
    }

    @Test func `random bytes never crash the decoder, and what decodes encodes to itself`() {
        var random = SeededRandom(seed: 7)
        for _ in 0..<20_000 {
            let bytes = (0..<Int(random.below(24))).map { _ in
                random.oneIn(2) ? UInt8(random.below(0x32)) : UInt8(random.below(256))
            }
            guard let parts = try? OrderedCoding.decodeAll(bytes[...]) else { continue }
            var again: [UInt8] = []
            encode(parts, into: &again)
            #expect(again == bytes)
        }
    }

    private func encode(_ parts: [OrderedCoding.Part], into key: inout [UInt8]) {
        for part in parts {
            switch part {
            case .null: OrderedCoding.encodeNull(into: &key)
            case .bytes(let bytes): OrderedCoding.encode(bytes: bytes, into: &key)
            case .string(let text): OrderedCoding.encode(text, into: &key)
            case .nested(let parts):
                OrderedCoding.encodeNested(into: &key) { encode(parts, into: &$0) }
            case .integer(let value): OrderedCoding.encode(value, into: &key)
            case .unsigned(let value): OrderedCoding.encode(value, into: &key)
            case .double(let bits): OrderedCoding.encode(Double(bitPattern: bits), into: &key)
            case .bool(let value): OrderedCoding.encode(value, into: &key)
            case .uniqueID(let high, let low):
                OrderedCoding.encode(UniqueID(high: high, low: low), into: &key)
            }
        }
    }
}
