/// A key as the key of a dictionary or member of a set.
///
/// `[UInt8]` hashes and compares one element at a time; this does both over the whole of it.
@usableFromInline
package struct DictionaryKey: Hashable, Sendable {
    @usableFromInline package let bytes: KeyBytes

    @inlinable
    package init(_ bytes: KeyBytes) { self.bytes = bytes }

    @inlinable
    package static func == (left: DictionaryKey, right: DictionaryKey) -> Bool {
        left.bytes.count == right.bytes.count && left.bytes.compareBytes(right.bytes) == 0
    }

    /// Keys are hashed alone, so that their bytes need no end mark.
    @inlinable
    package func hash(into hasher: inout Hasher) {
        bytes.withUnsafeBytes { hasher.combine(bytes: $0) }
    }
}
