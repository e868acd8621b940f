import SteleBase

/// Codings and checksums.
func baseSuite() -> [Row] {
    [checksum(), tupleEncoding(), tupleDecoding()]
}

private func checksum() -> Row {
    let block = [UInt8](repeating: 0x5A, count: 1 << 20)
    let cost = measure(count: 20) { _ in keep(CRC32C.of(block)) }
    return Row("CRC32C of 1 MiB", "\(short(Double(block.count) / cost.nanoseconds)) GB/s")
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
