/// Exact decimals in PostgreSQL's binary wire format: counts, then digits to base 10,000.
extension Numeric {
    private enum Sign {
        static let positive: UInt16 = 0x0000
        static let negative: UInt16 = 0x4000
        static let notANumber: UInt16 = 0xC000
        static let infinity: UInt16 = 0xD000
        static let negativeInfinity: UInt16 = 0xF000
    }

    func appendBinary(to out: inout [UInt8]) {
        let sign =
            switch kind {
            case .finite: isBelowZero ? Sign.negative : Sign.positive
            case .infinity: Sign.infinity
            case .negativeInfinity: Sign.negativeInfinity
            case .notANumber: Sign.notANumber
            }
        appendBigEndian(UInt16(digits.count), to: &out)
        appendBigEndian(Int16(clamping: weight), to: &out)
        appendBigEndian(sign, to: &out)
        // PostgreSQL reads a scale out of how it marks an infinity.
        appendBigEndian(kind == .finite || kind == .notANumber ? scale : 32, to: &out)
        for digit in digits { appendBigEndian(digit, to: &out) }
    }

    init(binary: UnsafeRawBufferPointer) throws(SQLError) {
        guard binary.count >= 8 else {
            throw SQLError("08P01", "insufficient data left in message")
        }
        let count = Int(Self.word(0, binary))
        guard binary.count >= 8 + 2 * count else {
            throw SQLError("08P01", "insufficient data left in message")
        }
        guard binary.count == 8 + 2 * count else {
            throw SQLError("22P03", "incorrect binary data format")
        }
        let scale = Self.word(3, binary)
        guard scale <= UInt16(Self.maximumScale) else { throw Self.invalid("scale") }
        let digits = (0..<count).map { Self.word(4 + $0, binary) }
        guard digits.allSatisfy({ $0 < 10_000 }) else { throw Self.invalid("digit") }
        let sign = Self.word(2, binary)
        switch sign {
        case Sign.positive, Sign.negative:
            let value = Numeric(
                digits: digits, weight: Int32(Int16(bitPattern: Self.word(1, binary))),
                scale: scale, isBelowZero: sign == Sign.negative)
            // Digits that are not shown do not count.
            let isLonger = value.lastWeight * -4 > Int(scale)
            self = try (isLonger ? value.truncated(toScale: Int(scale)) : value).checked()
        case Sign.notANumber: self = .nan
        case Sign.infinity: self = .infinity
        case Sign.negativeInfinity: self = .negativeInfinity
        default: throw Self.invalid("sign")
        }
    }

    private static func word(_ index: Int, _ bytes: UnsafeRawBufferPointer) -> UInt16 {
        UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: 2 * index, as: UInt16.self))
    }

    private static func invalid(_ part: String) -> SQLError {
        SQLError("22P03", "invalid \(part) in external \"numeric\" value")
    }
}
