/// Judges whether single-key operations are linearizable, key by key.
///
/// Linearizability is local (Herlihy and Wing, 1990): a history is linearizable if and only if its
/// part for each key is, so each key is searched for itself by ``LinearizationSearch``. An
/// operation of unknown outcome may take effect at any time after its invocation, or never; a failed
/// one never does; a read of unknown outcome says nothing.
public struct RegisterChecker: Sendable {
    /// What was found.
    public enum Verdict: Hashable, Sendable {
        case linearizable
        case notLinearizable(Counterexample)
        /// The search for this key was given up after too many configurations.
        case undecided(key: Int)
    }

    /// Why a history is not linearizable.
    public struct Counterexample: Hashable, Sendable, CustomStringConvertible {
        public var key: Int
        /// The operation that no order of the others can explain, in the longest order found.
        public var operation: History.Span
        /// What the register held at that point of the longest order.
        public var value: Int?

        public var description: String {
            "key \(key): \(operation.operation) of process \(operation.process) (events "
                + "\(operation.invoked)…\(operation.completed.map(String.init) ?? "∞")) cannot be "
                + "ordered; the register held \(value.map(String.init) ?? "nothing")"
        }
    }

    /// What every register holds in the beginning.
    public var initial: Int?
    /// Configurations visited per key before the search is given up.
    public var limit: Int

    public init(initial: Int? = nil, limit: Int = 2_000_000) {
        self.initial = initial
        self.limit = limit
    }

    /// The verdict on all keys; the first one, by ascending key, that is not linearizable.
    public func check(_ history: History) -> Verdict {
        var byKey: [Int: [History.Span]] = [:]
        for span in history.spans() {
            guard let key = span.operation.registerKey else { continue }
            if span.completed == nil, case .read = span.operation { continue }
            byKey[key, default: []].append(span)
        }
        var undecided: Int?
        for key in byKey.keys.sorted() {
            var search = LinearizationSearch(byKey[key] ?? [], initial: initial)
            switch search.run(limit: limit) {
            case .found: break
            case .gaveUp: undecided = undecided ?? key
            case .impossible(let operation, let value):
                return .notLinearizable(
                    Counterexample(key: key, operation: operation, value: value))
            }
        }
        return undecided.map { .undecided(key: $0) } ?? .linearizable
    }
}

extension History.Operation {
    /// The key of an operation on one register.
    public var registerKey: Int? {
        switch self {
        case .read(let key, _), .write(let key, _), .compareAndSet(let key, _, _): key
        case .transaction: nil
        }
    }
}
