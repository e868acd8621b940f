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
struct InFlightWrites {
    struct Command {
        var index: LogIndex
        var term: Term
        var timestamp: Timestamp
        var transaction: TransactionID
        /// Whom to tell.
        var origin: UInt64
        var keys: LatchedKeys
        /// Requests to look at again once it is applied.
        var waiters: [UInt64] = []
    }

    /// What a command latches: each key, or for a big one everything between its first and last.
    enum LatchedKeys {
        case keys([KeyBytes])
        case span(KeyRange)
    }

    /// A command with more keys than this latches the span from its first to its last.
    static let keysLatchedSingly = 256

    private var commands: Deque<Command> = []
    private var byKey: [DictionaryKey: LogIndex] = [:]
    private var spans: [(range: KeyRange, index: LogIndex)] = []

    var isEmpty: Bool { commands.isEmpty }
    var first: Command? { commands.first }

    mutating func append(_ command: Command) {
        switch command.keys {
        case .keys(let keys): for key in keys { byKey[DictionaryKey(key)] = command.index }
        case .span(let range): spans.append((range, command.index))
        }
        commands.append(command)
    }

    /// The command in flight that writes `key`, at or below `timestamp`.
    func writer(of key: KeyBytes, at timestamp: Timestamp = .max) -> LogIndex? {
        if isEmpty { return nil }
        if !byKey.isEmpty, let index = byKey[DictionaryKey(key)], isVisible(index, timestamp) { return index }
        for span in spans where span.range.contains(key) && isVisible(span.index, timestamp) {
            return span.index
        }
        return nil
    }

    /// A command in flight that writes within `range`, at or below `timestamp`.
    func writer(in range: KeyRange, at timestamp: Timestamp = .max) -> LogIndex? {
        for command in commands where command.timestamp <= timestamp {
            switch command.keys {
            case .keys(let keys): if keys.contains(where: range.contains) { return command.index }
            case .span(let span): if span.overlaps(range) { return command.index }
            }
        }
        return nil
    }

    /// Has `ticket` looked at again after the command at `index` is applied.
    mutating func wait(for index: LogIndex, ticket: UInt64) {
        guard let place = place(of: index) else { return }
        commands[place].waiters.append(ticket)
    }

    /// Removes the first command if it stands at `index`.
    mutating func remove(at index: LogIndex) -> Command? {
        guard commands.first?.index == index else { return nil }
        let command = commands.removeFirst()
        switch command.keys {
        case .keys(let keys): for key in keys { byKey[DictionaryKey(key)] = nil }
        case .span: spans.removeAll { $0.index == index }
        }
        return command
    }

    mutating func removeAll() -> [Command] {
        defer { self = InFlightWrites() }
        return Array(commands)
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
