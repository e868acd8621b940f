import SteleBase
import SteleClock

/// What a ``MemoryEngine`` holds at one moment: a value, so that keeping an image is a copy.
///
/// Invariant: the versions of a key ascend strictly by timestamp, and there is at least one.
struct MemoryStore: Sendable {
    private var data = SortedBytesMap<[Version]>()
    private var locks = SortedBytesMap<[UInt8]>()
    private var transactions = SortedBytesMap<[UInt8]>()
    private var local = SortedBytesMap<[UInt8]>()

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
        case .clearRange(let start, let end):
            data.removeAll(in: KeyRange(start: Array(start), end: Array(end)))
        }
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

    func newestVersion(of key: KeyBytes, at timestamp: Timestamp) -> Version? {
        guard let versions = data[key] else { return nil }
        let index = Self.countAtOrBelow(timestamp, in: versions)
        return index == 0 ? nil : versions[index - 1]
    }

    func versions(of key: KeyBytes, above timestamp: Timestamp, limit: Int) -> [Version] {
        guard let versions = data[key] else { return [] }
        let first = Self.countAtOrBelow(timestamp, in: versions)
        return Array(versions[first...].reversed().prefix(max(limit, 0)))
    }

    func scan(
        _ range: KeyRange, at timestamp: Timestamp, limits: ScanLimits, reverse: Bool,
        into page: inout ScanPage
    ) {
        page.resumeKey = nil
        if range.isEmpty { return }
        let first = data.lowerBound(of: range.start)
        let end = data.upperBound(of: range)
        let size = (rows: page.count, bytes: page.bytes.count)
        var position = reverse ? end : first
        while position != (reverse ? first : end) {
            if reverse, let before = data.position(before: position) { position = before }
            let key = data.key(at: position)
            let rows = page.count - size.rows
            if rows >= max(limits.rows, 1) {
                page.resumeKey = key
                return
            }
            let versions = data.value(at: position)
            let index = Self.countAtOrBelow(timestamp, in: versions)
            if index > 0, let value = versions[index - 1].value {
                let bytes = ScanPage.rowHeaderBytes + key.count + value.count
                if rows > 0, page.bytes.count - size.bytes + bytes > limits.bytes {
                    page.resumeKey = key
                    return
                }
                page.append(key: key, value: value, timestamp: versions[index - 1].timestamp)
            }
            if !reverse { position = data.position(after: position) }
        }
    }

    func firstChange(in range: KeyRange, above timestamp: Timestamp) -> KeyBytes? {
        if range.isEmpty { return nil }
        var position = data.lowerBound(of: range.start)
        let end = data.upperBound(of: range)
        while position != end {
            if let newest = data.value(at: position).last, newest.timestamp > timestamp {
                return data.key(at: position)
            }
            position = data.position(after: position)
        }
        return nil
    }

    func value(of key: [UInt8], in family: PlainFamily) -> [UInt8]? {
        self.family(family)[key]
    }

    func pairs(of range: KeyRange, in family: PlainFamily) -> [(key: [UInt8], value: [UInt8])] {
        if range.isEmpty { return [] }
        let family = self.family(family)
        var position = family.lowerBound(of: range.start)
        let end = family.upperBound(of: range)
        var pairs: [(key: [UInt8], value: [UInt8])] = []
        while position != end {
            pairs.append((family.key(at: position), family.value(at: position)))
            position = family.position(after: position)
        }
        return pairs
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

    private func family(_ family: PlainFamily) -> SortedBytesMap<[UInt8]> {
        switch family {
        case .locks: locks
        case .transactions: transactions
        case .local: local
        }
    }

    private mutating func withFamily(
        _ family: PlainFamily, _ change: (inout SortedBytesMap<[UInt8]>) -> Void
    ) {
        switch family {
        case .locks: change(&locks)
        case .transactions: change(&transactions)
        case .local: change(&local)
        }
    }

    private static func countAtOrBelow(_ timestamp: Timestamp, in versions: [Version]) -> Int {
        var low = 0
        var high = versions.count
        while low < high {
            let middle = (low + high) / 2
            if versions[middle].timestamp <= timestamp { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
