import CAllocationHooks
import Glibc

/// What one piece of work cost, each an average over its repetitions; nil: not measured.
struct Cost {
    var nanoseconds: Double
    /// Processor time of all threads.
    var processorMicroseconds: Double?
    /// Heap allocations of all threads.
    var allocations: Double?

    /// "12.3 ns, 0 allocations".
    var description: String {
        let time =
            nanoseconds < 10_000 ? "\(short(nanoseconds)) ns" : "\(short(nanoseconds / 1_000)) µs"
        return time + (allocations.map { ", \(short($0)) allocations" } ?? "")
    }

    /// Each figure's median over several runs.
    static func median(_ costs: [Cost]) -> Cost {
        let processor = costs.compactMap(\.processorMicroseconds)
        let allocations = costs.compactMap(\.allocations)
        return Cost(
            nanoseconds: costs.map(\.nanoseconds).median,
            processorMicroseconds: processor.isEmpty ? nil : processor.median,
            allocations: allocations.isEmpty ? nil : allocations.median)
    }
}

/// Runs `body` `count` times a round for `rounds` rounds after one round of warming up, then once
/// more to count allocations. The times are those of the fastest, and of the cheapest round.
func measure(count: Int, rounds: Int = 7, _ body: (Int) throws -> Void) rethrows -> Cost {
    var best = Cost(nanoseconds: .infinity)
    for round in 0...rounds {
        let cost = try timed(count) { for index in 0..<count { try body(index) } }
        guard round > 0 else { continue }
        best.nanoseconds = min(best.nanoseconds, cost.nanoseconds)
        best.processorMicroseconds = [best.processorMicroseconds, cost.processorMicroseconds]
            .compactMap(\.self).min()
    }
    best.allocations = try countAllocations { for index in 0..<count { try body(index) } }
        / Double(count)
    return best
}

/// Times `body` once, for each of the `count` pieces of work that it does.
func timed(_ count: Int, _ body: () throws -> Void) rethrows -> Cost {
    let wall = time(CLOCK_MONOTONIC)
    let processor = time(CLOCK_PROCESS_CPUTIME_ID)
    try body()
    let pieces = Double(count)
    return Cost(
        nanoseconds: (time(CLOCK_MONOTONIC) - wall) / pieces,
        processorMicroseconds: (time(CLOCK_PROCESS_CPUTIME_ID) - processor) / pieces / 1_000)
}

/// The heap allocations of the whole process while `body` runs.
func countAllocations(_ body: () throws -> Void) rethrows -> Double {
    stele_allocations_start()
    defer { stele_allocations_stop() }
    try body()
    return Double(stele_allocations_of_process())
}

/// The heap allocations of this thread while `body` runs, which leaves nothing to other threads.
///
/// What RocksDB does meanwhile, such as waking every ten seconds, does not count.
func countOwnAllocations(_ body: () throws -> Void) rethrows -> Int {
    stele_allocations_start()
    defer { stele_allocations_stop() }
    try body()
    return Int(stele_allocations_of_thread())
}

/// Nanoseconds of a clock of the system.
func time(_ clock: clockid_t) -> Double {
    var now = timespec()
    clock_gettime(clock, &now)
    return Double(now.tv_sec) * 1e9 + Double(now.tv_nsec)
}

/// Microseconds of processor time, of this process or of the children that ended.
func processorTime(_ who: __rusage_who) -> Double {
    var usage = rusage()
    getrusage(who.rawValue, &usage)
    let seconds = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec
    return Double(seconds) * 1e6 + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec)
}

/// Keeps the optimiser from removing the work that led to `value`.
@inline(never)
@_optimize(none)
func keep<Value>(_ value: Value) {}

extension [Double] {
    /// The middle value, or the mean of the two in the middle.
    var median: Double {
        let sorted = sorted()
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }
}
