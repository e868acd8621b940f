/// A dictionary by key that never stops for long to grow.
///
/// A dictionary moves all that it holds when it has to grow, which for a million keys takes as long
/// as a failover may. Beyond some thousands of keys this one is cut into parts, each of which grows
/// by itself: the last gets twice as many of the keys as the first, and the others so many in between
/// that, while the number of keys doubles, one after the other grows.
@usableFromInline
package struct KeyTable<Value> {
    @usableFromInline var parts: [[DictionaryKey: Value]] = [[:]]
    @usableFromInline static var keysInOnePart: Int { 4_096 }
    @usableFromInline static var partCount: Int { 256 }

    package init() {}

    @inlinable
    package var count: Int { parts.reduce(0) { $0 + $1.count } }

    @inlinable
    package var isEmpty: Bool { parts.allSatisfy(\.isEmpty) }

    @inlinable
    package subscript(key: DictionaryKey) -> Value? {
        get { parts[part(of: key)][key] }
        _modify {
            if parts.count == 1, parts[0].count >= Self.keysInOnePart { split() }
            yield &parts[part(of: key)][key]
        }
    }

    /// Sets a value and returns the one before.
    @inlinable
    @discardableResult
    package mutating func updateValue(_ value: Value, forKey key: DictionaryKey) -> Value? {
        if parts.count == 1, parts[0].count >= Self.keysInOnePart { split() }
        return parts[part(of: key)].updateValue(value, forKey: key)
    }

    @inlinable
    @discardableResult
    package mutating func removeValue(forKey key: DictionaryKey) -> Value? {
        parts[part(of: key)].removeValue(forKey: key)
    }

    package mutating func removeAll() { parts = [[:]] }

    /// By the key's last bytes, in which keys that are used together differ.
    @usableFromInline
    func part(of key: DictionaryKey) -> Int {
        guard parts.count > 1 else { return 0 }
        var hash: UInt64 = 0
        for byte in key.bytes.suffix(12) { hash = hash &* 0x100_0000_01B3 ^ UInt64(byte) }
        let place = Int((hash ^ hash >> 17) & UInt64(Self.slots.count - 1))
        return Int(Self.slots[place])
    }

    /// Which of the parts each of so many hashes belongs to.
    private static var slots: [UInt8] { keyTableSlots }

    @usableFromInline
    mutating func split() {
        let all = parts[0]
        parts = Array(repeating: [:], count: Self.partCount)
        for (key, value) in all { parts[part(of: key)][key] = value }
    }
}

extension KeyTable: Sendable where Value: Sendable {}

/// The share of each part of a ``KeyTable`` is greater by a 256th of an octave than that of the one
/// before.
private let keyTableSlots: [UInt8] = {
    let step = 1.002_711_275_050_202_5
    var slots: [UInt8] = []
    slots.reserveCapacity(1 << 14)
    var end = 1.0
    for part in 0..<256 {
        end *= step
        let count = part == 255 ? 1 << 14 : Int((end - 1) * Double(1 << 14))
        while slots.count < count { slots.append(UInt8(part)) }
    }
    return slots
}()
