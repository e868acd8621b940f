import DequeModule
import SteleBase
import SteleClock
import SteleRaft

/// The commands that this leader has evaluated and not applied yet, in log order, and the latches
/// that they hold on their keys from evaluation to apply.
///
/// Invariants:
/// - At most one command in flight writes a key.
/// - Timestamps ascend with log indices.
/// - Commands are answered in log order, once they are committed, and before they are applied if
///   this replica's own disk is the slower one.
struct InFlightWrites {
    typealias Write = TabletRequest.CommitRequest.Write

    struct Command {
        var index: LogIndex
        var term: Term
        var timestamp: Timestamp
        var transaction: TransactionID
        /// Whom to tell.
        var origin: UInt64
        var keys: LatchedKeys
        /// Whether it is among the recent writes.
        var isRecent: Bool
        /// Requests to look at again once it is applied.
        var waiters: [UInt64] = []
    }

    /// What a command latches: by key in a table, or for a large one the keys of its writes, as they
    /// came with the request and in order.
    enum LatchedKeys {
        case keys([KeyBytes])
        case writes([Write])
    }

    /// A command with more keys than this is a large one.
    static let keysLatchedSingly = 256

    private var commands: Deque<Command> = []
    private var byKey: [DictionaryKey: LogIndex] = [:]
    private var large: [(writes: [Write], index: LogIndex)] = []
    /// How many of the first commands are answered.
    private var answered = 0

    var isEmpty: Bool { commands.isEmpty }
    var first: Command? { commands.first }
    /// The first command that nobody knows to be committed.
    var firstUnanswered: Command? { answered < commands.count ? commands[answered] : nil }
    var hasLarge: Bool { !large.isEmpty }
    /// How many keys are latched in the table.
    var keyCount: Int { byKey.count }
    var last: Command? { commands.last }

    mutating func append(_ command: Command) {
        switch command.keys {
        case .keys(let keys): for key in keys { byKey[DictionaryKey(key)] = command.index }
        case .writes(let writes): large.append((writes, command.index))
        }
        commands.append(command)
    }

    /// The command in flight that writes `key`, at or below `timestamp`.
    func writer(of key: KeyBytes, at timestamp: Timestamp = .max) -> LogIndex? {
        if isEmpty { return nil }
        if !byKey.isEmpty, let index = byKey[DictionaryKey(key)], isVisible(index, timestamp) {
            return index
        }
        for (writes, index) in large where isVisible(index, timestamp) {
            let place = writes.place(of: key)
            if place < writes.count, writes[place].key == key { return index }
        }
        return nil
    }

    /// A command in flight that writes within `range`, at or below `timestamp`.
    func writer(in range: KeyRange, at timestamp: Timestamp = .max) -> LogIndex? {
        for command in commands where command.timestamp <= timestamp {
            switch command.keys {
            case .keys(let keys): if keys.contains(where: range.contains) { return command.index }
            case .writes(let writes): if writes.overlap(range) { return command.index }
            }
        }
        return nil
    }

    /// The newest command in flight that writes what `writes` writes.
    ///
    /// Of two large ones it is enough that the spans of their keys overlap. A large one looks at the
    /// latched keys, of which there are few, and not at its own.
    func newestWriter(of writes: [Write]) -> LogIndex? {
        if isEmpty { return nil }
        guard writes.count > Self.keysLatchedSingly else {
            return writes.lazy.compactMap { self.writer(of: $0.key) }.max()
        }
        let span = writes.keySpan
        var newest: LogIndex?
        for (key, index) in byKey where index > newest ?? 0 && span.contains(key.bytes) {
            if writes.contains(key.bytes) { newest = index }
        }
        for other in large where other.index > newest ?? 0 && other.writes.keySpan.overlaps(span) {
            newest = other.index
        }
        return newest
    }

    /// A large command in flight whose keys meet what is asked about.
    func largeWriter(where meets: ([Write]) -> Bool) -> LogIndex? {
        large.last { meets($0.writes) }?.index
    }

    /// Whether a command of a transaction is in flight. Looks at all.
    func contains(_ transaction: TransactionID) -> Bool {
        commands.contains { $0.transaction == transaction }
    }

    /// The command that was evaluated at a timestamp, if it is in flight.
    func index(at timestamp: Timestamp) -> LogIndex? {
        var low = 0
        var high = commands.count
        while low < high {
            let middle = (low + high) / 2
            if commands[middle].timestamp < timestamp { low = middle + 1 } else { high = middle }
        }
        return low < commands.count && commands[low].timestamp == timestamp
            ? commands[low].index : nil
    }

    /// Has `ticket` looked at again after the command at `index` is applied.
    mutating func wait(for index: LogIndex, ticket: UInt64) {
        guard let place = place(of: index) else { return }
        commands[place].waiters.append(ticket)
    }

    /// Takes the next command to be answered if it stands at or below a committed index.
    mutating func nextAnswer(upTo committed: LogIndex) -> Command? {
        guard let command = firstUnanswered, command.index <= committed else { return nil }
        answered += 1
        return command
    }

    /// Removes the command at `index`, if there is one.
    mutating func remove(at index: LogIndex) -> Command? {
        guard let place = place(of: index) else { return nil }
        invariant(place < answered, "command \(index) is applied before it is answered")
        answered -= 1
        let command = commands.remove(at: place)
        switch command.keys {
        case .keys(let keys): for key in keys { byKey[DictionaryKey(key)] = nil }
        case .writes: large.removeAll { $0.index == index }
        }
        return command
    }

    /// Removes all; returns those first that were answered.
    mutating func removeAll() -> (answered: ArraySlice<Command>, others: ArraySlice<Command>) {
        defer { self = InFlightWrites() }
        let all = Array(commands)
        return (all[..<answered], all[answered...])
    }

    private func isVisible(_ index: LogIndex, _ timestamp: Timestamp) -> Bool {
        timestamp == .max || place(of: index).map { commands[$0].timestamp <= timestamp } ?? false
    }

    private func place(of index: LogIndex) -> Int? {
        guard !isEmpty else { return nil }
        var low = 0
        var high = commands.count
        while low < high {
            let middle = (low + high) / 2
            if commands[middle].index < index { low = middle + 1 } else { high = middle }
        }
        return low < commands.count && commands[low].index == index ? low : nil
    }
}

/// Writes of a commit, which are in ascending order of their keys.
extension [TabletRequest.CommitRequest.Write] {
    /// Where a key stands or would stand.
    func place(of key: KeyBytes) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if self[middle].key.precedes(key) { low = middle + 1 } else { high = middle }
        }
        return low
    }

    func contains(_ key: KeyBytes) -> Bool {
        let place = place(of: key)
        return place < count && self[place].key == key
    }

    /// Whether a key of theirs lies in a range.
    func overlap(_ range: KeyRange) -> Bool {
        let place = place(of: range.start)
        return place < count && range.contains(self[place].key)
    }

    /// Everything from the first to the last key.
    var keySpan: KeyRange {
        guard let first, let last else { return KeyRange(start: [0], end: [0]) }
        return KeyRange(start: first.key, end: last.key + [0])
    }
}
