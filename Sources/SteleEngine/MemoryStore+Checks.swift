import SteleBase
import SteleClock

extension MemoryStore {
    /// Refuses what the invariant of ``Watermark`` is against. It is about what a mutation finds, so
    /// each one is checked just before it is applied.
    func check(_ mutation: Mutation) throws(EngineError) {
        switch mutation {
        case .putVersion(let key, _, let timestamp, _), .deleteVersion(let key, let timestamp, _):
            try check(Array(key), timestamp)
        case .resolveIntent(let key, let transaction, let timestamp):
            // Where there is no such intent, nothing is written.
            let key = Array(key)
            guard locks[key]?.owner.transaction == transaction else { return }
            try check(key, timestamp)
        case .putPlain, .deletePlain, .clearRange, .putIntent, .removeIntent, .clearPlain,
            .dropVersions, .raiseWatermark:
            return
        }
    }

    private func check(_ key: KeyBytes, _ timestamp: Timestamp) throws(EngineError) {
        let watermark = watermarks.count == 0 ? .zero : watermark(in: KeyRange(key: key))
        if watermark > .zero, timestamp <= watermark {
            throw EngineError(
                .invalidArgument,
                "a version at \(timestamp.rawValue) is not above the watermark "
                    + "\(watermark.rawValue) of garbage collection")
        }
        if let newest = cleared[key], timestamp <= newest {
            throw EngineError(
                .invalidArgument, "a version is not newer than one that was cleared")
        }
    }

    /// Drops all versions of a range, and remembers the newest of each key.
    mutating func clear(_ range: KeyRange) {
        if range.isEmpty { return }
        var position = data.lowerBound(of: range.start)
        let end = data.upperBound(of: range)
        while position != end {
            if let newest = data.value(at: position).last?.timestamp {
                cleared.update(data.key(at: position), initial: newest) { $0 = max($0, newest) }
            }
            position = data.position(after: position)
        }
        data.removeAll(in: range)
    }

    /// Forgets cleared versions that are not above a watermark, which keeps writes away by itself.
    mutating func forgetCleared(_ watermark: Watermark) {
        if watermark.range.isEmpty || cleared.count == 0 { return }
        var position = cleared.lowerBound(of: watermark.range.start)
        let end = cleared.upperBound(of: watermark.range)
        var keys: [KeyBytes] = []
        while position != end {
            if cleared.value(at: position) <= watermark.timestamp {
                keys.append(cleared.key(at: position))
            }
            position = cleared.position(after: position)
        }
        for key in keys { cleared.remove(key) }
    }
}
