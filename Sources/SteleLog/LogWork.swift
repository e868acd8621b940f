import Glibc
import SteleBase
import SteleRaft

/// What the log thread does: take all, encode, write, sync, report, tidy up.
///
/// All batches of a group become one record, as long as it stays small: a record is padded to
/// whole sectors, and each has its header and its checksum.
final class LogWork {
    private let writer: LogWriter
    private let queue: LogQueue
    /// Is told the first failure; nil once that has happened.
    private var onFailure: (@Sendable (LogError) -> Void)?
    private var pace = GroupPace()
    /// Beyond so many encoded bytes a group is written in pieces, to bound the buffer.
    private static let pieceBytes = 4 << 20
    /// Up to so many bytes batches share a record.
    private static let recordBytes = 256 << 10
    /// Room for so many batches is kept.
    private static let keptItems = 1024
    /// When nothing was appended for so many nanoseconds, nobody is taken to wait for upkeep.
    private static let idleNanoseconds: UInt64 = 1_000_000

    init(
        writer: LogWriter, queue: LogQueue, onFailure: @escaping @Sendable (LogError) -> Void
    ) {
        self.writer = writer
        self.queue = queue
        self.onFailure = onFailure
    }

    func run() {
        var upkeepIsDue = false
        // Used again and again, in turn with the queue's own.
        var items: [LogQueue.Item] = []
        while queue.take(
            &items, until: upkeepIsDue ? Self.now() + Self.idleNanoseconds : nil)
        {
            let isIdle = items.isEmpty
            if !isIdle {
                let start = Self.now()
                let result = commit(items)
                let end = Self.now()
                pace.committed(items.count, waiting: queue.count, nanoseconds: end - start)
                for item in items { item.completion(result) }
                // Batches are let go of at once, and memory that a rare crowd of them took.
                items.removeAll(keepingCapacity: items.count <= Self.keptItems)
            }
            upkeepIsDue = upkeep(isIdle: isIdle)
            if let failure = writer.failure { tell(failure) }
            if !isIdle { hold() }
        }
        writer.close()
    }

    private func commit(_ items: [LogQueue.Item]) -> Result<Void, LogError> {
        Result { () throws(LogError) in
            var first = 0
            while first < items.count {
                var batch = items[first].batch
                var bytes = RecordEncoder.bound(batch)
                var end = first + 1
                while end < items.count, bytes < Self.recordBytes {
                    let next = items[end].batch
                    bytes += RecordEncoder.bound(next)
                    if bytes > Self.recordBytes { break }
                    batch.parts += next.parts
                    batch.nodeRecord = next.nodeRecord ?? batch.nodeRecord
                    end += 1
                }
                try writer.encode(batch, count: end - first)
                if writer.pendingBytes >= Self.pieceBytes { try writer.write() }
                first = end
            }
            try writer.write()
            try writer.sync()
        }
    }

    private func tell(_ failure: LogError) {
        onFailure?(failure)
        onFailure = nil
    }

    /// A failure of upkeep is final too: the writer keeps it.
    private func upkeep(isIdle: Bool) -> Bool {
        do throws(LogError) { return try writer.upkeep(isIdle: isIdle) } catch { return false }
    }

    /// Lets those whose batches were just reported come back, so that they share one sync.
    private func hold() {
        guard let hold = pace.hold else { return }
        pace.held(isFull: queue.hold(for: hold.count, until: Self.now() + hold.nanoseconds))
    }

    private static func now() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}

/// Decides how long a group waits for more batches.
///
/// Callers that wait for their batch before they send the next one come back right after it was
/// reported. If the log thread took the first of them at once, the others would wait for a whole
/// sync, and every second sync would serve one caller. So as many batches as were under way at
/// the last sync are waited for, but for half of what a sync takes at most; and whenever
/// that was in vain, the next groups go at once, ever more of them.
struct GroupPace {
    /// How long a hold is at most.
    private static let longest: UInt64 = 500_000
    private var underWay = 0
    private var syncNanoseconds: UInt64 = 0
    private var groupsWithoutHold = 0
    private var penalty = 1

    /// A group was made durable, during which others began to wait.
    mutating func committed(_ count: Int, waiting: Int, nanoseconds: UInt64) {
        underWay = count + waiting
        syncNanoseconds = (3 * syncNanoseconds + min(nanoseconds, 1 << 32)) / 4
        if groupsWithoutHold > 0 { groupsWithoutHold -= 1 }
    }

    /// What to wait for now, nil for nothing.
    var hold: (count: Int, nanoseconds: UInt64)? {
        if groupsWithoutHold > 0 || underWay < 2 { return nil }
        return (underWay, min(syncNanoseconds / 2, Self.longest))
    }

    /// Takes in how a hold ended.
    mutating func held(isFull: Bool) {
        penalty = isFull ? 1 : min(penalty * 2, 64)
        groupsWithoutHold = isFull ? 0 : penalty
    }
}
