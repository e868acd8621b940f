import SteleBase
import SteleClock
import SteleEngine

/// A naive model of a store over a fixed set of keys, by number, so that it is quick in debug too.
struct IndexedModel {
    struct Version {
        var timestamp: UInt64
        var transaction: UInt64
        /// A number of ``values``; nil is a deletion.
        var value: Int?
    }

    struct Intent {
        var transaction: UInt64
        var timestamp: UInt64
        var value: Int?

        var owner: IntentOwner {
            IntentOwner(
                transaction: TransactionID(transaction), timestamp: time(timestamp), sequence: 1,
                anchor: IndexedModel.anchor)
        }
        var encoded: SteleEngine.Intent {
            SteleEngine.Intent(owner: owner, value: value.map { IndexedModel.values[$0] })
        }
    }

    enum Found {
        case none
        case value(Version)
        case deletion(Version)
        case conflict(ReadConflict)
    }

    private static let anchor = key("anchor")

    /// Sorted; some are prefixes of others, or end in the bytes that bounds are made of.
    static let keys: [KeyBytes] = {
        let alphabet: [UInt8] = [0, 1, 0x61, 0xFE, 0xFF]
        var keys: [KeyBytes] = [[]]
        for a in alphabet {
            keys.append([a])
            for b in alphabet {
                keys.append([a, b])
                for c in alphabet { keys += [[a, b, c], [a, b, c, 0, 0, 0, 0, 0, 0, 0, 0, c]] }
            }
        }
        return keys.sorted { $0.precedes($1) }
    }()

    static let values: [[UInt8]] = (0..<32).map {
        [UInt8](repeating: UInt8($0), count: $0 == 31 ? 3000 : $0 * 2)
    }

    /// The second begins in the middle of the first.
    static let tablets = [
        KeyRange(start: [], end: keys[keys.count / 2]),
        KeyRange(start: keys[keys.count / 3], end: []),
    ]
    static let bounds = [0..<keys.count / 2, keys.count / 3..<keys.count]

    /// Newest last.
    private var versions = [[Version]](repeating: [], count: keys.count)
    var intents = [Intent?](repeating: nil, count: keys.count)
    /// The newest version of each key that a clear dropped.
    private var cleared = [UInt64](repeating: 0, count: keys.count)
    private var watermarks: [UInt64] = [0, 0]
    /// Up to where the log of each replica is applied.
    var applied: [TabletID: UInt64] = [:]
    /// Watermarks follow it, and writes go up to some way above it.
    private var now: UInt64 = 20

    // MARK: Choices

    func value(_ random: inout SeededRandom) -> Int { Int(random.below(32)) }

    /// Nothing is written at or below a watermark, nor below versions that were cleared.
    func writeTime(_ key: Int, _ random: inout SeededRandom) -> UInt64 {
        let low = max(watermark(of: key), cleared[key])
        return low + 1 + random.below(max(now + 20, low + 20) - low)
    }

    func readTime(_ random: inout SeededRandom) -> UInt64 {
        let low = greatestWatermark
        return low + random.below(now + 25 - low) &- (low > 5 && random.oneIn(20) ? 5 : 0)
    }

    var greatestWatermark: UInt64 { max(watermarks[0], watermarks[1]) }

    func watermark(of key: Int) -> UInt64 {
        var greatest: UInt64 = 0
        for tablet in 0..<2 where Self.bounds[tablet].contains(key) {
            greatest = max(greatest, watermarks[tablet])
        }
        return greatest
    }

    // MARK: Changes

    mutating func put(_ key: Int, _ timestamp: UInt64, _ transaction: UInt64, _ value: Int?) {
        let version = Version(timestamp: timestamp, transaction: transaction, value: value)
        var index = versions[key].count
        while index > 0, versions[key][index - 1].timestamp > timestamp { index -= 1 }
        if index > 0, versions[key][index - 1].timestamp == timestamp {
            versions[key][index - 1] = version
        } else {
            versions[key].insert(version, at: index)
        }
    }

    mutating func remove(_ key: Int, _ transaction: UInt64) {
        if intents[key]?.transaction == transaction { intents[key] = nil }
    }

    mutating func resolve(_ key: Int, _ transaction: UInt64, _ timestamp: UInt64) {
        guard let intent = intents[key], intent.transaction == transaction else { return }
        intents[key] = nil
        put(key, timestamp, transaction, intent.value)
    }

    mutating func drop(_ key: Int, upTo timestamp: UInt64) {
        versions[key].removeAll { $0.timestamp <= timestamp }
    }

    mutating func clear(_ range: Range<Int>) {
        for key in range {
            cleared[key] = max(cleared[key], versions[key].last?.timestamp ?? 0)
            versions[key] = []
        }
    }

    mutating func clearIntents(_ range: Range<Int>) { for key in range { intents[key] = nil } }

    mutating func raise(_ tablet: Int, by step: UInt64) -> UInt64 {
        watermarks[tablet] += step
        now = max(now, greatestWatermark + 20)
        let watermark = watermarks[tablet]
        for key in Self.bounds[tablet] {
            let old = versions[key].filter { $0.timestamp <= watermark }.dropLast().count
            versions[key].removeFirst(old)
        }
        return watermark
    }

    /// Takes out all that a replica has; a tablet, if it is one of ``tablets``, loses its watermark.
    mutating func remove(_ id: TabletID, _ range: Range<Int>) {
        clear(range)
        clearIntents(range)
        applied[id] = nil
        if Self.tablets.indices.contains(Int(id.rawValue)) { watermarks[Int(id.rawValue)] = 0 }
    }

    /// Puts back what another model has there; what was cleared since stays so.
    mutating func restore(_ id: TabletID, _ range: Range<Int>, from other: IndexedModel) {
        for key in range {
            versions[key] = other.versions[key]
            intents[key] = other.intents[key]
        }
        applied[id] = other.applied[id]
        if Self.tablets.indices.contains(Int(id.rawValue)) {
            watermarks[Int(id.rawValue)] = other.watermarks[Int(id.rawValue)]
        }
    }

    // MARK: Reads

    func read(_ key: Int, at point: ReadPoint) -> Found {
        let transaction = point.transaction.rawValue
        if let intent = intents[key] {
            if transaction != 0, intent.transaction == transaction {
                let version = Version(
                    timestamp: intent.timestamp, transaction: transaction, value: intent.value)
                return version.value == nil ? .deletion(version) : .value(version)
            }
            if intent.timestamp <= point.newest.rawValue { return .conflict(.intent(intent.owner)) }
        }
        guard let version = versions[key].last(where: { $0.timestamp <= point.newest.rawValue })
        else { return .none }
        if version.timestamp > point.timestamp.rawValue {
            return .conflict(.uncertain(time(version.timestamp)))
        }
        return version.value == nil ? .deletion(version) : .value(version)
    }

    func scan(
        _ range: Range<Int>, at point: ReadPoint, limits: ScanLimits, reverse: Bool
    ) -> ScanPage {
        var page = ScanPage()
        var visited = 0
        for offset in 0..<range.count {
            let key = reverse ? range.upperBound - 1 - offset : range.lowerBound + offset
            if versions[key].isEmpty && intents[key] == nil { continue }
            if page.count >= max(limits.rows, 1) || visited >= max(limits.keys, 1) {
                page.resumeKey = page.conflicts.first?.key ?? Self.keys[key]
                return page
            }
            visited += 1
            switch read(key, at: point) {
            case .none, .deletion: break
            case .conflict(let conflict):
                page.conflicts.append((Self.keys[key], conflict))
                page.resumeKey = page.conflicts[0].key
                if page.conflicts.count >= max(limits.conflicts, 1) { return page }
            case .value(let version):
                guard page.conflicts.isEmpty else { continue }
                let value = Self.values[version.value ?? 0]
                let size = 16 + Self.keys[key].count + value.count
                if page.count > 0, page.bytes.count + size > limits.bytes {
                    page.resumeKey = Self.keys[key]
                    return page
                }
                page.append(key: Self.keys[key], value: value, timestamp: time(version.timestamp))
            }
        }
        return page
    }
}

extension IndexedModel.Found {
    var outcome: ReadOutcome {
        switch self {
        case .none: .none
        case .value(let version):
            .value(
                timestamp: time(version.timestamp),
                transaction: TransactionID(version.transaction),
                count: IndexedModel.values[version.value ?? 0].count)
        case .deletion(let version):
            .deletion(
                timestamp: time(version.timestamp),
                transaction: TransactionID(version.transaction))
        case .conflict(let conflict): .conflict(conflict)
        }
    }
}
