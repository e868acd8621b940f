import SteleBase

/// Something that can be stored as a value.
///
/// Strings are stored as UTF-8, arrays of `UInt8` as the bytes that they are, numbers and truth values
/// as decimal text (`42`, `-1.5`, `true`) and arrays of them as such text, too (`[1,2,3]`), so that
/// what one program stores another one, or a person with `stele kv get`, can read.
public protocol ValueConvertible {
    /// - Throws: any error when the bytes are not a value of this type; the caller sees
    ///   ``SteleError/Code/valueMismatch``.
    init(steleBytes: [UInt8]) throws

    var steleBytes: [UInt8] { get }
}

extension String: ValueConvertible {
    public init(steleBytes: [UInt8]) throws {
        guard let text = String(validating: steleBytes, as: UTF8.self) else {
            throw SteleError(.valueMismatch, "the value is not valid UTF-8")
        }
        self = text
    }

    public var steleBytes: [UInt8] { Array(utf8) }
}

/// Values that are stored as the text that describes them.
public protocol TextualValue: ValueConvertible, LosslessStringConvertible, ValueArrayElement {}

extension TextualValue {
    public init(steleBytes: [UInt8]) throws {
        guard let text = String(validating: steleBytes, as: UTF8.self), let value = Self(text) else {
            throw SteleError(.valueMismatch, "the value is not of type \(Self.self)")
        }
        self = value
    }

    public var steleBytes: [UInt8] { Array(description.utf8) }
}

extension Int: TextualValue {}
extension Int64: TextualValue {}
extension Int32: TextualValue {}
extension UInt: TextualValue {}
extension UInt64: TextualValue {}
extension UInt32: TextualValue {}
extension Double: TextualValue {}
extension Bool: TextualValue {}
