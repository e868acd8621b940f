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
    case putIntent(key: ArraySlice<UInt8>, intent: Intent)
    case removeIntent(key: ArraySlice<UInt8>, transaction: TransactionID)
    case resolveIntent(key: ArraySlice<UInt8>, transaction: TransactionID, timestamp: Timestamp)
    case clearPlain(family: PlainFamily, start: ArraySlice<UInt8>, end: ArraySlice<UInt8>)
    case dropVersions(key: ArraySlice<UInt8>, timestamp: Timestamp)
    case raiseWatermark(key: LocalKey, watermark: Watermark)
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
        case .putVersion, .deleteVersion:
            return try decodeVersion(isPut: code == MutationList.Operation.putVersion.rawValue)
        case .putPlain, .deletePlain:
            return try decodePlain(isPut: code == MutationList.Operation.putPlain.rawValue)
        case .clearRange:
            let (start, end) = try readBounds()
            return .clearRange(start: start, end: end)
        case .putIntent: return try decodeIntent()
        case .removeIntent:
            let keyCount = try readLength()
            let transaction = TransactionID(try reader.read(UInt64.self))
            return .removeIntent(key: try reader.readRaw(keyCount), transaction: transaction)
        case .resolveIntent:
            let keyCount = try readLength()
            let transaction = TransactionID(try reader.read(UInt64.self))
            let timestamp = Timestamp(rawValue: try reader.read(UInt64.self))
            return .resolveIntent(
                key: try reader.readRaw(keyCount), transaction: transaction, timestamp: timestamp)
        case .clearPlain:
            let family = try readFamily()
            let (start, end) = try readBounds()
            return .clearPlain(family: family, start: start, end: end)
        case .dropVersions:
            let keyCount = try readLength()
            let timestamp = Timestamp(rawValue: try reader.read(UInt64.self))
            return .dropVersions(key: try reader.readRaw(keyCount), timestamp: timestamp)
        case .raiseWatermark: return try decodeWatermark()
        case nil:
            throw DecodingError("unknown operation \(code)")
        }
    }

    private mutating func decodeVersion(isPut: Bool) throws(DecodingError) -> Mutation {
        let keyCount = try readLength()
        let valueCount = isPut ? try readLength() : 0
        let timestamp = Timestamp(rawValue: try reader.read(UInt64.self))
        let transaction = TransactionID(try reader.read(UInt64.self))
        let key = try reader.readRaw(keyCount)
        let value = try reader.readRaw(valueCount)
        try StoredLimits.checkKey(key.count)
        try StoredLimits.checkValue(value.count)
        return isPut
            ? .putVersion(key: key, value: value, timestamp: timestamp, transaction: transaction)
            : .deleteVersion(key: key, timestamp: timestamp, transaction: transaction)
    }

    private mutating func decodePlain(isPut: Bool) throws(DecodingError) -> Mutation {
        let family = try readFamily()
        let keyCount = try readLength()
        let valueCount = isPut ? try readLength() : 0
        let key = try reader.readRaw(keyCount)
        let value = try reader.readRaw(valueCount)
        guard family != .locks else { throw DecodingError("unknown family \(family.rawValue)") }
        try StoredLimits.checkKey(key.count)
        try StoredLimits.checkValue(value.count)
        guard isPut else { return .deletePlain(family: family, key: key) }
        if family == .local, LocalKey(Array(key))?.item == .watermark {
            throw DecodingError("a watermark is not put but raised")
        }
        return .putPlain(family: family, key: key, value: value)
    }

    private mutating func decodeIntent() throws(DecodingError) -> Mutation {
        let keyCount = try readLength()
        let intentCount = try readLength()
        let key = try reader.readRaw(keyCount)
        let intent = try Intent(try reader.readRaw(intentCount))
        try StoredLimits.check(intent, key: key.count)
        return .putIntent(key: key, intent: intent)
    }

    private mutating func decodeWatermark() throws(DecodingError) -> Mutation {
        let tablet = TabletID(try reader.read(UInt64.self))
        let replica = ReplicaID(try reader.read(UInt64.self))
        let timestamp = Timestamp(rawValue: try reader.read(UInt64.self))
        let (start, end) = try readBounds()
        return .raiseWatermark(
            key: LocalKey(tablet: tablet, replica: replica, item: .watermark),
            watermark: Watermark(
                timestamp: timestamp, range: KeyRange(start: Array(start), end: Array(end))))
    }

    private mutating func readBounds() throws(DecodingError) -> (
        start: ArraySlice<UInt8>, end: ArraySlice<UInt8>
    ) {
        let startCount = try readLength()
        let endCount = try readLength()
        let (start, end) = (try reader.readRaw(startCount), try reader.readRaw(endCount))
        try StoredLimits.checkKey(start.count)
        try StoredLimits.checkKey(end.count)
        return (start, end)
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
