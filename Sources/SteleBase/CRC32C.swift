internal import CSteleBase

/// The Castagnoli cyclic redundancy check (RFC 3720, appendix B.4), by the processor's own
/// instructions where it has them.
package enum CRC32C {
    /// Whether the processor has instructions for this checksum.
    package static let hasInstructions = stele_crc32c_prepare() == 1

    /// The checksum of `bytes`, continued from `previous`: `of(a + b) == of(b, after: of(a))`.
    package static func of(_ bytes: UnsafeRawBufferPointer, after previous: UInt32 = 0) -> UInt32 {
        guard hasInstructions else { return bySoftware(bytes, after: previous) }
        return ~stele_crc32c(~previous, bytes.baseAddress, bytes.count)
    }

    package static func of(_ bytes: ArraySlice<UInt8>, after previous: UInt32 = 0) -> UInt32 {
        bytes.withUnsafeBytes { of($0, after: previous) }
    }

    package static func of(_ bytes: [UInt8], after previous: UInt32 = 0) -> UInt32 {
        bytes.withUnsafeBytes { of($0, after: previous) }
    }

    /// The same on any processor, eight bytes a step.
    ///
    /// Slicing by eight after Kounavis and Berry, "A systematic approach to building high
    /// performance, software-based, CRC generators" (2005).
    package static func bySoftware(
        _ bytes: UnsafeRawBufferPointer, after previous: UInt32 = 0
    ) -> UInt32 {
        tables.withUnsafeBufferPointer { tables in
            var crc = ~previous
            var offset = 0
            while offset + 8 <= bytes.count {
                let word = UInt64(
                    littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
                let low = UInt32(truncatingIfNeeded: word) ^ crc
                let high = UInt32(truncatingIfNeeded: word >> 32)
                crc = tables[1792 + Int(low & 0xFF)]
                crc ^= tables[1536 + Int((low >> 8) & 0xFF)]
                crc ^= tables[1280 + Int((low >> 16) & 0xFF)]
                crc ^= tables[1024 + Int(low >> 24)]
                crc ^= tables[768 + Int(high & 0xFF)]
                crc ^= tables[512 + Int((high >> 8) & 0xFF)]
                crc ^= tables[256 + Int((high >> 16) & 0xFF)]
                crc ^= tables[Int(high >> 24)]
                offset += 8
            }
            while offset < bytes.count {
                crc = (crc >> 8) ^ tables[Int((crc ^ UInt32(bytes[offset])) & 0xFF)]
                offset += 1
            }
            return ~crc
        }
    }

    /// Table k, at 256 * k, advances a byte through k further zero bytes.
    private static let tables: [UInt32] = {
        var tables = [UInt32](repeating: 0, count: 8 * 256)
        for value in 0..<256 {
            var crc = UInt32(value)
            for _ in 0..<8 { crc = crc & 1 == 1 ? (crc >> 1) ^ 0x82F6_3B78 : crc >> 1 }
            tables[value] = crc
        }
        for table in 1..<8 {
            for value in 0..<256 {
                let before = tables[(table - 1) * 256 + value]
                tables[table * 256 + value] = (before >> 8) ^ tables[Int(before & 0xFF)]
            }
        }
        return tables
    }()
}
