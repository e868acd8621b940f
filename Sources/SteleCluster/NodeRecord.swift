import SteleBase
import SteleClock

/// What a node must remember about itself across a crash; kept in its log.
package struct NodeRecord: Hashable, Sendable {
    private static let version: UInt8 = 1

    /// Counts the starts of the node.
    package var boot: UInt64
    /// No timestamp above this was given, and no bound above it was granted.
    package var clockBound: Timestamp
    /// No transaction was numbered at or above this.
    package var transactionBound: UInt64

    package init(boot: UInt64, clockBound: Timestamp, transactionBound: UInt64) {
        self.boot = boot
        self.clockBound = clockBound
        self.transactionBound = transactionBound
    }

    package var bytes: [UInt8] {
        var writer = ByteWriter(reserving: 25)
        writer.write(Self.version)
        writer.write(boot)
        writer.write(clockBound.rawValue)
        writer.write(transactionBound)
        return writer.bytes
    }

    package init(bytes: [UInt8]) throws(DecodingError) {
        var reader = ByteReader(bytes)
        let version = try reader.read(UInt8.self)
        guard version == Self.version else {
            throw DecodingError("a node record of the unknown version \(version)")
        }
        boot = try reader.read(UInt64.self)
        clockBound = Timestamp(rawValue: try reader.read(UInt64.self))
        transactionBound = try reader.read(UInt64.self)
        try reader.expectEnd()
    }
}
