import DequeModule
import SteleBase
import SteleClock

/// The keys that this leader wrote last and when, so that a commit can tell without the engine
/// whether something that it read has changed, and whether it was carried out before.
///
/// A new leader starts with none, at a low-water mark above everything that its predecessors wrote.
/// Commands with very many keys are not kept: applying one raises the low-water mark to it.
///
/// Invariants:
/// - Every write above `lowWater` that this leader evaluated, and that is not among the large ones
///   still in flight, is here. Nothing of it was written by anybody else.
/// - Timestamps ascend. Nothing in flight is forgotten, so `lowWater` is below all that is.
package struct RecentWrites: Sendable {
    package struct Command: Sendable {
        package let timestamp: Timestamp
        let transaction: TransactionID
        package let keys: [KeyBytes]
        /// How many keys all commands before it had, ever.
        fileprivate let keysBefore: Int
        fileprivate let bytes: Int
    }

    private var commands: Deque<Command> = []
    /// When each key of `commands` was written last.
    private var newest: [DictionaryKey: Timestamp] = [:]
    private var timestamps: [TransactionID: Timestamp] = [:]
    /// What lies at or below this may be missing.
    package private(set) var lowWater: Timestamp
    private var bytes = 0
    private var keysAdded = 0
    private let byteLimit: Int

    /// What a command and each of its keys take up besides the bytes of the keys.
    private static let commandCost = 160
    private static let keyCost = 96

    package init(lowWater: Timestamp = .max, byteLimit: Int = Limits.recentWriteBytes) {
        self.lowWater = lowWater
        self.byteLimit = byteLimit
    }

    /// Whether a command with so many keys is kept at all.
    static func keeps(keys: Int) -> Bool { keys <= 4_096 }

    package var count: Int { commands.count }

    package subscript(place: Int) -> Command { commands[place] }

    /// Everything was seen that was evaluated up to here.
    package var newestTimestamp: Timestamp { max(commands.last?.timestamp ?? .zero, lowWater) }

    /// Adds a command that was evaluated.
    ///
    /// - Parameter settled: everything at or below this is applied, and may be forgotten.
    package mutating func append(
        _ keys: [KeyBytes], by transaction: TransactionID, at timestamp: Timestamp,
        settled: Timestamp
    ) {
        invariant(timestamp > newestTimestamp, "\(timestamp) is not later than what was written")
        let cost = keys.reduce(Self.commandCost) { $0 + Self.keyCost + $1.count }
        commands.append(
            Command(
                timestamp: timestamp, transaction: transaction, keys: keys, keysBefore: keysAdded,
                bytes: cost))
        for key in keys { newest[DictionaryKey(key)] = timestamp }
        timestamps[transaction] = timestamp
        keysAdded += keys.count
        bytes += cost
        var limit = byteLimit
        if faultPoint("tablet: few recent writes are kept") { limit = 0 }
        while bytes > limit, let first = commands.first, first.timestamp <= settled {
            forgetFirst()
        }
    }

    /// Forgets everything up to a timestamp, at which a command was applied that is not kept, or
    /// which nobody is likely to ask for any more. Nothing up to there is in flight.
    package mutating func forget(upTo timestamp: Timestamp) {
        while let first = commands.first, first.timestamp <= timestamp { forgetFirst() }
        lowWater = max(lowWater, timestamp)
    }

    private mutating func forgetFirst() {
        let command = commands.removeFirst()
        lowWater = command.timestamp
        bytes -= command.bytes
        timestamps[command.transaction] = nil
        for key in command.keys {
            let key = DictionaryKey(key)
            if newest[key] == command.timestamp { newest[key] = nil }
        }
    }

    /// When a key was written last; nil if it was not written above `lowWater`.
    package func newestWrite(of key: KeyBytes) -> Timestamp? { newest[DictionaryKey(key)] }

    /// When a transaction was committed; nil if it was not above `lowWater`.
    package func timestamp(of transaction: TransactionID) -> Timestamp? { timestamps[transaction] }

    /// The place of the first command above a timestamp; `count` if there is none.
    package func place(above timestamp: Timestamp) -> Int {
        var low = 0
        var high = commands.count
        while low < high {
            let middle = (low + high) / 2
            if commands[middle].timestamp <= timestamp { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// How many keys the commands from a place on have together.
    package func keyCount(from place: Int) -> Int {
        place == commands.count ? 0 : keysAdded - commands[place].keysBefore
    }
}
