import SteleBase

/// The input of a fuzz target as a stream of choices; behind its end all are zero.
struct FuzzInput {
    private var reader: ByteReader

    init(_ bytes: UnsafeRawBufferPointer) { reader = ByteReader(Array(bytes)) }

    var isAtEnd: Bool { reader.isAtEnd }

    mutating func byte() -> UInt8 { (try? reader.read(UInt8.self)) ?? 0 }

    /// Two bytes.
    mutating func number() -> UInt16 { UInt16(byte()) << 8 | UInt16(byte()) }

    /// A length and so many bytes, or those that are left.
    mutating func bytes(atMost limit: Int) -> [UInt8] {
        let count = min(limit > 255 ? Int(number()) : Int(byte()), limit, reader.remaining)
        return (try? reader.readRaw(count)).map { Array($0) } ?? []
    }
}
