import SteleBase
import SteleClock

/// What an entry of the Raft log does to the store, as bytes that every replica applies unseen.
///
/// Format: a version byte (1), then mutations back to back, each an operation byte and its fields.
/// Integers are little-endian; lengths are 4 bytes.
///
/// | operation | fields |
/// |---|---|
/// | 1 put version | key length, value length, timestamp (8), transaction (8), key, value |
/// | 2 delete version | key length, timestamp (8), transaction (8), key |
/// | 3 put plain | family (1), key length, value length, key, value |
/// | 4 delete plain | family (1), key length, key |
/// | 5 clear range | start length, end length, start, end: drops all versions of these user keys; an empty end is the end of the keyspace |
package struct MutationList: Sendable {
    package static let version: UInt8 = 1

    package enum Operation: UInt8, Sendable {
        case putVersion = 1
        case deleteVersion = 2
        case putPlain = 3
        case deletePlain = 4
        case clearRange = 5
    }

    package private(set) var writer: ByteWriter

    package init(reserving capacity: Int = 64) {
        writer = ByteWriter(reserving: capacity)
        writer.write(Self.version)
    }

    package var bytes: [UInt8] { writer.bytes }

    package var isEmpty: Bool { writer.bytes.count == 1 }

    package mutating func put(
        _ key: KeyBytes, _ value: some Collection<UInt8>, at timestamp: Timestamp,
        by transaction: TransactionID
    ) {
        writer.write(Operation.putVersion.rawValue)
        writer.write(UInt32(key.count))
        writer.write(UInt32(value.count))
        writer.write(timestamp.rawValue)
        writer.write(transaction.rawValue)
        writer.writeRaw(key)
        writer.writeRaw(value)
    }

    package mutating func delete(
        _ key: KeyBytes, at timestamp: Timestamp, by transaction: TransactionID
    ) {
        writer.write(Operation.deleteVersion.rawValue)
        writer.write(UInt32(key.count))
        writer.write(timestamp.rawValue)
        writer.write(transaction.rawValue)
        writer.writeRaw(key)
    }

    package mutating func put(_ key: [UInt8], _ value: [UInt8], in family: PlainFamily) {
        writer.write(Operation.putPlain.rawValue)
        writer.write(family.rawValue)
        writer.write(UInt32(key.count))
        writer.write(UInt32(value.count))
        writer.writeRaw(key)
        writer.writeRaw(value)
    }

    package mutating func delete(_ key: [UInt8], in family: PlainFamily) {
        writer.write(Operation.deletePlain.rawValue)
        writer.write(family.rawValue)
        writer.write(UInt32(key.count))
        writer.writeRaw(key)
    }

    package mutating func clear(_ range: KeyRange) {
        writer.write(Operation.clearRange.rawValue)
        writer.write(UInt32(range.start.count))
        writer.write(UInt32(range.end.count))
        writer.writeRaw(range.start)
        writer.writeRaw(range.end)
    }
}
