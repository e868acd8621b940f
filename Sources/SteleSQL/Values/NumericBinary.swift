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
        appendBigEndian(scale, to: &out)
        for digit in digits { appendBigEndian(digit, to: &out) }
    }

    init(binary: ArraySlice<UInt8>) throws(SQLError) {
        guard binary.count >= 8 else {
            throw SQLError("08P01", "insufficient data left in message")
        }
        let words = binary.withUnsafeBytes { bytes in
            (0..<bytes.count / 2).map {
                UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: $0 * 2, as: UInt16.self))
            }
        }
        guard binary.count >= 8 + 2 * Int(words[0]) else {
            throw SQLError("08P01", "insufficient data left in message")
        }
        guard binary.count == 8 + 2 * Int(words[0]) else {
            throw SQLError("22P03", "incorrect binary data format")
        }
        guard words[3] <= UInt16(Self.maximumScale) else { throw Self.invalid("scale") }
        guard words[4...].allSatisfy({ $0 < 10_000 }) else { throw Self.invalid("digit") }
        switch words[2] {
        case Sign.positive, Sign.negative:
            let value = Numeric(
                digits: Array(words[4...]), weight: Int32(Int16(bitPattern: words[1])),
                scale: words[3], isBelowZero: words[2] == Sign.negative)
            self = try value.truncated(toScale: Int(words[3])).checked()
        case Sign.notANumber: self = .nan
        case Sign.infinity: self = .infinity
        case Sign.negativeInfinity: self = .negativeInfinity
        default: throw Self.invalid("sign")
        }
    }

    private static func invalid(_ part: String) -> SQLError {
        SQLError("22P03", "invalid \(part) in external \"numeric\" value")
    }
}
