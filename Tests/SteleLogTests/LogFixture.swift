import SteleBase
import SteleRaft
import Testing

@testable import SteleLog

/// What a log should hold, kept the obvious way.
struct ModelLog: Equatable {
    struct Replica: Equatable {
        var hardState = HardState()
        var compacted = LogPosition(index: 0, term: 0)
        var entries: [Entry] = []

        var lastIndex: LogIndex { entries.last?.index ?? compacted.index }

        mutating func apply(_ part: LogBatch.Part) {
            hardState = part.hardState ?? hardState
            if let mark = part.compacted, mark.index > compacted.index {
                let matches = entries.contains { $0.index == mark.index && $0.term == mark.term }
                entries = matches ? entries.filter { $0.index > mark.index } : []
                compacted = mark
            }
            guard let first = part.entries.first else { return }
            entries.removeAll { $0.index >= first.index }
            entries += part.entries
        }
    }

    var replicas: [ReplicaKey: Replica] = [:]
    var nodeRecord: [UInt8]?

    mutating func apply(_ batch: LogBatch) {
        nodeRecord = batch.nodeRecord ?? nodeRecord
        for part in batch.parts {
            let key = ReplicaKey(tablet: part.tablet, replica: part.replica)
            if part.isRemoval {
                replicas[key] = nil
            } else {
                replicas[key, default: Replica()].apply(part)
            }
        }
    }

    init() {}

    /// What a log returned when it was opened.
    init(_ log: RecoveredLog, _ writer: LogWriter) throws {
        nodeRecord = log.nodeRecord
        for replica in log.replicas {
            let entries = try writer.entries(
                of: replica.tablet, replica: replica.replica, from: replica.compacted.index + 1,
                upTo: .max, maxBytes: .max)
            #expect(Array(entries.suffix(replica.tail.count)) == replica.tail)
            #expect((entries.last?.index ?? replica.compacted.index) == replica.lastIndex)
            var runs: [LogPosition] = []
            for entry in entries where runs.last?.term != entry.term {
                runs.append(LogPosition(index: entry.index, term: entry.term))
            }
            #expect(runs == replica.termRuns)
            replicas[ReplicaKey(tablet: replica.tablet, replica: replica.replica)] = Replica(
                hardState: replica.hardState, compacted: replica.compacted, entries: entries)
        }
    }
}

/// Makes batches that a node could write, for a few replicas, and keeps the model in step.
struct BatchSource {
    var random: SeededRandom
    var model = ModelLog()
    var replicas: UInt64 = 3
    var payloadBytes: UInt64 = 200

    init(seed: UInt64) { random = SeededRandom(seed: seed) }

    mutating func next() -> LogBatch {
        var batch = LogBatch()
        for _ in 0...random.below(3) {
            let part = nextPart()
            model.apply(LogBatch(parts: [part]))
            batch.parts.append(part)
        }
        if random.oneIn(5) {
            batch.nodeRecord = [UInt8(truncatingIfNeeded: random.next())]
            model.nodeRecord = batch.nodeRecord
        }
        return batch
    }

    private mutating func nextPart() -> LogBatch.Part {
        let key = ReplicaKey(
            tablet: TabletID(1 + random.below(replicas)), replica: ReplicaID(1))
        if random.oneIn(60) {
            return LogBatch.Part(removing: key.replica, of: key.tablet)
        }
        let replica = model.replicas[key] ?? ModelLog.Replica()
        var part = LogBatch.Part(tablet: key.tablet, replica: key.replica)
        var term = max(replica.hardState.term, 1)
        if random.oneIn(4) {
            term += random.below(2)
            part.hardState = HardState(
                term: term, vote: ReplicaID(random.below(3)), commit: replica.compacted.index)
        }
        var next = replica.lastIndex + 1
        switch random.below(12) {
        case 0 where replica.lastIndex > replica.compacted.index:
            let index = random.uniform(replica.compacted.index + 1...replica.lastIndex)
            let term = replica.entries.first { $0.index == index }?.term ?? 0
            part.compacted = LogPosition(index: index, term: term)
            next = max(next, index + 1)
        case 1 where random.oneIn(3):
            // A snapshot that conflicts with the log or lies beyond it.
            term += 1
            let index = replica.compacted.index + 1 + random.below(20)
            part.compacted = LogPosition(index: index, term: term)
            next = index + 1
        case 2 where replica.lastIndex > replica.compacted.index:
            term += 1
            next = random.uniform(replica.compacted.index + 1...replica.lastIndex)
        default: break
        }
        for offset in 0..<random.below(4) {
            let payload = [UInt8](
                repeating: UInt8(truncatingIfNeeded: random.next()),
                count: Int(random.below(payloadBytes)))
            part.entries.append(
                Entry(term: term, index: next + offset, type: .normal, payload: payload[...]))
        }
        return part
    }
}

func smallOptions(segmentBytes: Int = 8 << 10, seed: UInt64 = 1) -> LogOptions {
    var options = LogOptions(saltSeed: seed)
    options.segmentBytes = segmentBytes
    options.zeroedBytes = 2 << 10
    options.movedBytes = 1 << 10
    return options
}

extension LogWriter {
    /// One group of one batch, as the log thread would write it.
    func commit(_ batch: LogBatch) throws {
        try encode(batch)
        try write()
        try sync()
        _ = try upkeep()
    }
}

func openWriter(
    _ disk: SimulatedFileSystem, _ options: LogOptions = smallOptions()
) throws -> (writer: LogWriter, recovered: RecoveredLog) {
    try LogWriter.open(directory: "log", fileSystem: disk, options: options)
}

/// One entry for tablet 1.
func single(_ index: LogIndex, term: Term = 1, _ payload: [UInt8]) -> LogBatch {
    LogBatch(parts: [
        LogBatch.Part(
            tablet: TabletID(1), replica: ReplicaID(1),
            entries: [Entry(term: term, index: index, payload: payload[...])])
    ])
}
