import SteleBase
import SteleClock

/// The payload of an entry of a tablet's log: who wrote what at which time.
///
/// Format: version (1), range generation (8), transaction (8), timestamp (8), mutation list.
package struct TabletCommand: Sendable {
    private static let version: UInt8 = 1
    package static let headerBytes = 25

    /// The range generation under which the leader evaluated it.
    package var generation: UInt64
    package var transaction: TransactionID
    /// The commit timestamp of all its versions.
    package var timestamp: Timestamp
    package var mutations: ArraySlice<UInt8>

    package init(
        generation: UInt64, transaction: TransactionID, timestamp: Timestamp,
        mutations: ArraySlice<UInt8>
    ) {
        self.generation = generation
        self.transaction = transaction
        self.timestamp = timestamp
        self.mutations = mutations
    }

    package var payload: ArraySlice<UInt8> {
        var writer = ByteWriter(reserving: Self.headerBytes + mutations.count)
        Self.writeHeader(
            generation: generation, transaction: transaction, timestamp: timestamp, into: &writer)
        writer.writeRaw(mutations)
        return writer.bytes[...]
    }

    /// What stands before the mutations.
    static func writeHeader(
        generation: UInt64, transaction: TransactionID, timestamp: Timestamp,
        into writer: inout ByteWriter
    ) {
        writer.write(Self.version)
        writer.write(generation)
        writer.write(transaction.rawValue)
        writer.write(timestamp.rawValue)
    }

    package init(payload: ArraySlice<UInt8>) throws(DecodingError) {
        var reader = ByteReader(payload)
        let version = try reader.read(UInt8.self)
        guard version == Self.version else {
            throw DecodingError("a log entry of the unknown version \(version)")
        }
        generation = try reader.read(UInt64.self)
        transaction = TransactionID(try reader.read(UInt64.self))
        timestamp = Timestamp(rawValue: try reader.read(UInt64.self))
        mutations = reader.rest
    }
}
