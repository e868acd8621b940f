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
        try handOver(directory),
    ]
}

/// Both sides write values of 128 bytes under keys of 16 bytes drawn from a million, begin with an
/// empty store, and make each write durable with fdatasync. Apart from that db_bench has its
/// defaults: memtables of 64 MiB, pipelined writes, concurrent inserts, a log that is preallocated.
private func durableWrites(
    _ name: String, _ writers: Int, floor: Double, _ directory: String
) throws -> Row {
    let seconds = 2
    let rival = DbBench(
        directory: directory + "/db_bench",
        options: [
            "--sync=1", "--threads=\(writers)", "--duration=\(seconds)", "--num=\(keyCount)",
            "--key_size=16", "--value_size=128", "--compression_type=none",
        ])
    let ours = DurableRun(writers, directory + "/stele")
    // A lone writer's ratio spreads more: every commit hangs on where two threads are woken.
    let rounds = writers == 1 ? 13 : 7
    return try contest(
        name, floor: floor, rounds: rounds, rivalName: "fillrandom --sync=1 --threads=\(writers)",
        rival: { try rival.run("fillrandom") }, ours: { try ours.run(seconds: seconds) })
}

/// How much of a lone writer's time is that of the disk and of waking threads.
private func handOver(_ directory: String) throws -> Row {
    let bare = HandOver(directory: directory + "/hand-over")
    let ours = DurableRun(1, directory + "/stele")
    return try contest(
        "the same beside its bare minimum", floor: nil, rounds: 7,
        rivalName: "a sector written and synced by another thread",
        rival: { try bare.run(seconds: 1) }, ours: { try ours.run(seconds: 1) })
}

private let keyCount = 1_000_000

private struct DurableRun: Sendable {
    private let writers: Int
    private let directory: String

    init(_ writers: Int, _ directory: String) {
        self.writers = writers
        self.directory = directory
    }

    /// Allocations are counted in a short run afterwards, since counting them takes time.
    func run(seconds: Int) throws -> Cost {
        try removeAll(directory)
        mkdir(directory, 0o755)
        let log = try RaftLog.open(directory: directory + "/log").log
        let engine = try RocksDBEngine(directory: directory + "/store")
        defer {
            log.close()
            engine.close()
        }
        let clients = (0..<writers).map { Writer(log, engine, $0) }
        func run(_ nanoseconds: Double) -> Int {
            let until = time(CLOCK_MONOTONIC) + nanoseconds
            return inThreads(writers) { number in
                // A lone writer stands for a node's event loop, which is as prompt.
                if writers == 1 { preferPromptness() }
                return clients[number].write(until: until)
            }.reduce(0, +)
        }
        var count = 0
        let total = timed(1) { count = run(Double(seconds) * 1e9) }
        var counted = 0
        let allocations = countAllocations { counted = run(1e8) }
        return Cost(
            nanoseconds: total.nanoseconds / Double(count),
            processorMicroseconds: (total.processorMicroseconds ?? 0) / Double(count),
            allocations: allocations / Double(counted))
    }
}

/// One client: its writes go one after another.
///
/// Safety: one thread at a time runs it.
private final class Writer: @unchecked Sendable {
    private let log: RaftLog
    private let engine: RocksDBEngine
    private let tablet: TabletID
    private let signal = Signal()
    private var random: SeededRandom
    private var index: LogIndex = 0

    init(_ log: RaftLog, _ engine: RocksDBEngine, _ number: Int) {
        self.log = log
        self.engine = engine
        tablet = TabletID(UInt64(number + 1))
        random = SeededRandom(seed: tablet.rawValue)
    }

    /// Returns how many writes were made.
    func write(until: Double) -> Int {
        let before = index
        let value = [UInt8](repeating: 0x61, count: 128)
        while time(CLOCK_MONOTONIC) < until {
            index += 1
            var list = MutationList(reserving: 192)
            let key = [UInt8](unsafeUninitializedCapacity: 16) { buffer, count in
                let raw = UnsafeMutableRawBufferPointer(buffer)
                raw.storeBytes(of: random.below(UInt64(keyCount)).bigEndian, as: UInt64.self)
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
        return Int(index - before)
    }
}
