/// What arrays can be stored of: bytes as they are, numbers and truth values as text.
///
/// An array literal such as `[1, 2, 3]` is one of `Int`, so it is stored as text and not as three
/// bytes; write `[1, 2, 3] as [UInt8]` for those.
public protocol ValueArrayElement {
    static func steleBytes(of array: [Self]) -> [UInt8]

    /// - Throws: any error when the bytes are no such array.
    static func array(steleBytes: [UInt8]) throws -> [Self]
}

extension Array: ValueConvertible where Element: ValueArrayElement {
    public init(steleBytes: [UInt8]) throws { self = try Element.array(steleBytes: steleBytes) }

    public var steleBytes: [UInt8] { Element.steleBytes(of: self) }
}

extension UInt8: ValueArrayElement {
    public static func steleBytes(of array: [UInt8]) -> [UInt8] { array }

    public static func array(steleBytes: [UInt8]) -> [UInt8] { steleBytes }
}

extension TextualValue {
    public static func steleBytes(of array: [Self]) -> [UInt8] {
        Array("[\(array.map(\.description).joined(separator: ","))]".utf8)
    }

    public static func array(steleBytes: [UInt8]) throws -> [Self] {
        let problem = SteleError(.valueMismatch, "the value is no array of \(Self.self)")
        guard let text = String(validating: steleBytes, as: UTF8.self), text.hasPrefix("["),
            text.hasSuffix("]"), text.utf8.count >= 2
        else { throw problem }
        let inner = text.dropFirst().dropLast()
        if inner.allSatisfy(\.isWhitespace) { return [] }
        return try inner.split(separator: ",", omittingEmptySubsequences: false).map { part in
            var part = part.drop(while: \.isWhitespace)
            while part.last?.isWhitespace == true { part.removeLast() }
            guard let value = Self(String(part)) else { throw problem }
            return value
        }
    }
}
