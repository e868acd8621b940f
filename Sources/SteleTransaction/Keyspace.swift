import SteleBase

/// The parts of the one keyspace that never mix: each is all keys behind one first byte.
package enum Keyspace: UInt8, Sendable, CaseIterable {
    /// Directory, node registry, settings. Held by the system tablet.
    case system = 0x00
    /// Which ranges are of no more use; see ``DiscardedRange``.
    case discarded = 0x08
    /// What users of the key-value interface write.
    case user = 0x10
    /// Tables, their catalogue included.
    case sql = 0x20

    /// The keys of all data tablets: everything above the system keyspace.
    package static let data = KeyRange(start: [0x01], end: [])

    /// The keys of the system tablet.
    package static let systemRange = KeyRange(start: [], end: [0x01])

    /// The full key of a key within this part.
    package func key(_ key: KeyBytes) -> KeyBytes {
        var full: KeyBytes = []
        full.reserveCapacity(key.count + 1)
        full.append(rawValue)
        full.append(contentsOf: key)
        return full
    }

    /// The full range of a range within this part.
    package func range(_ range: KeyRange) -> KeyRange {
        KeyRange(
            start: key(range.start), end: range.end.isEmpty ? [rawValue + 1] : key(range.end))
    }
}

extension KeyRange {
    /// What of a range within a part is left of a scan that is to go on at a full key.
    func rest(from full: ArraySlice<UInt8>, reverse: Bool) -> KeyRange {
        let key = Array(full.dropFirst())
        return reverse
            ? KeyRange(start: start, end: key + [0]) : KeyRange(start: key, end: end)
    }
}
