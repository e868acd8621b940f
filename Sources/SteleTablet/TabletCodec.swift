import SteleAPI
import SteleBase
import SteleClock
import SteleEngine

/// The forms in which requests and replies travel between nodes. The first byte is a version.
extension TabletRequest {
    private static let version: UInt8 = 1

    package func encode(into writer: inout ByteWriter) {
        writer.write(Self.version)
        writer.write(transaction.rawValue)
        switch body {
        case .read(let keys, let timestamp):
            writer.write(UInt8(1))
            writer.write(keys: keys)
            writer.write(optional: timestamp)
        case .scan(let scan):
            writer.write(UInt8(2))
            writer.write(range: scan.range)
            writer.write(optional: scan.timestamp)
            writer.writeVarint(UInt64(scan.limits.rows))
            writer.writeVarint(UInt64(scan.limits.bytes))
            writer.writeVarint(UInt64(scan.limits.keys))
            writer.write(scan.reverse)
        case .lock(let lock):
            writer.write(UInt8(3))
            writer.write(keys: lock.keys)
            writer.write(keys: lock.others)
            writer.write(lock.mode.rawValue)
            writer.write(lock.wait.rawValue)
            writer.writeVarint(lock.timeoutMicroseconds.map { $0 + 1 } ?? 0)
            writer.write(optional: lock.snapshot)
            writer.write(optional: lock.grant)
            writer.writeVarint(lock.rollbacks)
        case .commit(let commit):
            writer.write(UInt8(4))
            commit.encode(into: &writer)
        case .release(let key):
            writer.write(UInt8(5))
            writer.writeBytes(key)
        case .unlock(let keys, let rollback):
            writer.write(UInt8(6))
            writer.write(keys: keys)
            writer.writeVarint(rollback)
        }
    }

    package init(from reader: inout ByteReader) throws(DecodingError) {
        let version = try reader.read(UInt8.self)
        guard version == Self.version else {
            throw DecodingError("a request of the unknown version \(version)")
        }
        let transaction = TransactionID(try reader.read(UInt64.self))
        let kind = try reader.read(UInt8.self)
        let body: Body
        switch kind {
        case 1:
            let keys = try reader.readKeys()
            body = .read(keys: keys, at: try reader.readOptionalTimestamp())
        case 2:
            let range = try reader.readRange()
            let timestamp = try reader.readOptionalTimestamp()
            let rows = Int(clamping: try reader.readVarint())
            let bytes = Int(clamping: try reader.readVarint())
            let keys = Int(clamping: try reader.readVarint())
            body = .scan(
                ScanRequest(
                    range: range, timestamp: timestamp,
                    limits: ScanLimits(
                        rows: rows, bytes: min(bytes, Limits.scanPageBytes),
                        keys: min(keys, Limits.scanPageKeys)),
                    reverse: try reader.readBool()))
        case 3:
            let keys = try reader.readKeys()
            let others = try reader.readKeys()
            guard let mode = LockMode(rawValue: try reader.read(UInt8.self)),
                let wait = LockWait(rawValue: try reader.read(UInt8.self))
            else { throw DecodingError("an unknown kind of lock") }
            let timeout = try reader.readVarint()
            // What a duration can say; a point in time that much later can still be named.
            guard timeout <= 1 << 63 else {
                throw DecodingError("a wait of \(timeout) µs is longer than any")
            }
            body = .lock(
                LockRequest(
                    keys: keys, others: others, mode: mode, wait: wait,
                    timeoutMicroseconds: timeout == 0 ? nil : timeout - 1,
                    snapshot: try reader.readOptionalTimestamp(),
                    grant: try reader.readOptionalGrant(), rollbacks: try reader.readVarint()))
        case 4: body = .commit(try CommitRequest(from: &reader))
        case 5: body = .release(near: Array(try reader.readBytes()))
        case 6:
            let keys = try reader.readKeys()
            body = .unlock(keys: keys, rollback: try reader.readVarint())
        default: throw DecodingError("\(kind) is no kind of request")
        }
        self.init(transaction: transaction, body: body)
    }
}

extension TabletRequest.CommitRequest {
    fileprivate func encode(into writer: inout ByteWriter) {
        writer.write(begun.rawValue)
        writer.write(readTimestamp.rawValue)
        writer.write(keys: readKeys)
        writer.writeVarint(UInt64(readRanges.count))
        for range in readRanges { writer.write(range: range) }
        writer.write(keys: locks)
        writer.write(optional: grant)
        Self.encode(expected, into: &writer)
        writer.write(firstCommitterWins)
        Self.encode(writes, into: &writer)
    }

    fileprivate init(from reader: inout ByteReader) throws(DecodingError) {
        let begun = try reader.readTimestamp()
        let readTimestamp = try reader.readTimestamp()
        let readKeys = try reader.readKeys()
        var readRanges: [KeyRange] = []
        for _ in 0..<(try reader.readCount(ofAtLeast: 2)) {
            readRanges.append(try reader.readRange())
        }
        guard readKeys.isAscending, readRanges.areDisjoint else {
            throw DecodingError("the reads of a commit are empty or out of order")
        }
        let locks = try reader.readKeys()
        let grant = try reader.readOptionalGrant()
        let expected = try Self.readWrites(&reader, areAscending: false)
        guard expected.count <= Limits.expectedKeys else {
            throw DecodingError(LimitExceeded(.expectedKeys, count: expected.count))
        }
        let firstCommitterWins = try reader.readBool()
        let writes = try Self.readWrites(&reader, areAscending: true)
        self.init(
            readTimestamp: readTimestamp, readKeys: readKeys, readRanges: readRanges,
            locks: locks, grant: grant, expected: expected, firstCommitterWins: firstCommitterWins,
            writes: writes)
        self.begun = begun
    }

    private static func encode(_ writes: [Write], into writer: inout ByteWriter) {
        writer.writeVarint(UInt64(writes.count))
        for write in writes {
            writer.writeBytes(write.key)
            writer.write(optional: write.value)
        }
    }

    /// An engine refuses what exceeds the limits, when it is too late for an answer.
    private static func readWrites(
        _ reader: inout ByteReader, areAscending: Bool
    ) throws(DecodingError) -> [Write] {
        let count = try reader.readCount(ofAtLeast: 2)
        var writes: [Write] = []
        writes.reserveCapacity(count)
        for _ in 0..<count {
            let key = Array(try reader.readBytes())
            let value = try reader.readOptionalBytes()
            guard key.count <= Limits.storedKeyBytes else {
                throw DecodingError(LimitExceeded(.storedKeyBytes, count: key.count))
            }
            let valueBytes = value?.count ?? 0
            guard valueBytes <= Limits.valueBytes else {
                throw DecodingError(LimitExceeded(.valueBytes, count: valueBytes))
            }
            if areAscending, let last = writes.last, !last.key.precedes(key) {
                throw DecodingError("the writes of a commit are out of order")
            }
            writes.append(Write(key: key, value: value))
        }
        return writes
    }
}

extension TabletReply {
    private static let version: UInt8 = 1

    package func encode(into writer: inout ByteWriter) {
        writer.write(Self.version)
        switch self {
        case .values(let values, let timestamp):
            writer.write(UInt8(1))
            writer.write(timestamp.rawValue)
            writer.writeVarint(UInt64(values.count))
            for value in values { writer.write(optional: value) }
        case .page(let page, let timestamp):
            writer.write(UInt8(2))
            writer.write(timestamp.rawValue)
            page.encode(into: &writer)
        case .locked(let values, let grant, let clock):
            writer.write(UInt8(3))
            writer.write(clock.rawValue)
            writer.write(optional: grant)
            writer.writeVarint(UInt64(values.count))
            for value in values {
                writer.write(value.isLocked)
                writer.write(optional: value.value)
            }
        case .committed(let timestamp):
            writer.write(UInt8(4))
            writer.write(timestamp.rawValue)
        case .released:
            writer.write(UInt8(5))
        case .failed(let failure):
            writer.write(UInt8(6))
            writer.write(failure.reason.rawValue)
            writer.writeVarint(failure.leader.rawValue)
            writer.writeVarint(failure.term)
            writer.writeVarint(failure.watermark.rawValue)
            writer.writeString(failure.message)
        }
    }

    package init(from reader: inout ByteReader) throws(DecodingError) {
        let version = try reader.read(UInt8.self)
        guard version == Self.version else {
            throw DecodingError("a reply of the unknown version \(version)")
        }
        let kind = try reader.read(UInt8.self)
        switch kind {
        case 1:
            let timestamp = try reader.readTimestamp()
            var values: [[UInt8]?] = []
            for _ in 0..<(try reader.readCount()) { values.append(try reader.readOptionalBytes()) }
            self = .values(values, at: timestamp)
        case 2:
            let timestamp = try reader.readTimestamp()
            self = .page(try ScanPage(from: &reader), at: timestamp)
        case 3:
            let clock = try reader.readTimestamp()
            let grant = try reader.readOptionalGrant()
            var values: [Locked] = []
            for _ in 0..<(try reader.readCount(ofAtLeast: 2)) {
                let isLocked = try reader.readBool()
                values.append(Locked(isLocked: isLocked, value: try reader.readOptionalBytes()))
            }
            self = .locked(values, grant: grant, clock: clock)
        case 4: self = .committed(try reader.readTimestamp())
        case 5: self = .released
        case 6:
            guard let reason = Failure.Reason(rawValue: try reader.read(UInt8.self)) else {
                throw DecodingError("an unknown reason of a failure")
            }
            let leader = NodeID(try reader.readVarint())
            let term = try reader.readVarint()
            let watermark = Timestamp(rawValue: try reader.readVarint())
            var failure = Failure(reason, try reader.readString(), leader: leader, term: term)
            failure.watermark = watermark
            self = .failed(failure)
        default: throw DecodingError("\(kind) is no kind of reply")
        }
    }
}

extension ByteWriter {
    fileprivate mutating func write(keys: [KeyBytes]) {
        writeVarint(UInt64(keys.count))
        for key in keys { writeBytes(key) }
    }

    fileprivate mutating func write(range: KeyRange) {
        writeBytes(range.start)
        writeBytes(range.end)
    }

    fileprivate mutating func write(optional timestamp: Timestamp?) {
        write(timestamp != nil)
        if let timestamp { write(timestamp.rawValue) }
    }

    fileprivate mutating func write(optional grant: LockGrant?) {
        write(grant != nil)
        if let grant {
            writeVarint(grant.term)
            writeVarint(grant.arrival)
        }
    }

    fileprivate mutating func write(optional bytes: [UInt8]?) {
        write(bytes != nil)
        if let bytes { writeBytes(bytes) }
    }
}

extension ByteReader {
    fileprivate mutating func readKeys() throws(DecodingError) -> [KeyBytes] {
        let count = try readCount()
        var keys: [KeyBytes] = []
        keys.reserveCapacity(count)
        for _ in 0..<count { keys.append(Array(try readBytes())) }
        return keys
    }

    fileprivate mutating func readRange() throws(DecodingError) -> KeyRange {
        let start = Array(try readBytes())
        return KeyRange(start: start, end: Array(try readBytes()))
    }

    fileprivate mutating func readOptionalTimestamp() throws(DecodingError) -> Timestamp? {
        try readBool() ? try readTimestamp() : nil
    }

    fileprivate mutating func readOptionalGrant() throws(DecodingError) -> LockGrant? {
        try readBool() ? LockGrant(term: try readVarint(), arrival: try readVarint()) : nil
    }

    fileprivate mutating func readOptionalBytes() throws(DecodingError) -> [UInt8]? {
        try readBool() ? Array(try readBytes()) : nil
    }
}
