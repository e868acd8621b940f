import SteleBase
import SteleClock
import SteleEngine

/// What an engine is supposed to hold, kept in the most obvious way there is.
struct NaiveModel {
    private var data: [KeyBytes: [Version]] = [:]
    private var plain: [PlainFamily: [[UInt8]: [UInt8]]] = [:]

    var keyCount: Int { data.count }

    mutating func put(_ key: KeyBytes, _ version: Version) {
        var versions = data[key, default: []].filter { $0.timestamp != version.timestamp }
        versions.append(version)
        data[key] = versions.sorted { $0.timestamp > $1.timestamp }
    }

    mutating func put(_ key: [UInt8], _ value: [UInt8]?, in family: PlainFamily) {
        plain[family, default: [:]][key] = value
    }

    mutating func clear(_ range: KeyRange) { data = data.filter { !range.contains($0.key) } }

    func newestVersion(of key: KeyBytes, at timestamp: Timestamp) -> Version? {
        data[key]?.first { $0.timestamp <= timestamp }
    }

    func versions(of key: KeyBytes, above timestamp: Timestamp, limit: Int) -> [Version] {
        Array((data[key] ?? []).filter { $0.timestamp > timestamp }.prefix(limit))
    }

    private func keys(in range: KeyRange) -> [KeyBytes] {
        if range.isEmpty { return [] }
        return data.keys.filter { range.contains($0) }.sorted { $0.precedes($1) }
    }

    func rows(_ range: KeyRange, at timestamp: Timestamp, reverse: Bool) -> [PlainRow] {
        let rows = keys(in: range).compactMap { key -> PlainRow? in
            guard let version = newestVersion(of: key, at: timestamp), let value = version.value
            else { return nil }
            return PlainRow(key: key, value: value, timestamp: version.timestamp)
        }
        return reverse ? rows.reversed() : rows
    }

    func firstChange(in range: KeyRange, above timestamp: Timestamp) -> KeyBytes? {
        keys(in: range).first { !versions(of: $0, above: timestamp, limit: 1).isEmpty }
    }

    func value(of key: [UInt8], in family: PlainFamily) -> [UInt8]? { plain[family]?[key] }

    func pairs(of range: KeyRange, in family: PlainFamily) -> [PlainPair] {
        if range.isEmpty { return [] }
        return (plain[family] ?? [:]).filter { range.contains($0.key) }
            .sorted { $0.key.precedes($1.key) }
            .map { PlainPair(key: $0.key, value: $0.value) }
    }
    func page(
        of range: KeyRange, in family: PlainFamily, limits: PairLimits
    ) -> (pairs: [PlainPair], resumeKey: [UInt8]?) {
        let all = pairs(of: range, in: family)
        var count = min(all.count, 1)
        while count < all.count, count < limits.pairs,
            all[...count].reduce(0, { $0 + $1.key.count + $1.value.count }) <= limits.bytes
        {
            count += 1
        }
        return (Array(all[..<count]), count < all.count ? all[count].key : nil)
    }
}
