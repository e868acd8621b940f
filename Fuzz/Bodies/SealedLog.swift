import SteleBase
import SteleLog

/// Segment files whose checksums are right and whose contents the input decides.
///
/// Written after the description of the format alone, so it also shows that the description is
/// what the log reads.
enum SealedLog {
    private static let sector = 512

    /// Writes the segments 1, 2, ... that the input describes.
    static func write(_ input: inout FuzzInput, to disk: SimulatedFileSystem) {
        var position = UInt64(input.byte()) << (input.byte() % 56)
        var chain: UInt32 = 0
        for sequence in 1...4 as ClosedRange<UInt64> where !input.isAtEnd {
            var file = header(sequence: sequence, base: position, chain: chain)
            for _ in 0..<input.byte() % 8 where !input.isAtEnd {
                let start = file.count
                chain = append(&input, to: &file, position: position + UInt64(start), chain)
            }
            position += UInt64(file.count)
            disk.setContent(of: "log/000000000000000\(sequence).log", to: file)
        }
    }

    private static func header(sequence: UInt64, base: UInt64, chain: UInt32) -> [UInt8] {
        var writer = ByteWriter()
        writer.writeRaw(Array("STELELOG".utf8))
        writer.write(UInt32(1))
        writer.write(UInt32(0))
        writer.write(sequence)
        writer.write(sequence &* 0x9E37_79B9_7F4A_7C15)
        writer.write(base)
        writer.write(chain)
        writer.write(CRC32C.of(writer.bytes))
        return padded(writer.bytes)
    }

    /// Appends a record; returns its checksum.
    private static func append(
        _ input: inout FuzzInput, to file: inout [UInt8], position: UInt64, _ chain: UInt32
    ) -> UInt32 {
        let sequence = UInt64(file[16])
        let payloads = input.bytes(atMost: 64)
        let metadata = [input.byte()] + input.bytes(atMost: 255)
        var sealed = ByteWriter()
        sealed.write(chain)
        sealed.write(sequence &* 0x9E37_79B9_7F4A_7C15)
        sealed.write(position)
        // Most say that all before them was synced.
        sealed.write(input.byte() == 0 ? 0 : position)
        sealed.write(UInt32(payloads.count))
        sealed.write(UInt32(metadata.count))
        let sum = CRC32C.of(metadata, after: CRC32C.of(sealed.bytes))
        var writer = ByteWriter()
        writer.write(sum)
        file += padded(writer.bytes + sealed.bytes + payloads + metadata)
        return sum
    }

    private static func padded(_ bytes: [UInt8]) -> [UInt8] {
        let rest = (sector - bytes.count % sector) % sector
        return bytes + [UInt8](repeating: 0, count: rest)
    }
}
