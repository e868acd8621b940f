import SteleBase

/// Values as parts of a key: equal values have equal bytes, and bytes sort as values do.
///
/// Strings sort byte by byte and nulls first. What does not affect equality is not in the key; for
/// types of which ``SQLType/keyLosesForm`` is true a row has to hold the value as well.
extension Datum {
    /// Appends the ordered coding of the value; `descending` turns the order round.
    package func encodeKey(into key: inout [UInt8], descending: Bool = false) {
        let start = key.count
        switch self {
        case .null: OrderedCoding.encodeNull(into: &key)
        case .bool(let value): OrderedCoding.encode(value, into: &key)
        case .int(let value): OrderedCoding.encode(value, into: &key)
        case .double(let value):
            // One coding for both zeros, and one for every NaN.
            OrderedCoding.encode(value == 0 ? 0 : value.isNaN ? .nan : value, into: &key)
        case .numeric(let value):
            // A byte string without zeros and ones, which needs no escapes.
            key.append(OrderedCoding.Tag.bytes)
            value.appendOrdered(to: &key)
            key.append(OrderedCoding.Tag.end)
        case .text(let value): OrderedCoding.encode(value, into: &key)
        case .timestamp(let value): OrderedCoding.encode(value, into: &key)
        case .date(let value): OrderedCoding.encode(Int64(value), into: &key)
        case .bytes(let value): OrderedCoding.encode(bytes: value, into: &key)
        case .uuid(let value): OrderedCoding.encode(value, into: &key)
        }
        if descending { OrderedCoding.makeDescending(&key, from: start) }
    }

    /// Reads a value of `type` at the front of a key and moves past it.
    package static func decodeKey(
        from key: inout ArraySlice<UInt8>, type: SQLType, descending: Bool = false
    ) throws(SQLError) -> Datum {
        let part: OrderedCoding.Part
        do throws(DecodingError) {
            part =
                try descending
                ? OrderedCoding.decodeDescendingPart(&key) : OrderedCoding.decodePart(&key)
        } catch {
            throw SQLError("XX001", "a key is damaged: \(error.description)")
        }
        switch (part, type) {
        case (.null, _): return .null
        case (.bool(let value), .bool): return .bool(value)
        case (.integer(let value), .int2), (.integer(let value), .int4),
            (.integer(let value), .int8), (.integer(let value), .oid):
            if type.holds(value) { return .int(value) }
        case (.integer(let value), .timestamp), (.integer(let value), .timestamptz):
            if SQLType.holds(timestamp: value) { return .timestamp(value) }
        case (.integer(let value), .date):
            if let date = Int32(exactly: value), SQLType.holds(date: date) { return .date(date) }
        case (.double(let bits), .float4), (.double(let bits), .float8):
            return .double(Double(bitPattern: bits))
        case (.string(let value), .text), (.string(let value), .varchar),
            (.string(let value), .char), (.string(let value), .name),
            (.string(let value), .unknown):
            return .text(value)
        case (.bytes(let value), .bytea): return .bytes(value)
        case (.uniqueID(let value), .uuid): return .uuid(value)
        case (.bytes(let bytes), .numeric(let modifier)):
            if var value = Numeric(orderedBytes: bytes) {
                if let modifier, value.isFinite { value = value.rounded(toScale: modifier.scale) }
                return .numeric(value)
            }
        default: break
        }
        throw SQLError("XX001", "a key holds no value of type \(type.name)")
    }
}

extension SQLType {
    /// Whether values that are equal may differ in form, which a key does not keep: the scale of
    /// a `numeric`, the sign of zero.
    package var keyLosesForm: Bool {
        switch self {
        case .numeric(nil), .float4, .float8: true
        default: false
        }
    }
}

/// The order-preserving bytes of a decimal: a class, the power of the first digit, the digits.
///
/// A digit to base 10,000 becomes two bytes from 2 to 101, so no byte is 0 or 1 and the coding
/// around it escapes nothing. Below 0 the bytes are complemented, with an end mark that sorts high.
extension Numeric {
    private enum Class {
        static let negativeInfinity: UInt8 = 0x10
        static let negative: UInt8 = 0x20
        static let zero: UInt8 = 0x30
        static let positive: UInt8 = 0x40
        static let infinity: UInt8 = 0x50
        static let notANumber: UInt8 = 0x60
    }

    /// Powers from -60 to 60 take one byte around this one, others a mark and three bytes.
    private static let middle = 0x80
    private static let above: UInt8 = 0xF0
    private static let below: UInt8 = 0x10

    /// Appends the bytes, of which none is 0 or 1.
    fileprivate func appendOrdered(to key: inout [UInt8]) {
        switch kind {
        case .notANumber: return key.append(Class.notANumber)
        case .infinity: return key.append(Class.infinity)
        case .negativeInfinity: return key.append(Class.negativeInfinity)
        case .finite: break
        }
        if digits.isEmpty { return key.append(Class.zero) }
        key.reserveCapacity(key.count + 8 + 2 * digits.count)
        key.append(isBelowZero ? Class.negative : Class.positive)
        let start = key.count
        if weight.magnitude <= 60 {
            key.append(UInt8(Self.middle + Int(weight)))
        } else {
            let shifted = Int(weight) + 0x8000
            key.append(weight > 0 ? Self.above : Self.below)
            key.append(UInt8(shifted >> 12 & 63) + 2)
            key.append(UInt8(shifted >> 6 & 63) + 2)
            key.append(UInt8(shifted & 63) + 2)
        }
        for digit in digits {
            let (high, low) = digit.quotientAndRemainder(dividingBy: 100)
            key.append(UInt8(truncatingIfNeeded: high) &+ 2)
            key.append(UInt8(truncatingIfNeeded: low) &+ 2)
        }
        if isBelowZero {
            for index in start..<key.count { key[index] = ~key[index] }
            key.append(0xFF)
        }
    }

    fileprivate init?(orderedBytes: [UInt8]) {
        switch orderedBytes.first {
        case Class.notANumber: self = .nan
        case Class.infinity: self = .infinity
        case Class.negativeInfinity: self = .negativeInfinity
        case Class.zero: self = .zero
        case Class.positive: self.init(body: orderedBytes[1...], isBelowZero: false)
        case Class.negative:
            guard orderedBytes.count > 2 else { return nil }
            self.init(body: orderedBytes.dropFirst().dropLast().map { ~$0 }[...], isBelowZero: true)
        default: return nil
        }
    }

    private init?(body: ArraySlice<UInt8>, isBelowZero: Bool) {
        guard let first = body.first else { return nil }
        var weight = Int32(first) - Int32(Self.middle)
        var rest = body.dropFirst()
        if first == Self.above || first == Self.below {
            guard rest.count >= 3, rest.prefix(3).allSatisfy({ (2...65).contains($0) }) else {
                return nil
            }
            weight = rest.prefix(3).reduce(0) { $0 << 6 | Int32($1 - 2) } - 0x8000
            guard Self.weights.contains(weight) else { return nil }
            rest = rest.dropFirst(3)
        }
        guard rest.count % 2 == 0, rest.allSatisfy({ (2...101).contains($0) }) else { return nil }
        let bytes = Array(rest)
        let digits = stride(from: 0, to: bytes.count, by: 2).map { index -> UInt16 in
            let hundreds = UInt16(bytes[index]) - 2
            return hundreds * 100 + UInt16(bytes[index + 1]) - 2
        }
        self.init(digits: digits, weight: weight, scale: 0, isBelowZero: isBelowZero)
        scale = neededScale
    }

    /// The fewest decimals that show the whole value.
    private var neededScale: UInt16 {
        guard let last = digits.last, lastWeight < 0 else { return 0 }
        let zeros = last % 1000 == 0 ? 3 : last % 100 == 0 ? 2 : last % 10 == 0 ? 1 : 0
        return UInt16(clamping: -4 * lastWeight - zeros)
    }
}
