import SteleAPI
import SteleBase
import SteleTablet

/// What a transaction has written and not committed: the newest write of each key.
///
/// Writes are kept in the order in which they came, so that a savepoint is a position; the order of
/// keys, which scans and the commit need, is made when it is asked for.
///
/// Invariant: the first `run` writes are of ascending keys, each once, so that a bulk load in order
/// finds them without a table; `newest` has the keys of the others.
struct WriteBuffer {
    private struct Entry {
        var key: KeyBytes
        var value: [UInt8]?
        /// The position of the key's write before.
        var earlier: Int?

        var bytes: Int { key.count + (value?.count ?? 0) }
    }

    private var entries: [Entry] = []
    /// How many of the first are a run of ascending keys.
    private var run = 0
    /// The position of each key's newest write, of those that were written after the run.
    private var newest = KeyTable<Int>()
    /// How many different keys were written.
    private var keyCount = 0
    /// All keys in order, each once; nil while the order is unknown.
    private var sortedKeys: [KeyBytes]? = []
    /// Bytes of all keys and values in `entries`.
    private(set) var bytes = 0

    var isEmpty: Bool { entries.isEmpty }

    var position: Int { entries.count }

    mutating func write(_ key: KeyBytes, _ value: [UInt8]?) {
        var earlier: Int?
        if run == entries.count, entries.last?.key.precedes(key) ?? true {
            run += 1
        } else {
            earlier =
                newest.updateValue(entries.count, forKey: DictionaryKey(key)) ?? placeInRun(of: key)
        }
        if earlier == nil {
            keyCount += 1
            // Keys that come in order, as in a bulk load, need no sorting.
            if let last = sortedKeys?.last, !last.precedes(key) { sortedKeys = nil }
            sortedKeys?.append(key)
        }
        let entry = Entry(key: key, value: value, earlier: earlier)
        entries.append(entry)
        bytes += entry.bytes
    }

    private func placeInRun(of key: KeyBytes) -> Int? {
        let place = entries[..<run].partitionPoint { $0.key.precedes(key) }
        return place < run && entries[place].key == key ? place : nil
    }

    /// The position of the newest write of `key`.
    private func place(of key: KeyBytes) -> Int? {
        if run < entries.count, let place = newest[DictionaryKey(key)] { return place }
        return placeInRun(of: key)
    }

    /// The buffered write of `key`: outer nil if there is none, inner nil if it is a deletion.
    func value(of key: KeyBytes) -> [UInt8]?? {
        guard let position = place(of: key) else { return nil }
        return .some(entries[position].value)
    }

    /// The same, of the first so many writes.
    func value(of key: KeyBytes, upTo position: Int) -> [UInt8]?? {
        var place = place(of: key)
        while let later = place, later >= position { place = entries[later].earlier }
        return place.map { entries[$0].value }
    }

    /// The keys of a range that were written, in ascending order.
    mutating func writes(in range: KeyRange) -> ArraySlice<KeyBytes> {
        let keys = sorted()
        let start = keys.partitionPoint { $0.precedes(range.start) }
        let end = range.end.isEmpty ? keys.count : keys.partitionPoint { $0.precedes(range.end) }
        return keys[start..<max(start, end)]
    }

    /// The newest write of each key, by ascending key.
    func allWrites() -> [TabletRequest.CommitRequest.Write] {
        positionsByKey().map { position in
            TabletRequest.CommitRequest.Write(
                key: entries[position].key, value: entries[position].value)
        }
    }

    /// The same for very many, with a pause now and then.
    func allWritesInSlices() async -> [TabletRequest.CommitRequest.Write] {
        guard entries.count > Slices.slice else { return allWrites() }
        var positions = Array(entries.indices)
        if sortedKeys == nil || keyCount < entries.count {
            positions = await Slices.sorted(
                positions, by: { entries[$0].key.precedes(entries[$1].key) })
        }
        var writes: [TabletRequest.CommitRequest.Write] = []
        writes.reserveCapacity(keyCount)
        for (place, position) in positions.enumerated() {
            let entry = entries[position]
            // Of equal keys the newest stands last, since the sort is stable.
            if writes.last?.key == entry.key { writes.removeLast() }
            writes.append(.init(key: entry.key, value: entry.value))
            if place % Slices.slice == Slices.slice - 1 { await Task.yield() }
        }
        return writes
    }

    /// Whether to put the keys in order takes long.
    var isLongUnsorted: Bool { sortedKeys == nil && entries.count > Slices.slice }

    /// All keys in order, each once, with a pause now and then.
    func keysInSlices() async -> [KeyBytes] {
        let positions = await Slices.sorted(
            Array(entries.indices), by: { entries[$0].key.precedes(entries[$1].key) })
        var keys: [KeyBytes] = []
        keys.reserveCapacity(keyCount)
        for (place, position) in positions.enumerated() {
            let key = entries[position].key
            if keys.last != key { keys.append(key) }
            if place % Slices.slice == Slices.slice - 1 { await Task.yield() }
        }
        return keys
    }

    /// Takes over the order of the keys of the first so many writes, if there are no others.
    mutating func adopt(_ keys: [KeyBytes], ofFirst position: Int) {
        if entries.count == position, keys.count == keyCount { sortedKeys = keys }
    }

    /// Lets go of everything, of very many writes some at a time.
    mutating func discard() async {
        sortedKeys = nil
        while entries.count > Slices.slice {
            for entry in entries[max(run, entries.count - Slices.slice)...] {
                newest.removeValue(forKey: DictionaryKey(entry.key))
            }
            entries.removeLast(Slices.slice)
            run = min(run, entries.count)
            await Task.yield()
        }
        self = WriteBuffer()
    }

    /// Takes back what was written since, at the cost of that alone.
    mutating func rollback(to position: Int) {
        while entries.count > max(position, 0) {
            let entry = entries.removeLast()
            bytes -= entry.bytes
            if entries.count < run {
                run = entries.count
            } else {
                newest[DictionaryKey(entry.key)] = entry.earlier.flatMap { $0 < run ? nil : $0 }
            }
            guard entry.earlier == nil else { continue }
            keyCount -= 1
            sortedKeys = nil
        }
    }

    private mutating func sorted() -> [KeyBytes] {
        if let sortedKeys { return sortedKeys }
        let keys = positionsByKey().map { entries[$0].key }
        sortedKeys = keys
        return keys
    }

    /// The positions of the newest write of each key, by ascending key.
    ///
    /// Entries are sorted as they came, since most come in long ascending runs, and the sort is
    /// stable: of equal keys the newest stands last.
    private func positionsByKey() -> [Int] {
        var positions = Array(entries.indices)
        positions.sort { entries[$0].key.precedes(entries[$1].key) }
        guard keyCount < entries.count else { return positions }
        var kept = 0
        for position in positions {
            if kept > 0, entries[positions[kept - 1]].key == entries[position].key { kept -= 1 }
            positions[kept] = position
            kept += 1
        }
        positions.removeLast(positions.count - kept)
        return positions
    }
}
