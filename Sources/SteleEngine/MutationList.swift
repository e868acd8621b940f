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
/// | 3 put plain | family (1; not 1, nor a watermark in 3), key length, value length, key, value |
/// | 4 delete plain | family (1; not 1), key length, key |
/// | 5 clear range | start length, end length, start, end: drops all versions of the keys |
/// | 6 put intent | key length, intent length, key, ``Intent`` |
/// | 7 remove intent | key length, transaction (8), key: if the key's intent is the transaction's |
/// | 8 resolve intent | key length, transaction (8), timestamp (8), key: also makes it a version |
/// | 9 clear plain | family (1), start length, end length, start, end |
/// | 10 drop versions | key length, timestamp (8), key: those at or below the timestamp |
/// | 11 raise watermark | tablet (8), replica (8), timestamp (8), start and end as in 5 |
///
/// An empty end is the end of the keyspace. A watermark's timestamp never goes back. Keys and bounds
/// that exceed ``Limits/storedKeyBytes`` are refused, and values that exceed ``Limits/valueBytes``.
package struct MutationList: Sendable {
    package static let version: UInt8 = 1

    package enum Operation: UInt8, Sendable {
        case putVersion = 1
        case deleteVersion = 2
        case putPlain = 3
        case deletePlain = 4
        case clearRange = 5
        case putIntent = 6
        case removeIntent = 7
        case resolveIntent = 8
        case clearPlain = 9
        case dropVersions = 10
        case raiseWatermark = 11
    }

    package private(set) var writer: ByteWriter

    package init(reserving capacity: Int = 64) {
        writer = ByteWriter(reserving: capacity)
        writer.write(Self.version)
    }

    /// Goes on with a list that ends `bytes`; what stands before the list stays as it is.
    package init(appendingTo bytes: consuming [UInt8]) {
        writer = ByteWriter()
        writer.bytes = bytes
    }

    package var bytes: [UInt8] { writer.bytes }

    /// With whatever stands before the list.
    package var byteCount: Int { writer.bytes.count }

    /// Hands the bytes over without a copy; the list is of no more use.
    package mutating func takeBytes() -> [UInt8] {
        defer { writer.bytes = [] }
        return writer.bytes
    }

    package var isEmpty: Bool { writer.bytes.count == 1 }

    package mutating func put(
        _ key: KeyBytes, _ value: [UInt8], at timestamp: Timestamp, by transaction: TransactionID
    ) {
        put(key, value[...], at: timestamp, by: transaction)
    }

    package mutating func put(
        _ key: KeyBytes, _ value: ArraySlice<UInt8>, at timestamp: Timestamp,
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

    /// - Precondition: `family` is not that of intents.
    package mutating func put(_ key: [UInt8], _ value: [UInt8], in family: PlainFamily) {
        invariant(family != .locks, "an intent is not put as a plain value")
        writer.write(Operation.putPlain.rawValue)
        writer.write(family.rawValue)
        writer.write(UInt32(key.count))
        writer.write(UInt32(value.count))
        writer.writeRaw(key)
        writer.writeRaw(value)
    }

    /// - Precondition: `family` is not that of intents.
    package mutating func delete(_ key: [UInt8], in family: PlainFamily) {
        invariant(family != .locks, "an intent is not deleted as a plain value")
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
    package mutating func clear(_ range: KeyRange, in family: PlainFamily) {
        writer.write(Operation.clearPlain.rawValue)
        writer.write(family.rawValue)
        writer.write(UInt32(range.start.count))
        writer.write(UInt32(range.end.count))
        writer.writeRaw(range.start)
        writer.writeRaw(range.end)
    }

    package mutating func put(_ intent: Intent, at key: KeyBytes) {
        writer.write(Operation.putIntent.rawValue)
        writer.write(UInt32(key.count))
        writer.write(UInt32(intent.encodedCount))
        writer.writeRaw(key)
        intent.encode(into: &writer)
    }

    /// Removes the key's intent if it is the transaction's.
    package mutating func removeIntent(at key: KeyBytes, of transaction: TransactionID) {
        writer.write(Operation.removeIntent.rawValue)
        writer.write(UInt32(key.count))
        writer.write(transaction.rawValue)
        writer.writeRaw(key)
    }

    /// Makes the key's intent, if it is the transaction's, a version at `timestamp`.
    package mutating func resolveIntent(
        at key: KeyBytes, of transaction: TransactionID, committedAt timestamp: Timestamp
    ) {
        writer.write(Operation.resolveIntent.rawValue)
        writer.write(UInt32(key.count))
        writer.write(transaction.rawValue)
        writer.write(timestamp.rawValue)
        writer.writeRaw(key)
    }

    /// Drops the versions of a key at or below `timestamp`.
    package mutating func dropVersions(of key: KeyBytes, upTo timestamp: Timestamp) {
        writer.write(Operation.dropVersions.rawValue)
        writer.write(UInt32(key.count))
        writer.write(timestamp.rawValue)
        writer.writeRaw(key)
    }

    package mutating func raise(
        _ watermark: Watermark, tablet: TabletID, replica: ReplicaID
    ) {
        writer.write(Operation.raiseWatermark.rawValue)
        writer.write(tablet.rawValue)
        writer.write(replica.rawValue)
        writer.write(watermark.timestamp.rawValue)
        writer.write(UInt32(watermark.range.start.count))
        writer.write(UInt32(watermark.range.end.count))
        writer.writeRaw(watermark.range.start)
        writer.writeRaw(watermark.range.end)
    }

    /// A list of versions from byte `offset` of `list` on, of a little more than `maxBytes`, with
    /// another timestamp.
    ///
    /// - Returns: the list, and where in `list` the next one begins: its length at its end.
    /// - Throws: `corruption` if there is anything but versions.
    package static func stamped(
        _ list: ArraySlice<UInt8>, from offset: Int, maxBytes: Int, at timestamp: Timestamp
    ) throws(EngineError) -> (list: [UInt8], end: Int) {
        let start = max(offset, 1)
        var places: [Int] = []
        let end = list.withUnsafeBytes { bytes -> Int? in
            var end = start
            while end < bytes.count, end - start <= maxBytes {
                let isPut = bytes[end] == Operation.putVersion.rawValue
                guard isPut || bytes[end] == Operation.deleteVersion.rawValue,
                    end + (isPut ? 25 : 21) <= bytes.count
                else { return nil }
                func length(at place: Int) -> Int {
                    let length = bytes.loadUnaligned(fromByteOffset: place, as: UInt32.self)
                    return Int(UInt32(littleEndian: length))
                }
                places.append(end - start + 1 + (isPut ? 9 : 5))
                end +=
                    isPut
                    ? 25 + length(at: end + 1) + length(at: end + 5) : 21 + length(at: end + 1)
            }
            return end <= bytes.count ? end : nil
        }
        guard let end else { throw EngineError(.corruption, "a part of a command is damaged") }
        var stamped: [UInt8] = []
        stamped.reserveCapacity(end - start + 1)
        stamped.append(version)
        stamped += list[(list.startIndex + start)..<(list.startIndex + end)]
        stamped.withUnsafeMutableBytes { bytes in
            for place in places {
                bytes.storeBytes(
                    of: timestamp.rawValue.littleEndian, toByteOffset: place, as: UInt64.self)
            }
        }
        return (stamped, end)
    }
}
