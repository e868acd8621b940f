import SteleBase

/// Where a raw scan ends before its range does. A page holds at least one pair if there is one.
package struct PairLimits: Hashable, Sendable {
    package var pairs: Int
    /// Of the keys and values.
    package var bytes: Int

    package init(pairs: Int = .max, bytes: Int = Limits.scanPageBytes) {
        self.pairs = pairs
        self.bytes = bytes
    }

    /// For ranges that are known to hold little.
    package static let none = PairLimits(bytes: .max)

    /// Whether a pair that would make it `pairs` and `bytes` is one too many.
    func isExceeded(pairs: Int, bytes: Int) -> Bool {
        pairs > 1 && (pairs > self.pairs || bytes > self.bytes)
    }
}

/// What a raw scan of a family found.
package struct PairPage: Sendable {
    package var pairs: [(key: [UInt8], value: [UInt8])] = []
    /// Where to go on when a limit ended the scan: the first key that was not read. nil when the
    /// range was finished.
    package var resumeKey: [UInt8]?

    package init() {}
}

/// The intents of a range, or of its first part.
package struct IntentPage: Sendable {
    package var intents: [(key: KeyBytes, intent: Intent)] = []
    /// As that of a ``PairPage``.
    package var resumeKey: KeyBytes?

    package init() {}
}

extension EngineReader {
    /// The intents of a key range, ascending; the limits count them as they are stored.
    package func intents(
        in range: KeyRange, limits: PairLimits
    ) throws(EngineError) -> IntentPage {
        let page = try pairs(of: range, in: .locks, limits: limits)
        var found = IntentPage()
        found.resumeKey = page.resumeKey
        found.intents.reserveCapacity(page.pairs.count)
        for pair in page.pairs {
            do throws(DecodingError) {
                found.intents.append((pair.key, try Intent(pair.value[...])))
            } catch {
                throw EngineError(
                    .corruption, "the intent at \(pair.key.keyDescription): \(error)")
            }
        }
        return found
    }
}
