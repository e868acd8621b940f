import SteleBase

/// Codings and checksums.
func baseSuite() -> [Row] {
    [64, 512, 4 << 10, 1 << 20].map(checksum) + [tupleEncoding(), tupleDecoding(), writing(), comparing()]
}

/// The processor's instructions against the tables that stand in where it has none.
private func checksum(_ size: Int) -> Row {
    let block = [UInt8](repeating: 0x5A, count: size)
    let count = (1 << 24) / size
    let cost = measure(count: count) { _ in keep(CRC32C.of(block)) }
    let software = measure(count: count) { _ in
        keep(block.withUnsafeBytes { CRC32C.bySoftware($0) })
    }
    func speed(_ cost: Cost) -> String { "\(short(Double(size) / cost.nanoseconds)) GB/s" }
    return Row(
        "CRC32C of \(size) bytes", speed(cost), other: "\(speed(software)) by software",
        ratio: (software.nanoseconds / cost.nanoseconds, size < 256 ? 1 : 3))
}

private func encode(into key: inout [UInt8], _ index: Int) {
    OrderedCoding.encode(UInt64(7), into: &key)
    OrderedCoding.encode("account", into: &key)
    OrderedCoding.encode(Int64(index), into: &key)
    OrderedCoding.encode(bytes: [1, 2, 3, 4, 5, 6, 7, 8], into: &key)
}

private func tupleEncoding() -> Row {
    var key: [UInt8] = []
    key.reserveCapacity(128)
    let cost = measure(count: 100_000) { index in
        key.removeAll(keepingCapacity: true)
        encode(into: &key, index)
    }
    keep(key)
    return Row("encode (integer, string, integer, bytes)", cost.description)
}

private func tupleDecoding() -> Row {
    var key: [UInt8] = []
    encode(into: &key, 4711)
    let cost = measure(count: 100_000) { _ in keep(try? OrderedCoding.decodeAll(key[...])) }
    return Row("decode the same", cost.description)
}

private func writing() -> Row {
    let content = [UInt8](repeating: 7, count: 100)
    var writer = ByteWriter(reserving: 256)
    let cost = measure(count: 100_000) { index in
        writer.bytes.removeAll(keepingCapacity: true)
        writer.writeVarint(UInt64(index))
        writer.writeBytes(content)
        writer.writeRaw(content[10..<30])
        writer.writeString("account")
    }
    keep(writer)
    return Row("write (varint, 100 bytes, 20 bytes, string)", cost.description)
}

private func comparing() -> Row {
    let left = [UInt8](repeating: 7, count: 40)
    let right = left + [1]
    let cost = measure(count: 100_000) { _ in keep(left.precedes(right)) }
    return Row("compare keys of 40 bytes", cost.description)
}
