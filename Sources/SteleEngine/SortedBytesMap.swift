import SteleBase

/// An ordered map from byte strings to values: a two-level B-tree, that is a sorted array of
/// sorted chunks.
///
/// A plain sorted array would move everything behind each insertion; here that is one chunk. The
/// map is a value, and a copy shares every chunk that is not changed afterwards, which is what
/// makes a durable image of the memory engine cheap.
///
/// Invariants: no chunk is empty; keys ascend strictly within a chunk and from chunk to chunk.
struct SortedBytesMap<Value: Sendable>: Sendable {
    private struct Chunk: Sendable {
        var keys: [KeyBytes]
        var values: [Value]
    }

    /// Where a pair is; valid until the map is changed.
    struct Position: Hashable, Sendable {
        fileprivate var chunk: Int
        fileprivate var slot: Int
    }

    private static var chunkCapacity: Int { 128 }

    private var chunks: [Chunk] = []
    private(set) var count = 0

    init() {}

    var startPosition: Position { Position(chunk: 0, slot: 0) }

    /// Behind the last pair.
    var endPosition: Position { Position(chunk: chunks.count, slot: 0) }

    func key(at position: Position) -> KeyBytes { chunks[position.chunk].keys[position.slot] }

    func value(at position: Position) -> Value { chunks[position.chunk].values[position.slot] }

    /// Changes a value without moving anything.
    mutating func setValue(_ value: Value, at position: Position) {
        chunks[position.chunk].values[position.slot] = value
    }

    /// - Precondition: `position` is not the end.
    func position(after position: Position) -> Position {
        position.slot + 1 < chunks[position.chunk].keys.count
            ? Position(chunk: position.chunk, slot: position.slot + 1)
            : Position(chunk: position.chunk + 1, slot: 0)
    }

    /// nil at the start.
    func position(before position: Position) -> Position? {
        if position.slot > 0 { return Position(chunk: position.chunk, slot: position.slot - 1) }
        guard position.chunk > 0 else { return nil }
        return Position(
            chunk: position.chunk - 1, slot: chunks[position.chunk - 1].keys.count - 1)
    }

    /// The first pair whose key is not below `key`.
    func lowerBound(of key: KeyBytes) -> Position {
        let (position, _) = locate(key)
        guard position.chunk < chunks.count,
            position.slot == chunks[position.chunk].keys.count
        else { return position }
        return Position(chunk: position.chunk + 1, slot: 0)
    }

    /// The first pair that lies behind `range`, whose end may be open.
    func upperBound(of range: KeyRange) -> Position {
        range.end.isEmpty ? endPosition : lowerBound(of: range.end)
    }

    subscript(key: KeyBytes) -> Value? {
        let (position, isFound) = locate(key)
        return isFound ? value(at: position) : nil
    }

    /// Changes the value of `key` in place, inserting `initial` first where there is none.
    mutating func update(
        _ key: KeyBytes, initial: @autoclosure () -> Value, _ change: (inout Value) -> Void
    ) {
        var (position, isFound) = locate(key)
        if !isFound { position = insert(key, initial(), at: position) }
        change(&chunks[position.chunk].values[position.slot])
    }

    mutating func set(_ key: KeyBytes, _ value: Value) {
        let (position, isFound) = locate(key)
        if isFound {
            chunks[position.chunk].values[position.slot] = value
        } else {
            _ = insert(key, value, at: position)
        }
    }

    mutating func remove(_ key: KeyBytes) {
        let (position, isFound) = locate(key)
        guard isFound else { return }
        chunks[position.chunk].keys.remove(at: position.slot)
        chunks[position.chunk].values.remove(at: position.slot)
        count -= 1
        if chunks[position.chunk].keys.isEmpty { chunks.remove(at: position.chunk) }
    }

    mutating func removeAll(in range: KeyRange) {
        if range.isEmpty { return }
        let start = lowerBound(of: range.start)
        let end = upperBound(of: range)
        // From the back, so that dropping a chunk does not move those still to be visited.
        var chunk = min(end.chunk, chunks.count - 1)
        while chunk >= start.chunk, chunk >= 0 {
            let first = chunk == start.chunk ? start.slot : 0
            let last = chunk == end.chunk ? end.slot : chunks[chunk].keys.count
            count -= last - first
            if first == 0, last == chunks[chunk].keys.count {
                chunks.remove(at: chunk)
            } else if first < last {
                chunks[chunk].keys.removeSubrange(first..<last)
                chunks[chunk].values.removeSubrange(first..<last)
            }
            chunk -= 1
        }
    }

    /// Where `key` is, or else where it is to be inserted (possibly behind a chunk's last slot).
    private func locate(_ key: KeyBytes) -> (position: Position, isFound: Bool) {
        var low = 0
        var high = chunks.count
        while low < high {
            let middle = (low + high) / 2
            if key.precedes(chunks[middle].keys[0]) { high = middle } else { low = middle + 1 }
        }
        guard low > 0 else { return (startPosition, false) }
        let chunk = low - 1
        low = 0
        high = chunks[chunk].keys.count
        while low < high {
            let middle = (low + high) / 2
            let order = chunks[chunk].keys[middle].compareBytes(key)
            if order == 0 { return (Position(chunk: chunk, slot: middle), true) }
            if order < 0 { low = middle + 1 } else { high = middle }
        }
        return (Position(chunk: chunk, slot: low), false)
    }

    private mutating func insert(
        _ key: KeyBytes, _ value: Value, at position: Position
    ) -> Position {
        count += 1
        guard position.chunk < chunks.count else {
            chunks.append(Chunk(keys: [key], values: [value]))
            return position
        }
        chunks[position.chunk].keys.insert(key, at: position.slot)
        chunks[position.chunk].values.insert(value, at: position.slot)
        let size = chunks[position.chunk].keys.count
        guard size > Self.chunkCapacity else { return position }
        // Keys that arrive in order leave full chunks behind, others half-full ones.
        let isAppended = position.chunk == chunks.count - 1 && position.slot == size - 1
        let half = isAppended ? size - 1 : size / 2
        let right = Chunk(
            keys: Array(chunks[position.chunk].keys[half...]),
            values: Array(chunks[position.chunk].values[half...]))
        chunks[position.chunk].keys.removeSubrange(half...)
        chunks[position.chunk].values.removeSubrange(half...)
        chunks.insert(right, at: position.chunk + 1)
        return position.slot < half
            ? position : Position(chunk: position.chunk + 1, slot: position.slot - half)
    }
}

extension SortedBytesMap {
    /// Goes over the pairs of a range, in either direction.
    struct Walk {
        private let map: SortedBytesMap
        private var position: Position
        private let end: Position
        private let reverse: Bool

        init(_ map: SortedBytesMap, _ range: KeyRange, reverse: Bool) {
            let bounds = (map.lowerBound(of: range.start), map.upperBound(of: range))
            self.map = map
            self.reverse = reverse
            (position, end) = reverse ? (bounds.1, bounds.0) : bounds
        }

        /// The pair that comes next; nil at the end.
        var current: (key: KeyBytes, value: Value)? {
            if position == end { return nil }
            guard let at = reverse ? map.position(before: position) : position else { return nil }
            return (map.key(at: at), map.value(at: at))
        }

        /// - Precondition: ``current`` is not nil.
        mutating func advance() {
            position =
                reverse ? map.position(before: position) ?? end : map.position(after: position)
        }
    }
}
