import SteleBase

/// The input holds tuples of parts in the ordered coding, after a byte that says where to cut it in
/// two. What decodes must encode to the same bytes, and the order of the bytes of both halves must
/// be that of their parts, which is computed here from the values alone.
package func fuzzTuple(_ bytes: UnsafeRawBufferPointer) {
    guard let first = bytes.first else { return }
    let rest = Array(bytes.dropFirst())
    let cut = rest.isEmpty ? 0 : Int(first) % (rest.count + 1)
    _ = roundTrip(rest)
    guard let left = roundTrip(Array(rest[..<cut])), let right = roundTrip(Array(rest[cut...]))
    else { return }
    let byBytes = Array(rest[..<cut]).compareBytes(Array(rest[cut...])).signum()
    let byParts = compare(left, right)
    invariant(byBytes == byParts, "\(left) and \(right) sort otherwise than their codings")
}

private func roundTrip(_ bytes: [UInt8]) -> [OrderedCoding.Part]? {
    guard let parts = try? OrderedCoding.decodeAll(bytes[...]) else { return nil }
    var again: [UInt8] = []
    for part in parts { part.encode(into: &again) }
    invariant(again == bytes, "\(parts) encode to other bytes than they were decoded from")
    return parts
}

private func compare(_ left: [OrderedCoding.Part], _ right: [OrderedCoding.Part]) -> Int {
    for (left, right) in zip(left, right) {
        let order = compare(left, right)
        if order != 0 { return order }
    }
    return order(left.count, right.count)
}

private func compare(_ left: OrderedCoding.Part, _ right: OrderedCoding.Part) -> Int {
    switch (left, right) {
    case (.bytes(let left), .bytes(let right)): lexicographic(left, right)
    case (.string(let left), .string(let right)): lexicographic(Array(left.utf8), Array(right.utf8))
    case (.nested(let left), .nested(let right)): compare(left, right)
    case (.double(let left), .double(let right)): compareDoubles(left, right)
    case (.bool(let left), .bool(let right)): order(left ? 1 : 0, right ? 1 : 0)
    case (.uniqueID(let left), .uniqueID(let right)):
        order((left.high, left.low), (right.high, right.low))
    case (.descending(let left), .descending(let right)): compare(right, left)
    default:
        if rank(left) != rank(right) {
            order(rank(left), rank(right))
        } else {
            compareIntegers(left, right)
        }
    }
}

/// The place of a part's type among the types.
private func rank(_ part: OrderedCoding.Part) -> Int {
    switch part {
    case .null: 0
    case .bytes: 1
    case .string: 2
    case .nested: 3
    case .integer, .unsigned, .wide, .wideUnsigned: 4
    case .double: 5
    case .bool: 6
    case .uniqueID: 7
    case .descending: 8
    }
}

private func lexicographic(_ left: [UInt8], _ right: [UInt8]) -> Int {
    left.lexicographicallyPrecedes(right) ? -1 : left == right ? 0 : 1
}

private func compareDoubles(_ left: UInt64, _ right: UInt64) -> Int {
    let (left, right) = (Double(bitPattern: left), Double(bitPattern: right))
    if left.bitPattern == right.bitPattern { return 0 }
    return left.isTotallyOrdered(belowOrEqualTo: right) ? -1 : 1
}

/// Null equals null; all others are integers here.
private func compareIntegers(_ left: OrderedCoding.Part, _ right: OrderedCoding.Part) -> Int {
    switch (left, right) {
    case (.wideUnsigned(let left), .wideUnsigned(let right)): order(left, right)
    case (.wideUnsigned, _): 1
    case (_, .wideUnsigned): -1
    default: order(signed(left), signed(right))
    }
}

private func signed(_ part: OrderedCoding.Part) -> Int128 {
    switch part {
    case .integer(let value): Int128(value)
    case .unsigned(let value): Int128(value)
    case .wide(let value): value
    default: 0
    }
}

private func order<Value: Comparable>(_ left: Value, _ right: Value) -> Int {
    left < right ? -1 : left == right ? 0 : 1
}

private func order(_ left: (UInt64, UInt64), _ right: (UInt64, UInt64)) -> Int {
    left < right ? -1 : left == right ? 0 : 1
}
