import SteleBase
import SteleClock

/// One decoded mutation; its bytes are slices of the list that it came from.
package enum Mutation: Hashable, Sendable {
    case putVersion(
        key: ArraySlice<UInt8>, value: ArraySlice<UInt8>, timestamp: Timestamp,
        transaction: TransactionID)
    case deleteVersion(key: ArraySlice<UInt8>, timestamp: Timestamp, transaction: TransactionID)
    case putPlain(family: PlainFamily, key: ArraySlice<UInt8>, value: ArraySlice<UInt8>)
    case deletePlain(family: PlainFamily, key: ArraySlice<UInt8>)
    case clearRange(start: ArraySlice<UInt8>, end: ArraySlice<UInt8>)
}

/// Reads the mutations of a ``MutationList`` one after another, checking every length.
package struct MutationReader: Sendable {
    private var reader: ByteReader
    private let count: Int

    /// Starts at byte `offset`, which is 0 or an offset that an earlier reader stopped at.
    package init(_ list: ArraySlice<UInt8>, from offset: Int = 0) throws(EngineError) {
        guard list.first == MutationList.version else {
            throw EngineError(
                .invalidArgument,
                list.first.map { "a mutation list of unknown version \($0)" }
                    ?? "a mutation list without a version")
        }
        guard offset >= 0, offset <= list.count else {
            throw EngineError(
                .invalidArgument, "offset \(offset) lies outside a list of \(list.count) bytes")
        }
        count = list.count
        reader = ByteReader(list.dropFirst(max(offset, 1)))
    }

    /// The offset of the next mutation in the list; the list's length at its end.
    package var offset: Int { count - reader.remaining }

    /// The next mutation, or nil at the end of the list.
    package mutating func next() throws(EngineError) -> Mutation? {
        if reader.isAtEnd { return nil }
        let start = offset
        do throws(DecodingError) {
            return try decode()
        } catch {
            throw EngineError(.invalidArgument, "mutation at byte \(start): \(error)")
        }
    }

    private mutating func decode() throws(DecodingError) -> Mutation {
        let code = try reader.read(UInt8.self)
        switch MutationList.Operation(rawValue: code) {
        case .putVersion:
            let keyCount = try readLength()
            let valueCount = try readLength()
            let timestamp = Timestamp(rawValue: try reader.read(UInt64.self))
            let transaction = TransactionID(try reader.read(UInt64.self))
            return .putVersion(
                key: try reader.readRaw(keyCount), value: try reader.readRaw(valueCount),
                timestamp: timestamp, transaction: transaction)
        case .deleteVersion:
            let keyCount = try readLength()
            let timestamp = Timestamp(rawValue: try reader.read(UInt64.self))
            let transaction = TransactionID(try reader.read(UInt64.self))
            return .deleteVersion(
                key: try reader.readRaw(keyCount), timestamp: timestamp, transaction: transaction)
        case .putPlain:
            let family = try readFamily()
            let keyCount = try readLength()
            let valueCount = try readLength()
            return .putPlain(
                family: family, key: try reader.readRaw(keyCount),
                value: try reader.readRaw(valueCount))
        case .deletePlain:
            let family = try readFamily()
            return .deletePlain(family: family, key: try reader.readRaw(readLength()))
        case .clearRange:
            let startCount = try readLength()
            let endCount = try readLength()
            return .clearRange(
                start: try reader.readRaw(startCount), end: try reader.readRaw(endCount))
        case nil:
            throw DecodingError("unknown operation \(code)")
        }
    }

    private mutating func readLength() throws(DecodingError) -> Int {
        Int(try reader.read(UInt32.self))
    }

    private mutating func readFamily() throws(DecodingError) -> PlainFamily {
        let code = try reader.read(UInt8.self)
        guard let family = PlainFamily(rawValue: code) else {
            throw DecodingError("unknown family \(code)")
        }
        return family
    }
}
