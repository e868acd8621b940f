import SteleBase

/// Something that a session keeps until its client lets go of it.
protocol Keepable {
    /// About what it takes up.
    var keptBytes: Int { get }
}

/// What a session keeps under the names that its client gave: prepared statements, or portals.
///
/// Invariant: `bytes` is the sum over all values with a name, as large as they were when they came.
struct KeptByName<Value: Keepable> {
    private var values: [String: Value] = [:]
    private(set) var bytes = 0

    var isEmpty: Bool { values.isEmpty }

    /// In no order.
    var all: some Collection<Value> { values.values }

    subscript(name: String) -> Value? { values[name] }

    /// - Throws: 53200 if all of them would take up too much.
    mutating func keep(_ value: Value, as name: String) throws(SQLError) {
        remove(name)
        let total = bytes + Self.cost(value, name)
        guard total <= Limits.sessionBytes else {
            throw SQLError(
                "53200", "out of memory",
                detail: "The statements or portals of a session may take up "
                    + "\(Limits.sessionBytes >> 20) MiB.",
                hint: "Close those that are not needed any more.")
        }
        bytes = total
        values[name] = value
    }

    @discardableResult
    mutating func remove(_ name: String) -> Bool {
        guard let old = values.removeValue(forKey: name) else { return false }
        bytes -= Self.cost(old, name)
        return true
    }

    /// Forgets some, and returns them.
    mutating func take(where isToGo: (Value) -> Bool) -> [Value] {
        var gone: [Value] = []
        let before = exchange(&self, with: KeptByName())
        for (name, value) in before.values {
            if isToGo(value) {
                gone.append(value)
            } else {
                values[name] = value
                bytes += Self.cost(value, name)
            }
        }
        return gone
    }

    /// There is one without a name, which the next one replaces: a message bounds it.
    private static func cost(_ value: Value, _ name: String) -> Int {
        name.isEmpty ? 0 : name.utf8.count + value.keptBytes
    }
}
