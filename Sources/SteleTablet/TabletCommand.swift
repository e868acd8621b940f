import SteleBase
import SteleClock

/// The payload of an entry of a tablet's log: who wrote what at which time, or how far the past is
/// given up.
///
/// Format: version (1), kind (1), range generation (8), transaction (8), timestamp (8), mutation
/// list; the list is empty, without its version, where the kind has none.
package struct TabletCommand: Sendable {
    private static let version: UInt8 = 2
    package static let headerBytes = 26

    package enum Kind: UInt8, Sendable {
        /// A transaction's versions, all at the timestamp: the mutations are applied unseen.
        case write = 1
        /// Nothing is read below the timestamp any more. Each replica writes its own watermark.
        case watermark = 2
        /// Drops what nothing at or above the timestamp, a watermark applied before, can see.
        case collect = 3
        /// Some writes of a transaction, without a timestamp yet: those of a later ``assemble``. The
        /// first of them.
        case firstPart = 4
        case part = 5
        /// A transaction's versions, all at the timestamp: what its parts hold. The mutations are
        /// their number (4).
        case assemble = 6
        /// The parts are of no use any more.
        case dropParts = 7
    }

    package var kind: Kind
    /// The range generation under which the leader evaluated it.
    package var generation: UInt64
    package var transaction: TransactionID
    /// The commit timestamp of all its versions; otherwise a watermark.
    package var timestamp: Timestamp
    package var mutations: ArraySlice<UInt8>

    package init(
        kind: Kind = .write, generation: UInt64, transaction: TransactionID = .none,
        timestamp: Timestamp, mutations: ArraySlice<UInt8> = []
    ) {
        self.kind = kind
        self.generation = generation
        self.transaction = transaction
        self.timestamp = timestamp
        self.mutations = mutations
    }

    /// The kind of a command, without a look at the rest of it.
    static func kind(of payload: ArraySlice<UInt8>) -> Kind? {
        payload.dropFirst().first.flatMap(Kind.init(rawValue:))
    }

    package var payload: ArraySlice<UInt8> {
        var writer = ByteWriter(reserving: Self.headerBytes + mutations.count)
        Self.writeHeader(
            kind, generation: generation, transaction: transaction, timestamp: timestamp,
            into: &writer)
        writer.writeRaw(mutations)
        return writer.bytes[...]
    }

    /// What stands before the mutations.
    static func writeHeader(
        _ kind: Kind = .write, generation: UInt64, transaction: TransactionID, timestamp: Timestamp,
        into writer: inout ByteWriter
    ) {
        writer.write(Self.version)
        writer.write(kind.rawValue)
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
        let code = try reader.read(UInt8.self)
        guard let kind = Kind(rawValue: code) else {
            throw DecodingError("a log entry of the unknown kind \(code)")
        }
        self.kind = kind
        generation = try reader.read(UInt64.self)
        transaction = TransactionID(try reader.read(UInt64.self))
        timestamp = try reader.readTimestamp()
        mutations = reader.rest
        guard mutations.isEmpty == (kind == .watermark || kind == .dropParts) else {
            throw DecodingError("a log entry of kind \(code) with \(mutations.count) bytes")
        }
    }
}
