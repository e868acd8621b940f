import SteleBase
import SteleClock

extension MemoryStore {
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

    func firstChange(
        in range: KeyRange, above timestamp: Timestamp, keys: Int
    ) -> ChangeSearch {
        var search = ChangeSearch()
        if range.isEmpty { return search }
        var position = data.lowerBound(of: range.start)
        let end = data.upperBound(of: range)
        while position != end {
            if search.visited == max(keys, 1) {
                search.resumeKey = data.key(at: position)
                return search
            }
            search.visited += 1
            if let newest = data.value(at: position).last, newest.timestamp > timestamp {
                search.changedKey = data.key(at: position)
                return search
            }
            position = data.position(after: position)
        }
        return search
    }

    func obsoleteDeletions(
        in range: KeyRange, upTo timestamp: Timestamp, keys: Int
    ) -> ObsoleteDeletions {
        var found = ObsoleteDeletions()
        if range.isEmpty { return found }
        var position = data.lowerBound(of: range.start)
        let end = data.upperBound(of: range)
        var visited = 0
        while position != end {
            if visited == max(keys, 1) {
                found.resumeKey = data.key(at: position)
                return found
            }
            visited += 1
            if let newest = data.value(at: position).last, newest.value == nil,
                newest.timestamp <= timestamp
            {
                found.deletions.append(
                    .init(key: data.key(at: position), timestamp: newest.timestamp))
            }
            position = data.position(after: position)
        }
        return found
    }

    /// What a read at `point` sees at a key: its own intent, a conflict, or a version.
    enum Sight {
        case nothing
        case version(Version)
        case conflict(ReadConflict)
    }

    func look(_ versions: [Version]?, _ intent: Intent?, at point: ReadPoint) -> Sight {
        if let intent {
            if point.transaction != .none, intent.owner.transaction == point.transaction {
                return .version(
                    Version(
                        timestamp: intent.owner.timestamp, transaction: point.transaction,
                        value: intent.value))
            }
            if intent.owner.timestamp <= point.newest { return .conflict(.intent(intent.owner)) }
        }
        guard let versions else { return .nothing }
        let count = Self.countAtOrBelow(point.newest, in: versions)
        if count == 0 { return .nothing }
        let newest = versions[count - 1]
        return newest.timestamp > point.timestamp
            ? .conflict(.uncertain(newest.timestamp)) : .version(newest)
    }

    func read(
        _ key: KeyBytes, at point: ReadPoint, into buffer: inout [UInt8]
    ) -> ReadOutcome {
        switch look(data[key], locks[key], at: point) {
        case .nothing: return .none
        case .conflict(let conflict): return .conflict(conflict)
        case .version(let version):
            guard let value = version.value else {
                return .deletion(timestamp: version.timestamp, transaction: version.transaction)
            }
            buffer.append(contentsOf: value)
            return .value(
                timestamp: version.timestamp, transaction: version.transaction,
                count: value.count)
        }
    }

    func scan(
        _ range: KeyRange, at point: ReadPoint, limits: ScanLimits, reverse: Bool,
        into page: inout ScanPage
    ) {
        page.resumeKey = nil
        page.conflicts = []
        page.visited = 0
        if range.isEmpty { return }
        var keys = MergedKeys(data: data, locks: locks, range: range, reverse: reverse)
        var taken = (rows: 0, bytes: 0, keys: 0, keysAfterConflict: 0)
        while let next = keys.next() {
            if taken.keys >= max(limits.keys, 1) || taken.rows >= max(limits.rows, 1)
                || taken.keysAfterConflict >= ScanLimits.keysAfterConflict
            {
                page.resumeKey = page.conflicts.first?.key ?? next.key
                return
            }
            taken.keys += 1
            page.visited = taken.keys
            if !page.conflicts.isEmpty { taken.keysAfterConflict += 1 }
            switch look(next.versions, next.intent, at: point) {
            case .nothing: break
            case .conflict(let conflict):
                page.conflicts.append((next.key, conflict))
                page.resumeKey = page.conflicts[0].key
                if page.conflicts.count >= max(limits.conflicts, 1) { return }
            case .version(let version):
                guard let value = version.value, page.conflicts.isEmpty else { continue }
                let bytes = ScanPage.rowHeaderBytes + next.key.count + value.count
                if taken.rows > 0, taken.bytes + bytes > limits.bytes {
                    page.resumeKey = next.key
                    return
                }
                taken.rows += 1
                taken.bytes += bytes
                page.append(key: next.key, value: value, timestamp: version.timestamp)
            }
        }
    }
}

/// The keys of a range that have versions or an intent, in either direction.
private struct MergedKeys {
    private var versions: SortedBytesMap<[Version]>.Walk
    private var intents: SortedBytesMap<Intent>.Walk
    private let reverse: Bool

    init(
        data: SortedBytesMap<[Version]>, locks: SortedBytesMap<Intent>, range: KeyRange,
        reverse: Bool
    ) {
        versions = .init(data, range, reverse: reverse)
        intents = .init(locks, range, reverse: reverse)
        self.reverse = reverse
    }

    mutating func next() -> (key: KeyBytes, versions: [Version]?, intent: Intent?)? {
        switch (versions.current, intents.current) {
        case (nil, nil): return nil
        case (let version?, nil):
            versions.advance()
            return (version.key, version.value, nil)
        case (nil, let intent?):
            intents.advance()
            return (intent.key, nil, intent.value)
        case (let version?, let intent?):
            let order = version.key.compareBytes(intent.key)
            if order == 0 {
                versions.advance()
                intents.advance()
                return (version.key, version.value, intent.value)
            }
            if (order < 0) != reverse {
                versions.advance()
                return (version.key, version.value, nil)
            }
            intents.advance()
            return (intent.key, nil, intent.value)
        }
    }
}
