import SteleBase
import SteleClock

/// What a ``MemoryEngine`` holds at one moment: a value, so that keeping an image is a copy.
///
/// Invariant: the versions of a key ascend strictly by timestamp, and there is at least one.
struct MemoryStore: Sendable {
    var data = SortedBytesMap<[Version]>()
    var locks = SortedBytesMap<Intent>()
    private var transactions = SortedBytesMap<[UInt8]>()
    private var local = SortedBytesMap<[UInt8]>()
    /// Those of `local`, decoded.
    private(set) var watermarks = SortedBytesMap<Watermark>()
    /// The newest version of each key that a clear of a range dropped; see ``check(_:)``.
    var cleared = SortedBytesMap<Timestamp>()

    mutating func apply(_ mutation: Mutation) {
        switch mutation {
        case .putVersion(let key, let value, let timestamp, let transaction):
            insert(
                Version(timestamp: timestamp, transaction: transaction, value: Array(value)),
                of: Array(key))
        case .deleteVersion(let key, let timestamp, let transaction):
            insert(
                Version(timestamp: timestamp, transaction: transaction, value: nil),
                of: Array(key))
        case .putPlain(let family, let key, let value):
            withFamily(family) { $0.set(Array(key), Array(value)) }
        case .deletePlain(let family, let key):
            withFamily(family) { $0.remove(Array(key)) }
            if family == .local { watermarks.remove(Array(key)) }
        case .clearRange(let start, let end):
            clear(KeyRange(start: Array(start), end: Array(end)))
        case .clearPlain(let family, let start, let end):
            let range = KeyRange(start: Array(start), end: Array(end))
            if family == .locks {
                locks.removeAll(in: range)
            } else {
                withFamily(family) { $0.removeAll(in: range) }
                if family == .local { watermarks.removeAll(in: range) }
            }
        case .putIntent(let key, let intent):
            locks.set(Array(key), intent)
        case .removeIntent(let key, let transaction):
            _ = takeIntent(at: Array(key), of: transaction)
        case .resolveIntent(let key, let transaction, let timestamp):
            guard let intent = takeIntent(at: Array(key), of: transaction) else { return }
            insert(
                Version(timestamp: timestamp, transaction: transaction, value: intent.value),
                of: Array(key))
        case .dropVersions(let key, let timestamp):
            dropVersions(of: Array(key), upTo: timestamp)
        case .raiseWatermark(let key, let watermark):
            raise(watermark, at: key.bytes)
        }
    }

    private mutating func takeIntent(
        at key: KeyBytes, of transaction: TransactionID
    ) -> Intent? {
        guard let intent = locks[key], intent.owner.transaction == transaction else { return nil }
        locks.remove(key)
        return intent
    }

    private mutating func dropVersions(of key: KeyBytes, upTo timestamp: Timestamp) {
        guard let versions = data[key] else { return }
        let count = Self.countAtOrBelow(timestamp, in: versions)
        if count == versions.count {
            data.remove(key)
        } else if count > 0 {
            data.set(key, Array(versions[count...]))
        }
    }

    private mutating func raise(_ raised: Watermark, at key: [UInt8]) {
        var watermark = raised
        watermark.timestamp = max(raised.timestamp, watermarks[key]?.timestamp ?? .zero)
        watermarks.set(key, watermark)
        local.set(key, watermark.encoded)
        collect(watermark)
        forgetCleared(watermark)
    }

    /// Drops what a read at or above a watermark cannot see, at once.
    private mutating func collect(_ watermark: Watermark) {
        if watermark.range.isEmpty { return }
        var position = data.lowerBound(of: watermark.range.start)
        let end = data.upperBound(of: watermark.range)
        while position != end {
            let versions = data.value(at: position)
            let count = Self.countAtOrBelow(watermark.timestamp, in: versions)
            if count > 1 { data.setValue(Array(versions[(count - 1)...]), at: position) }
            position = data.position(after: position)
        }
    }

    /// The greatest watermark that a key of `range` lies in.
    func watermark(in range: KeyRange) -> Timestamp {
        var greatest = Timestamp.zero
        var position = watermarks.startPosition
        while position != watermarks.endPosition {
            let watermark = watermarks.value(at: position)
            if watermark.range.overlaps(range), !watermark.range.isEmpty {
                greatest = max(greatest, watermark.timestamp)
            }
            position = watermarks.position(after: position)
        }
        return greatest
    }

    mutating func setLocal(_ key: [UInt8], _ value: [UInt8]) { local.set(key, value) }

    /// Versions of all keys.
    var versionCount: Int {
        var count = 0
        var position = data.startPosition
        while position != data.endPosition {
            count += data.value(at: position).count
            position = data.position(after: position)
        }
        return count
    }

    func value(of key: [UInt8], in family: PlainFamily) -> [UInt8]? {
        switch family {
        case .locks: locks[key]?.encoded
        case .transactions: transactions[key]
        case .local: local[key]
        }
    }

    func pairs(of range: KeyRange, in family: PlainFamily, limits: PairLimits) -> PairPage {
        switch family {
        case .locks: Self.pairs(of: range, in: locks, limits) { $0.encoded }
        case .transactions: Self.pairs(of: range, in: transactions, limits) { $0 }
        case .local: Self.pairs(of: range, in: local, limits) { $0 }
        }
    }

    private static func pairs<Value>(
        of range: KeyRange, in family: SortedBytesMap<Value>, _ limits: PairLimits,
        encoded: (Value) -> [UInt8]
    ) -> PairPage {
        var page = PairPage()
        if range.isEmpty { return page }
        var position = family.lowerBound(of: range.start)
        let end = family.upperBound(of: range)
        var bytes = 0
        while position != end {
            let key = family.key(at: position)
            let value = encoded(family.value(at: position))
            bytes += key.count + value.count
            if limits.isExceeded(pairs: page.pairs.count + 1, bytes: bytes) {
                page.resumeKey = key
                break
            }
            page.pairs.append((key, value))
            position = family.position(after: position)
        }
        return page
    }

    private mutating func insert(_ version: Version, of key: KeyBytes) {
        data.update(key, initial: []) { versions in
            let index = Self.countAtOrBelow(version.timestamp, in: versions)
            if index > 0, versions[index - 1].timestamp == version.timestamp {
                versions[index - 1] = version
            } else {
                versions.insert(version, at: index)
            }
        }
    }

    /// Not for intents, which are no plain values.
    private mutating func withFamily(
        _ family: PlainFamily, _ change: (inout SortedBytesMap<[UInt8]>) -> Void
    ) {
        switch family {
        case .locks: invariantFailed("decoding refuses plain values among intents")
        case .transactions: change(&transactions)
        case .local: change(&local)
        }
    }

    static func countAtOrBelow(_ timestamp: Timestamp, in versions: [Version]) -> Int {
        var low = 0
        var high = versions.count
        while low < high {
            let middle = (low + high) / 2
            if versions[middle].timestamp <= timestamp { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
