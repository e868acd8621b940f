import SteleBase
import Testing

@Suite struct CRC32CTests {
    private static let vectors: [(bytes: [UInt8], checksum: UInt32)] = [
        ([], 0),
        ([UInt8](repeating: 0, count: 32), 0x8A91_36AA),
        ([UInt8](repeating: 0xFF, count: 32), 0x62A8_AB43),
        ([UInt8](0..<32), 0x46DD_794E),
        ([UInt8]((0..<32).reversed()), 0x113F_DB5C),
        (
            // An iSCSI command: SCSI Read (10).
            [
                0x01, 0xC0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x14, 0, 0, 0, 0, 0, 4, 0,
                0, 0, 0, 0x14, 0, 0, 0, 0x18, 0x28, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0,
            ], 0xD996_3A56
        ),
        (Array("123456789".utf8), 0xE306_9283),
    ]

    @Test func `both ways agree with the vectors of RFC 3720`() {
        for (bytes, checksum) in Self.vectors {
            #expect(CRC32C.of(bytes) == checksum)
            #expect(bytes.withUnsafeBytes { CRC32C.bySoftware($0) } == checksum)
        }
    }

    @Test func `both ways agree at every length, alignment and beginning`() {
        var random = SeededRandom(seed: 3)
        let bytes = (0..<20_000).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        // All short lengths; then those around the edges of three lanes of 128 and of 2048 bytes.
        let lengths = Array(0...1_200) + Array(6_136...6_152) + [12_288, 12_700, 19_000]
        bytes.withUnsafeBytes { bytes in
            for length in lengths {
                let start = Int(random.below(UInt64(bytes.count - length + 1)))
                let part = UnsafeRawBufferPointer(rebasing: bytes[start..<start + length])
                let previous = UInt32(truncatingIfNeeded: random.next())
                let expected = CRC32C.bySoftware(part, after: previous)
                #expect(CRC32C.of(part, after: previous) == expected, "\(length)")
            }
        }
    }

    @Test func `continues where an earlier part ended`() {
        let bytes = (0..<1_000).map { UInt8(truncatingIfNeeded: $0 * 7) }
        let whole = CRC32C.of(bytes)
        for split in stride(from: 0, through: 1_000, by: 9) {
            let first = CRC32C.of(bytes[..<split])
            #expect(CRC32C.of(bytes[split...], after: first) == whole)
        }
    }

    #if arch(x86_64)
        @Test func `the processor's instructions are used`() {
            #expect(CRC32C.hasInstructions)
        }
    #endif
}
