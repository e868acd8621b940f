/// A key as the kernel sees it: bytes, ordered lexicographically as unsigned.
public typealias KeyBytes = [UInt8]

/// A half-open interval of keys, `start ..< end`.
///
/// An empty `end` means "to the end of the keyspace"; an empty `start` is the smallest key there is.
public struct KeyRange: Hashable, Sendable, CustomStringConvertible {
    public var start: KeyBytes
    public var end: KeyBytes

    public init(start: KeyBytes, end: KeyBytes) {
        self.start = start
        self.end = end
    }

    /// All keys.
    public static let all = KeyRange(start: [], end: [])

    /// All keys that begin with `prefix`.
    public init(prefix: KeyBytes) {
        self.start = prefix
        self.end = KeyRange.successor(ofPrefix: prefix)
    }

    /// Exactly one key.
    public init(key: KeyBytes) {
        self.start = key
        self.end = key + [0]
    }

    public var isEmpty: Bool { !end.isEmpty && !start.precedes(end) }

    public func contains(_ key: KeyBytes) -> Bool {
        !key.precedes(start) && (end.isEmpty || key.precedes(end))
    }

    public func contains(_ other: KeyRange) -> Bool {
        if other.start.precedes(start) { return false }
        if end.isEmpty { return true }
        return !other.end.isEmpty && !end.precedes(other.end)
    }

    /// Whether some key lies in both.
    public func overlaps(_ other: KeyRange) -> Bool {
        (other.end.isEmpty || start.precedes(other.end))
            && (end.isEmpty || other.start.precedes(end)) && !isEmpty && !other.isEmpty
    }

    /// The part that both ranges share; empty ranges come out as `start ..< start`.
    public func intersection(_ other: KeyRange) -> KeyRange {
        let start = self.start.precedes(other.start) ? other.start : self.start
        let end: KeyBytes
        if self.end.isEmpty {
            end = other.end
        } else if other.end.isEmpty {
            end = self.end
        } else {
            end = self.end.precedes(other.end) ? self.end : other.end
        }
        if !end.isEmpty, end.precedes(start) { return KeyRange(start: start, end: start) }
        return KeyRange(start: start, end: end)
    }

    /// The smallest key greater than every key that begins with `prefix`; empty if there is none.
    public static func successor(ofPrefix prefix: KeyBytes) -> KeyBytes {
        var end = prefix
        while let last = end.last {
            if last < 0xFF {
                end[end.count - 1] = last + 1
                return end
            }
            end.removeLast()
        }
        return []
    }

    public var description: String {
        "[\(start.keyDescription), \(end.isEmpty ? "∞" : end.keyDescription))"
    }
}

extension Array where Element == UInt8 {
    /// Whether this key sorts before `other`, byte by byte as unsigned, shorter first.
    @inlinable
    public func precedes(_ other: [UInt8]) -> Bool { compareBytes(other) < 0 }

    /// Negative, zero or positive as this key sorts before, with or after `other`.
    @inlinable
    public func compareBytes(_ other: [UInt8]) -> Int {
        let shared = Swift.min(count, other.count)
        return withUnsafeBytes { left in
            other.withUnsafeBytes { right in
                var index = 0
                while index &+ 8 <= shared {
                    let a = left.loadUnaligned(fromByteOffset: index, as: UInt64.self)
                    let b = right.loadUnaligned(fromByteOffset: index, as: UInt64.self)
                    if a != b { return a.bigEndian < b.bigEndian ? -1 : 1 }
                    index &+= 8
                }
                while index < shared {
                    let a = left[index]
                    let b = right[index]
                    if a != b { return a < b ? -1 : 1 }
                    index += 1
                }
                return left.count - right.count
            }
        }
    }

    /// A form for people: printable ASCII as it is, everything else as `\xNN`.
    public var keyDescription: String {
        var text = "\""
        for byte in self {
            if byte >= 0x20, byte < 0x7F, byte != 0x22, byte != 0x5C {
                text.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                let digits = String(byte, radix: 16)
                text += byte < 16 ? "\\x0\(digits)" : "\\x\(digits)"
            }
        }
        return text + "\""
    }
}
