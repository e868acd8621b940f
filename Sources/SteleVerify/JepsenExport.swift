/// Histories as Jepsen writes them: one EDN map a line.
///
/// Values of operations on registers are pairs `[key value]`, as in `jepsen.independent`; those of
/// transactions are lists of steps, as Elle reads them.
extension History {
    /// The lines, without line ends.
    public func ednLines() -> [String] { events.map(\.edn) }
}

extension History.Event {
    /// The event as one EDN map.
    public var edn: String {
        "{:index \(index), :time \(time), :process \(process), :type :\(type.rawValue), "
            + ":f :\(operation.function), :value \(operation.edn(isInvocation: type == .invoke))}"
    }
}

extension History.Operation {
    fileprivate var function: String {
        switch self {
        case .read: "read"
        case .write: "write"
        case .compareAndSet: "cas"
        case .transaction: "txn"
        }
    }

    fileprivate func edn(isInvocation: Bool) -> String {
        switch self {
        case .read(let key, let value): "[\(key) \(isInvocation ? "nil" : value.edn)]"
        case .write(let key, let value): "[\(key) \(value)]"
        case .compareAndSet(let key, let expected, let new): "[\(key) [\(expected.edn) \(new)]]"
        case .transaction(let steps):
            "[" + steps.map { $0.edn(isInvocation: isInvocation) }.joined(separator: " ") + "]"
        }
    }
}

extension History.Step {
    /// The step with its result.
    var edn: String { edn(isInvocation: false) }

    fileprivate func edn(isInvocation: Bool) -> String {
        switch self {
        case .append(let key, let value): return "[:append \(key) \(value)]"
        case .readList(let key, let values):
            guard !isInvocation, let values else { return "[:r \(key) nil]" }
            return "[:r \(key) [" + values.map(String.init).joined(separator: " ") + "]]"
        case .readRegister(let key, let value):
            return "[:r \(key) \(isInvocation ? "nil" : value.edn)]"
        case .write(let key, let value): return "[:w \(key) \(value)]"
        }
    }
}

extension Int? {
    fileprivate var edn: String { map(String.init) ?? "nil" }
}
