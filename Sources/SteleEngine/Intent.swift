import SteleBase
import SteleClock

/// A provisional value of a transaction that is not known to be committed, at most one a key.
///
/// Format: version (1 byte, 1), kind (1: value, 2: deletion), transaction (8), timestamp (8),
/// sequence (4), anchor length (4), anchor, value. Integers are little-endian.
package struct Intent: Hashable, Sendable {
    package var owner: IntentOwner
    /// nil is a deletion.
    package var value: [UInt8]?

    package init(owner: IntentOwner, value: [UInt8]?) {
        self.owner = owner
        self.value = value
    }
}

/// Whose intent it is, and where to ask what became of it.
package struct IntentOwner: Hashable, Sendable {
    package var transaction: TransactionID
    /// Where the value lands unless the commit goes higher.
    package var timestamp: Timestamp
    /// Tells the writes of one transaction apart.
    package var sequence: UInt32
    /// The key that the transaction's record is stored at.
    package var anchor: KeyBytes

    package init(
        transaction: TransactionID, timestamp: Timestamp, sequence: UInt32, anchor: KeyBytes
    ) {
        self.transaction = transaction
        self.timestamp = timestamp
        self.sequence = sequence
        self.anchor = anchor
    }
}

extension Intent {
    package static let version: UInt8 = 1
    package static let headerBytes = 26
    private static let valueKind: UInt8 = 1
    private static let deletionKind: UInt8 = 2

    package var encodedCount: Int {
        Self.headerBytes + owner.anchor.count + (value?.count ?? 0)
    }

    package func encode(into writer: inout ByteWriter) {
        writer.write(Self.version)
        writer.write(value == nil ? Self.deletionKind : Self.valueKind)
        writer.write(owner.transaction.rawValue)
        writer.write(owner.timestamp.rawValue)
        writer.write(owner.sequence)
        writer.write(UInt32(owner.anchor.count))
        writer.writeRaw(owner.anchor)
        if let value { writer.writeRaw(value) }
    }

    package var encoded: [UInt8] {
        var writer = ByteWriter(reserving: encodedCount)
        encode(into: &writer)
        return writer.bytes
    }

    package init(_ encoded: ArraySlice<UInt8>) throws(DecodingError) {
        var reader = ByteReader(encoded)
        let version = try reader.read(UInt8.self)
        guard version == Self.version else {
            throw DecodingError("an intent of unknown version \(version)")
        }
        let kind = try reader.read(UInt8.self)
        guard kind == Self.valueKind || kind == Self.deletionKind else {
            throw DecodingError("an intent of unknown kind \(kind)")
        }
        let transaction = TransactionID(try reader.read(UInt64.self))
        let timestamp = Timestamp(rawValue: try reader.read(UInt64.self))
        let sequence = try reader.read(UInt32.self)
        let anchor = KeyBytes(try reader.readRaw(Int(try reader.read(UInt32.self))))
        if kind == Self.deletionKind { try reader.expectEnd() }
        self.init(
            owner: IntentOwner(
                transaction: transaction, timestamp: timestamp, sequence: sequence,
                anchor: anchor),
            value: kind == Self.valueKind ? Array(reader.rest) : nil)
    }
}
