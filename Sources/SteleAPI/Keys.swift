import SteleBase

/// Something that can be used as a key.
///
/// A string or byte array by itself is used as it is; the parts of a ``Key`` are coded such that
/// keys sort as their parts do.
public protocol KeyConvertible {
    /// Appends the whole key.
    func encode(into key: inout [UInt8])

    /// Appends the value as one part of a typed tuple: self-delimiting and in the order of values.
    func encodePart(into key: inout [UInt8])
}

/// A typed tuple as a key: sorts by its first part, then by its second, and so on.
///
///     try await database.put(Key("account", 4711, "balance"), 100)
///     for try await entry in transaction.scan(prefix: Key("account", 4711)) { … }
public struct Key<each Part: KeyConvertible>: KeyConvertible {
    private let parts: (repeat each Part)

    public init(_ part: repeat each Part) { parts = (repeat each part) }

    public func encode(into key: inout [UInt8]) { repeat (each parts).encodePart(into: &key) }

    public func encodePart(into key: inout [UInt8]) {
        OrderedCoding.encodeNested(into: &key) { encode(into: &$0) }
    }
}

extension Key: Sendable where repeat each Part: Sendable {}

/// A part of a key that sorts the other way round: the greatest value first.
///
///     try await database.put(Key("score", Descending(points), player), "")
public struct Descending<Part: KeyConvertible>: KeyConvertible {
    private let part: Part

    public init(_ part: Part) { self.part = part }

    public func encode(into key: inout [UInt8]) { encodePart(into: &key) }

    public func encodePart(into key: inout [UInt8]) {
        let start = key.count
        part.encodePart(into: &key)
        OrderedCoding.makeDescending(&key, from: start)
    }
}

extension Descending: Sendable where Part: Sendable {}

extension String: KeyConvertible {
    public func encode(into key: inout [UInt8]) { key.append(contentsOf: utf8) }

    public func encodePart(into key: inout [UInt8]) { OrderedCoding.encode(self, into: &key) }
}

extension Substring: KeyConvertible {
    public func encode(into key: inout [UInt8]) { key.append(contentsOf: utf8) }

    public func encodePart(into key: inout [UInt8]) { OrderedCoding.encode(self, into: &key) }
}

extension Array: KeyConvertible where Element == UInt8 {
    public func encode(into key: inout [UInt8]) { key.append(contentsOf: self) }

    public func encodePart(into key: inout [UInt8]) {
        OrderedCoding.encode(bytes: self, into: &key)
    }
}

extension KeyConvertible where Self: FixedWidthInteger {
    public func encode(into key: inout [UInt8]) { encodePart(into: &key) }

    public func encodePart(into key: inout [UInt8]) {
        if let value = Int64(exactly: self) {
            OrderedCoding.encode(value, into: &key)
        } else if Self.isSigned {
            OrderedCoding.encode(Int128(self), into: &key)
        } else {
            OrderedCoding.encode(UInt128(self), into: &key)
        }
    }
}

extension Int: KeyConvertible {}
extension Int128: KeyConvertible {}
extension Int64: KeyConvertible {}
extension Int32: KeyConvertible {}
extension Int16: KeyConvertible {}
extension Int8: KeyConvertible {}
extension UInt: KeyConvertible {}
extension UInt128: KeyConvertible {}
extension UInt64: KeyConvertible {}
extension UInt32: KeyConvertible {}
extension UInt16: KeyConvertible {}
extension UInt8: KeyConvertible {}

extension Double: KeyConvertible {
    public func encode(into key: inout [UInt8]) { encodePart(into: &key) }

    public func encodePart(into key: inout [UInt8]) { OrderedCoding.encode(self, into: &key) }
}

/// As a part of a key the same as the `Double` of this value, which holds every `Float` exactly.
extension Float: KeyConvertible {
    public func encode(into key: inout [UInt8]) { Double(self).encode(into: &key) }

    public func encodePart(into key: inout [UInt8]) { Double(self).encodePart(into: &key) }
}

extension Bool: KeyConvertible {
    public func encode(into key: inout [UInt8]) { encodePart(into: &key) }

    public func encodePart(into key: inout [UInt8]) { OrderedCoding.encode(self, into: &key) }
}

extension UniqueID: KeyConvertible {
    public func encode(into key: inout [UInt8]) { encodePart(into: &key) }

    public func encodePart(into key: inout [UInt8]) { OrderedCoding.encode(self, into: &key) }
}

extension KeyConvertible {
    /// The key's bytes.
    package var keyBytes: KeyBytes {
        var key: KeyBytes = []
        encode(into: &key)
        return key
    }
}
