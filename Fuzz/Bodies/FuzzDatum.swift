import SteleBase
import SteleSQL

/// The input is a type, a form and a value in that form. What is read must be written in both forms
/// such that it reads as the same value again, and its key must sort it as it compares.
package func fuzzDatum(_ bytes: UnsafeRawBufferPointer) {
    guard bytes.count > 2, bytes.count < 4_096 else { return }
    let type = datumTypes[Int(bytes[0]) % datumTypes.count]
    let content = Array(bytes.dropFirst(2))
    let isText = bytes[1] % 2 == 0
    guard
        let value = isText
            ? parse(content, type) : (try? Datum.decode(binary: content[...], as: type))
    else { return }
    var text: [UInt8] = []
    value.appendText(to: &text, as: type, zone: .utc)
    guard let fromText = parse(text, type) else {
        invariantFailed("\(value) of \(type) is written as \(text), which cannot be read")
    }
    invariant(fromText == value, "\(value) of \(type) reads as \(fromText) from text")
    var binary: [UInt8] = []
    value.appendBinary(to: &binary, as: type)
    do {
        let fromBinary = try Datum.decode(binary: binary[...], as: type)
        invariant(fromBinary == value, "\(value) of \(type) reads as \(fromBinary) from binary")
    } catch { invariantFailed("\(value) of \(type) cannot be read from its binary form: \(error)") }
    var key: [UInt8] = []
    var other: [UInt8] = []
    value.encodeKey(into: &key)
    fromText.encodeKey(into: &other)
    invariant(key == other, "equal values of \(type) have the keys \(key) and \(other)")
}

private func parse(_ text: [UInt8], _ type: SQLType) -> Datum? {
    try? Datum.parse(
        text: text[...], as: type,
        time: TimeContext(now: 0, zone: .utc, zones: .none, order: .monthFirst))
}

private let datumTypes: [SQLType] = {
    // By their OIDs, with and without a modifier.
    let oids: [UInt32] = [16, 20, 21, 23, 25, 26, 700, 701, 1_043, 1_082, 1_114, 1_184, 1_700, 17, 19, 2_950]
    var types = oids.compactMap { SQLType(oid: $0) }
    for (oid, modifier) in [(1_042, 7), (1_043, 7), (1_700, 12 << 16 | 3 + 4)] as [(UInt32, Int32)] {
        if let type = SQLType(oid: oid, modifier: modifier) { types.append(type) }
    }
    return types
}()
