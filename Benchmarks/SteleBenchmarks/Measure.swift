import CAllocationHooks
import Glibc

/// What one piece of work cost, each an average over its repetitions.
struct Cost {
    /// Wall time, of the fastest round.
    var nanoseconds: Double
    /// Processor time of all threads, of the cheapest round.
    var processorMicroseconds: Double
    /// Heap allocations of all threads.
    var allocations: Double

    /// "12.3 ns, 0 allocations".
    var description: String {
        nanoseconds < 10_000
            ? "\(short(nanoseconds)) ns, \(short(allocations)) allocations"
            : "\(short(nanoseconds / 1_000)) µs, \(short(allocations)) allocations"
    }
}

/// Runs `body` `count` times a round for `rounds` rounds after one round of warming up, then once
/// more to count allocations.
func measure(count: Int, rounds: Int = 7, _ body: (Int) throws -> Void) rethrows -> Cost {
    var cost = Cost(nanoseconds: .infinity, processorMicroseconds: .infinity, allocations: 0)
    for round in 0...rounds {
        let wall = time(CLOCK_MONOTONIC)
        let processor = time(CLOCK_PROCESS_CPUTIME_ID)
        for index in 0..<count { try body(index) }
        guard round > 0 else { continue }
        let perCall = 1 / Double(count)
        let elapsed = time(CLOCK_MONOTONIC) - wall
        let used = time(CLOCK_PROCESS_CPUTIME_ID) - processor
        cost.nanoseconds = min(cost.nanoseconds, elapsed * perCall)
        cost.processorMicroseconds = min(cost.processorMicroseconds, used * perCall / 1_000)
    }
    cost.allocations = try countAllocations { for index in 0..<count { try body(index) } }
        / Double(count)
    return cost
}

/// The heap allocations of the whole process while `body` runs.
func countAllocations(_ body: () throws -> Void) rethrows -> Double {
    stele_allocations_start()
    defer { stele_allocations_stop() }
    try body()
    return Double(stele_allocations_of_process())
}

/// Nanoseconds of a clock of the system.
func time(_ clock: clockid_t) -> Double {
    var now = timespec()
    clock_gettime(clock, &now)
    return Double(now.tv_sec) * 1e9 + Double(now.tv_nsec)
}

/// Keeps the optimiser from removing the work that led to `value`.
@inline(never)
@_optimize(none)
func keep<Value>(_ value: Value) {}
