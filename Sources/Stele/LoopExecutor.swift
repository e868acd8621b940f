import NIOConcurrencyHelpers
import NIOCore

/// Runs Swift tasks on an event loop, in between the turns of the node that lives there.
///
/// A task that runs here reaches the node's core without changing threads. Jobs are collected and
/// run in batches: a task that yields lets the loop look after its sockets first. The node's `pump`
/// runs batches and turns in alternation.
final class LoopExecutor: TaskExecutor {
    private let loop: any EventLoop
    private let jobs = NIOLockedValueBox<Jobs>(Jobs())

    private struct Jobs {
        var queue: [UnownedJob] = []
        var isScheduled = false
    }

    private let pump: NIOLoopBoundBox<(() -> Void)?>

    init(loop: any EventLoop) {
        self.loop = loop
        pump = .makeEmptyBox(eventLoop: loop)
    }

    /// Has `pump` called on the loop, instead of running the jobs, when there are any.
    ///
    /// - Precondition: called on the loop.
    func setPump(_ pump: (() -> Void)?) { self.pump.value = pump }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let mustSchedule = jobs.withLockedValue { jobs in
            jobs.queue.append(job)
            defer { jobs.isScheduled = true }
            return !jobs.isScheduled
        }
        if mustSchedule { loop.execute { self.run() } }
    }

    /// Runs the jobs that are queued at this moment, not those that they queue, until they have
    /// taken long: then the others wait for the next call. On the loop only.
    ///
    /// - Returns: whether there were any.
    func runJobs() -> Bool {
        let batch = jobs.withLockedValue { jobs in
            defer { jobs.queue = [] }
            if jobs.queue.isEmpty { jobs.isScheduled = false }
            return jobs.queue
        }
        let end = SystemClocks.stopwatch() + Self.nanosecondsAtATime
        for (place, job) in batch.enumerated() {
            job.runSynchronously(on: asUnownedTaskExecutor())
            guard place + 1 < batch.count, SystemClocks.stopwatch() >= end else { continue }
            jobs.withLockedValue { $0.queue.insert(contentsOf: batch[(place + 1)...], at: 0) }
            break
        }
        return !batch.isEmpty
    }

    /// Leaves it to the next job to have jobs run, unless there are some.
    private func rest() -> Bool {
        jobs.withLockedValue { jobs in
            if jobs.queue.isEmpty { jobs.isScheduled = false }
            return jobs.queue.isEmpty
        }
    }

    private static let nanosecondsAtATime = 1_000_000

    /// Without a node that takes turns, jobs run by themselves, a batch at each pass of the loop.
    private func run() {
        if let pump = pump.value {
            pump()
        } else if runJobs(), !rest() {
            loop.execute { self.run() }
        }
    }
}
