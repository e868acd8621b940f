import Foundation
import Testing

@testable import SteleRaft

/// Whole groups under faults, each seed another history; prints a hash over all of them, which is
/// the same whenever the same seeds run.
///
/// - `STELE_RAFT_SEEDS=10000` runs so many seeds instead of 2,000.
/// - `STELE_RAFT_SEED=17` runs that one only.
/// - `STELE_RAFT_VERBOSE=1` runs one after the other, names each before it begins, and stops at the
///   first failure; so the seed is known even where a broken invariant ends the process.
@Suite
struct RaftGroupSimulation {
    @Test
    func groupsStaySafeAndRecover() async {
        let seeds = RaftGroupSimulation.seeds
        let workers = RaftGroupSimulation.isVerbose
            ? 1 : ProcessInfo.processInfo.activeProcessorCount
        let total = await withTaskGroup(of: Summary.self) { tasks in
            for worker in 0..<workers {
                tasks.addTask { RaftGroupSimulation.run(seeds, worker: worker, of: workers) }
            }
            return await tasks.reduce(into: Summary()) { $0.add($1) }
        }
        print("raft group simulation: \(total)")
        for failure in total.failures.sorted().prefix(3) { Issue.record("\(failure)") }
        #expect(total.failures.isEmpty, "\(total.failures.count) seeds failed")
        guard seeds.count >= 100 else { return }
        #expect(total.committed > 10 * seeds.count, "hardly anything was committed")
        #expect(total.sleeps > seeds.count / 4, "groups hardly ever slept")
        #expect(total.terms > 2 * seeds.count, "leaders were hardly ever replaced")
    }

    @Test
    func sameSeedGivesTheSameTrace() throws {
        for seed in UInt64(0)..<5 {
            let first = SimulatedGroup(seed: seed)
            let second = SimulatedGroup(seed: seed)
            try first.run()
            try second.run()
            #expect(first.trace == second.trace)
        }
    }

    // MARK: Running

    private static func setting(_ name: String) -> UInt64? {
        ProcessInfo.processInfo.environment[name].flatMap { UInt64($0) }
    }

    private static let isVerbose = setting("STELE_RAFT_VERBOSE") == 1

    private static let seeds: Range<UInt64> = {
        if let only = setting("STELE_RAFT_SEED") { return only..<only + 1 }
        return 0..<(setting("STELE_RAFT_SEEDS") ?? 2_000)
    }()

    private struct Summary: CustomStringConvertible, Sendable {
        var seeds = 0
        /// Does not depend on the order in which seeds finish.
        var trace: UInt64 = 0
        var committed = 0
        var terms = 0
        var reads = 0
        var sleeps = 0
        var slowestRecovery = 0
        var failures: [String] = []

        mutating func add(_ other: Summary) {
            seeds += other.seeds
            trace &+= other.trace
            committed += other.committed
            terms += other.terms
            reads += other.reads
            sleeps += other.sleeps
            slowestRecovery = max(slowestRecovery, other.slowestRecovery)
            failures += other.failures
        }

        var description: String {
            "\(seeds) seeds, trace hash \(String(trace, radix: 16)), \(committed) entries applied,"
                + " \(terms) terms, \(reads) reads, \(sleeps) sleeps, slowest recovery \(slowestRecovery) timeouts"
        }
    }

    private static func run(_ seeds: Range<UInt64>, worker: Int, of workers: Int) -> Summary {
        var summary = Summary()
        for seed in seeds where seed % UInt64(workers) == UInt64(worker) {
            if isVerbose { FileHandle.standardError.write(Data("seed \(seed)\n".utf8)) }
            let group = SimulatedGroup(seed: seed)
            do {
                try group.run()
            } catch {
                summary.failures.append("seed \(seed), \(error)")
                if isVerbose { break }
            }
            summary.seeds += 1
            summary.trace &+= group.trace &* (2 &* seed &+ 1)
            summary.committed += group.committedEntries
            summary.terms += group.terms
            summary.reads += group.answeredReads
            summary.sleeps += group.sleeps
            summary.slowestRecovery = max(summary.slowestRecovery, group.recoveryTimeouts)
        }
        return summary
    }
}
