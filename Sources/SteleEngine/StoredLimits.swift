import SteleBase

/// What no key, no bound and no value may exceed, whether from a mutation list or from a snapshot.
enum StoredLimits {
    static func checkKey(_ count: Int) throws(DecodingError) {
        guard count <= Limits.storedKeyBytes else {
            throw DecodingError(LimitExceeded(.storedKeyBytes, count: count))
        }
    }

    /// The bounds of a range are no longer than keys, though no key has to lie there.
    static func check(_ range: KeyRange) throws(DecodingError) {
        try checkKey(range.start.count)
        try checkKey(range.end.count)
    }

    static func checkValue(_ count: Int) throws(DecodingError) {
        guard count <= Limits.valueBytes else {
            throw DecodingError(LimitExceeded(.valueBytes, count: count))
        }
    }

    static func check(_ intent: Intent, key count: Int) throws(DecodingError) {
        try checkKey(count)
        try checkKey(intent.owner.anchor.count)
        try checkValue(intent.value?.count ?? 0)
    }
}
