import SteleBase

/// Something that a session keeps until its client lets go of it.
protocol Keepable {
    /// About what it takes up.
    var keptBytes: Int { get }
}

/// What a session keeps under the names that its client gave: prepared statements, or portals.
///
/// Invariant: `bytes` is the sum over all values that have a name, as large as they were when they came.
struct KeptByName<Value: Keepable> {
    private var values: [String: Value] = [:]
    /// The one without a name, which the next one replaces: a message bounds it.
    private var unnamed: Value?
    private(set) var bytes = 0

    var isEmpty: Bool { unnamed == nil && values.isEmpty }

    /// In no order.
    var all: [Value] { values.values + (unnamed.map { [$0] } ?? []) }

    subscript(name: String) -> Value? { name.isEmpty ? unnamed : values[name] }

    /// - Throws: 53200 if all of them would take up too much.
    mutating func keep(_ value: Value, as name: String) throws(SQLError) {
        if name.isEmpty {
            unnamed = value
            return
        }
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
        if name.isEmpty {
            defer { unnamed = nil }
            return unnamed != nil
        }
        guard let old = values.removeValue(forKey: name) else { return false }
        bytes -= Self.cost(old, name)
        return true
    }

    /// Forgets some, and returns them.
    mutating func take(where isToGo: (Value) -> Bool) -> [Value] {
        var gone: [Value] = []
        let before = exchange(&self, with: KeptByName())
        if let value = before.unnamed {
            if isToGo(value) { gone.append(value) } else { unnamed = value }
        }
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

    private static func cost(_ value: Value, _ name: String) -> Int {
        name.utf8.count + value.keptBytes
    }
}
