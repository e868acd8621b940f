import SteleBase

/// How much of a log lies behind an index: the bytes of its entries, remembered in steps.
///
/// It costs 16 bytes for each step, however many entries that is. What it tells is exact to within
/// one step and one entry, and never too little.
package struct LogSizes: Sendable {
    private struct Mark {
        var index: LogIndex
        /// What all entries through `index` took up, of those that were ever appended.
        var total: Int
    }

    /// Bytes between two marks, at least.
    package var step: Int
    /// Ascending.
    private var marks: [Mark] = []
    /// The total before the first entry that is kept.
    private var base = 0
    private var total = 0

    package init(step: Int = 64 << 10) { self.step = step }

    /// What an entry is counted as: its payload, and what goes with it on disk.
    package static func weight(payloadBytes: Int) -> Int { payloadBytes + 32 }

    /// The bytes of all entries.
    package var bytes: Int { total - base }

    /// Counts the next entry.
    package mutating func append(_ index: LogIndex, payloadBytes: Int) {
        total += Self.weight(payloadBytes: payloadBytes)
        if total - (marks.last?.total ?? base) >= step {
            marks.append(Mark(index: index, total: total))
        }
    }

    /// The entries from `index` on are gone, as far as known so many bytes.
    package mutating func truncate(from index: LogIndex, bytes: Int) {
        while let mark = marks.last, mark.index >= index { marks.removeLast() }
        total = max(total - bytes, marks.last?.total ?? base)
    }

    /// The entries through `index` are gone.
    package mutating func compact(through index: LogIndex) {
        let gone = count(through: index)
        guard gone > 0 else { return }
        base = marks[gone - 1].total
        marks.removeFirst(gone)
    }

    /// The bytes of the entries behind `index`.
    package func bytes(after index: LogIndex) -> Int {
        let before = count(through: index)
        return total - (before == 0 ? base : marks[before - 1].total)
    }

    /// The lowest known index behind which the entries take up no more than `budget`; 0 if all do.
    package func cut(leaving budget: Int) -> LogIndex {
        if bytes <= budget { return 0 }
        var low = 0
        var high = marks.count
        while low < high {
            let middle = (low + high) / 2
            if total - marks[middle].total > budget { low = middle + 1 } else { high = middle }
        }
        return low < marks.count ? marks[low].index : marks.last?.index ?? 0
    }

    /// How many marks stand at or before `index`.
    private func count(through index: LogIndex) -> Int {
        var low = 0
        var high = marks.count
        while low < high {
            let middle = (low + high) / 2
            if marks[middle].index <= index { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
