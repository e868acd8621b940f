/// Strings from and against bytes; both are on the path of every row.

/// The string with these bytes, if they are valid UTF-8.
func validString(_ bytes: UnsafeRawBufferPointer) -> String? {
    // ASCII is found out here, since the validating initializer is several times slower.
    isASCII(bytes)
        ? String(decoding: bytes, as: UTF8.self) : String(validating: bytes, as: UTF8.self)
}

private func isASCII(_ bytes: UnsafeRawBufferPointer) -> Bool {
    var index = 0
    while index + 8 <= bytes.count {
        let word = bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self)
        if word & 0x8080_8080_8080_8080 != 0 { return false }
        index += 8
    }
    while index < bytes.count {
        if bytes[index] >= 0x80 { return false }
        index += 1
    }
    return true
}

/// Compares the UTF-8 of two strings byte by byte; Swift's own order is by normalised text.
func compareUTF8(_ left: String, _ right: String) -> Int {
    let whole = left.utf8.withContiguousStorageIfAvailable { left in
        right.utf8.withContiguousStorageIfAvailable { right in
            compareBytes(UnsafeRawBufferPointer(left), UnsafeRawBufferPointer(right))
        }
    }
    if let result = whole ?? nil { return result }
    if left.utf8.elementsEqual(right.utf8) { return 0 }
    return left.utf8.lexicographicallyPrecedes(right.utf8) ? -1 : 1
}

/// Compares bytes as unsigned numbers, eight at a time; a prefix sorts first.
func compareBytes(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Int {
    let common = min(left.count, right.count)
    var index = 0
    while index + 8 <= common {
        let one = left.loadUnaligned(fromByteOffset: index, as: UInt64.self)
        let two = right.loadUnaligned(fromByteOffset: index, as: UInt64.self)
        if one != two { return order(one.bigEndian, two.bigEndian) }
        index += 8
    }
    while index < common {
        if left[index] != right[index] { return order(left[index], right[index]) }
        index += 1
    }
    return order(left.count, right.count)
}
