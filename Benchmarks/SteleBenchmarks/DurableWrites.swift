import CAllocationHooks
import Glibc
import SteleBase
import SteleClock
import SteleEngine
import SteleLog
import SteleRaft
import SteleRocksDB

/// Durable writes: a batch to the log, a wait for its sync, then its mutations to the engine; a
/// number of threads at once, each a tablet of its own. The rival writes and syncs RocksDB's log.
func durableWrites(_ directory: String) throws -> [Row] {
    [
        try durableWrites("durable appends + apply, 16 writers", 16, floor: 1.0, directory),
        try durableWrites("durable append + apply, one writer", 1, floor: 1.2, directory),
    ]
}

/// Short runs of both in turn, so that the disk's moods hit both; the medians count.
private func durableWrites(
    _ name: String, _ writers: Int, floor: Double, _ directory: String
) throws -> Row {
    var ours: [DurableCost] = []
    var theirs: [DbBench.Outcome] = []
    for _ in 0..<7 {
        theirs.append(
            try DbBench.run(
                "fillrandom",
                [
                    "--sync=1", "--threads=\(writers)", "--duration=2", "--num=1000000",
                    "--value_size=128", "--key_size=16", "--compression_type=none",
                    "--db=\(directory)/db_bench",
                ]))
        ours.append(try DurableRun(writers, directory + "/stele").run(seconds: 2))
    }
    let ratio = zip(ours, theirs).map { $0.rate / $1.operationsPerSecond }.median
    let rate = ours.map(\.rate).median
    let rival = theirs.map(\.operationsPerSecond).median
    let used = ours.map(\.processorMicroseconds).median
    let rivalUsed = theirs.map(\.processorMicroseconds).median
    let allocations = ours.map(\.allocations).median
    return Row(
        name,
        "\(short(rate))/s, \(short(used)) µs CPU, \(short(allocations)) allocations",
        other: "\(short(rival))/s, \(short(rivalUsed)) µs CPU", ratio: (ratio, floor))
}

private struct DurableCost {
    var rate: Double
    var processorMicroseconds: Double
    var allocations: Double
}

private struct DurableRun: Sendable {
    private let writers: Int
    private let directory: String

    init(_ writers: Int, _ directory: String) {
        self.writers = writers
        self.directory = directory
    }

    func run(seconds: Double) throws -> DurableCost {
        try removeAll(directory)
        mkdir(directory, 0o755)
        let log = try RaftLog.open(directory: directory + "/log").log
        let engine = try RocksDBEngine(directory: directory + "/store")
        defer {
            log.close()
            engine.close()
        }
        let start = time(CLOCK_MONOTONIC)
        let used = processorTime(RUSAGE_SELF)
        let until = start + seconds * 1e9
        stele_allocations_start()
        let counts = inThreads(writers) { number in
            Writer(log, engine, number).write(until: until)
        }
        stele_allocations_stop()
        let total = Double(counts.reduce(0, +))
        return DurableCost(
            rate: total / (time(CLOCK_MONOTONIC) - start) * 1e9,
            processorMicroseconds: (processorTime(RUSAGE_SELF) - used) / total,
            allocations: Double(stele_allocations_of_process()) / total)
    }
}

/// One client: its writes go one after another.
private final class Writer: Sendable {
    private let log: RaftLog
    private let engine: RocksDBEngine
    private let tablet: TabletID
    private let signal = Signal()

    init(_ log: RaftLog, _ engine: RocksDBEngine, _ number: Int) {
        self.log = log
        self.engine = engine
        tablet = TabletID(UInt64(number + 1))
    }

    /// Returns how many writes were made.
    func write(until: Double) -> Int {
        var random = SeededRandom(seed: tablet.rawValue)
        let value = [UInt8](repeating: 0x61, count: 128)
        var index: LogIndex = 0
        while time(CLOCK_MONOTONIC) < until {
            index += 1
            var list = MutationList(reserving: 192)
            let key = [UInt8](unsafeUninitializedCapacity: 16) { buffer, count in
                let raw = UnsafeMutableRawBufferPointer(buffer)
                raw.storeBytes(of: random.below(1_000_000).bigEndian, as: UInt64.self)
                raw.storeBytes(of: 0, toByteOffset: 8, as: UInt64.self)
                count = 16
            }
            list.put(
                KeyBytes(key), value, at: Timestamp(rawValue: index << 12), by: TransactionID(1))
            let payload = list.bytes[...]
            var part = LogBatch.Part(
                tablet: tablet, replica: ReplicaID(1),
                entries: [Entry(term: 1, index: index, payload: payload)])
            // As a node does when a flush has made what lies behind durable.
            if index % 4096 == 0 { part.compacted = LogPosition(index: index - 1024, term: 1) }
            log.append(LogBatch(parts: [part])) { [signal] result in
                if case .failure(let error) = result { fatalError("\(error)") }
                signal.send()
            }
            signal.wait()
            let applied = AppliedState(
                tablet: tablet, replica: ReplicaID(1), index: index, term: 1)
            do {
                try engine.apply([payload], applied: applied)
            } catch {
                fatalError("\(error)")
            }
        }
        return Int(index)
    }
}
