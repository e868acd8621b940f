import SteleAPI
import SteleBase
import SteleWire

extension DatabaseVerb {
    /// About what the request holds until it is answered. The bare end of a transaction counts as
    /// nothing, because it lets go of more.
    var heldBytes: Int {
        switch self {
        case .get(let key), .delete(let key), .increment(let key, _): Self.cost(key)
        case .put(let key, let value): Self.cost(key) + value.count
        case .scan(let scan): scan.heldBytes
        case .compareAndSet(let key, let expected, let new):
            Self.cost(key) + (expected?.count ?? 0) + (new?.count ?? 0)
        case .transaction(let step): step.heldBytes
        }
    }

    /// An array, and what was made of it.
    fileprivate static func cost(_ key: KeyBytes) -> Int { 64 + key.count }
}

extension ScanRequest {
    fileprivate var heldBytes: Int { 128 + range.start.count + range.end.count }
}

extension TransactionStep {
    fileprivate var heldBytes: Int {
        let bytes = effects.reduce(0) { sum, effect in
            switch effect {
            case .write(let key, let value), .expect(let key, let value):
                sum + DatabaseVerb.cost(key) + (value?.count ?? 0)
            case .beginStatement, .savepoint, .rollbackTo: sum + 64
            }
        }
        return switch action {
        case .none, .commit, .rollback: bytes
        case .get(let keys): keys.reduce(bytes) { $0 + DatabaseVerb.cost($1) }
        case .scan(let scan): bytes + scan.heldBytes
        case .lock(let keys, _, _, let others):
            others.reduce(keys.reduce(bytes) { $0 + DatabaseVerb.cost($1) }) {
                $0 + DatabaseVerb.cost($1)
            }
        }
    }
}
