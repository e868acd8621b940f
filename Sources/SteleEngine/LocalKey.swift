import SteleBase

/// Names an item that a replica keeps for itself: tablet, replica (8 bytes each, big-endian), item.
package struct LocalKey: Hashable, Sendable {
    package enum Item: UInt8, Sendable {
        /// ``AppliedState``: index, term (8 bytes each, little-endian).
        case applied = 1
        /// The tablet's descriptor.
        case descriptor = 2
        /// Up to where old versions are collected; see ``Watermark``.
        case watermark = 3
    }

    package var tablet: TabletID
    package var replica: ReplicaID
    package var item: Item

    package init(tablet: TabletID, replica: ReplicaID, item: Item) {
        self.tablet = tablet
        self.replica = replica
        self.item = item
    }

    /// Reads what ``bytes`` wrote; nil if it is no such key, or of an item unknown here.
    package init?(_ bytes: [UInt8]) {
        var reader = ByteReader(bytes)
        guard bytes.count == 17, let tablet = try? reader.read(UInt64.self),
            let replica = try? reader.read(UInt64.self),
            let item = (try? reader.read(UInt8.self)).flatMap(Item.init(rawValue:))
        else { return nil }
        self.init(
            tablet: TabletID(UInt64(bigEndian: tablet)),
            replica: ReplicaID(UInt64(bigEndian: replica)), item: item)
    }

    package var bytes: [UInt8] {
        var writer = ByteWriter(reserving: 17)
        writer.write(tablet.rawValue.bigEndian)
        writer.write(replica.rawValue.bigEndian)
        writer.write(item.rawValue)
        return writer.bytes
    }
}

extension AppliedState {
    package var localKey: LocalKey { LocalKey(tablet: tablet, replica: replica, item: .applied) }

    /// A version byte, index, term.
    package var localValue: [UInt8] {
        var writer = ByteWriter(reserving: 17)
        writer.write(UInt8(1))
        writer.write(index)
        writer.write(term)
        return writer.bytes
    }

    /// The applied states among pairs of the family `local`, in their order.
    package static func all(
        in pairs: [(key: [UInt8], value: [UInt8])]
    ) throws(EngineError) -> [AppliedState] {
        var found: [AppliedState] = []
        for pair in pairs {
            guard let key = LocalKey(pair.key), key.item == .applied else { continue }
            do throws(DecodingError) {
                found.append(
                    try AppliedState(
                        tablet: key.tablet, replica: key.replica, localValue: pair.value))
            } catch {
                throw EngineError(
                    .corruption,
                    "the applied state of replica \(key.replica) of tablet \(key.tablet): \(error)")
            }
        }
        return found
    }

    package init(
        tablet: TabletID, replica: ReplicaID, localValue: [UInt8]
    ) throws(DecodingError) {
        var reader = ByteReader(localValue)
        guard try reader.read(UInt8.self) == 1 else {
            throw DecodingError("an applied state of an unknown version")
        }
        self.init(
            tablet: tablet, replica: replica, index: try reader.read(UInt64.self),
            term: try reader.read(UInt64.self))
        try reader.expectEnd()
    }
}
