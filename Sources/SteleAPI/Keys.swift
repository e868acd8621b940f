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

extension String: KeyConvertible {
    public func encode(into key: inout [UInt8]) { key.append(contentsOf: utf8) }

    public func encodePart(into key: inout [UInt8]) { OrderedCoding.encode(self, into: &key) }
}

extension Substring: KeyConvertible {
    public func encode(into key: inout [UInt8]) { key.append(contentsOf: utf8) }

    public func encodePart(into key: inout [UInt8]) { OrderedCoding.encode(String(self), into: &key) }
}

extension Array: KeyConvertible where Element == UInt8 {
    public func encode(into key: inout [UInt8]) { key.append(contentsOf: self) }

    public func encodePart(into key: inout [UInt8]) { OrderedCoding.encode(bytes: self, into: &key) }
}

extension KeyConvertible where Self: FixedWidthInteger {
    public func encode(into key: inout [UInt8]) { encodePart(into: &key) }

    public func encodePart(into key: inout [UInt8]) {
        if Self.isSigned {
            OrderedCoding.encode(Int64(truncatingIfNeeded: self), into: &key)
        } else {
            OrderedCoding.encode(UInt64(truncatingIfNeeded: self), into: &key)
        }
    }
}

extension Int: KeyConvertible {}
extension Int64: KeyConvertible {}
extension Int32: KeyConvertible {}
extension Int16: KeyConvertible {}
extension Int8: KeyConvertible {}
extension UInt: KeyConvertible {}
extension UInt64: KeyConvertible {}
extension UInt32: KeyConvertible {}
extension UInt16: KeyConvertible {}
extension UInt8: KeyConvertible {}

extension Double: KeyConvertible {
    public func encode(into key: inout [UInt8]) { encodePart(into: &key) }

    public func encodePart(into key: inout [UInt8]) { OrderedCoding.encode(self, into: &key) }
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
