import NIOConcurrencyHelpers
import NIOCore

/// Runs Swift tasks on an event loop, in between the turns of the node that lives there.
///
/// A task that runs here reaches the node's core without changing threads. Jobs are collected and
/// run together, then `afterJobs` lets the node take its turn over what they asked for.
final class LoopExecutor: TaskExecutor {
    private let loop: any EventLoop
    private let jobs = NIOLockedValueBox<Jobs>(Jobs())

    private struct Jobs {
        var queue: [UnownedJob] = []
        var isScheduled = false
    }

    /// Called on the loop after jobs have run.
    private let afterJobs: NIOLoopBoundBox<(() -> Void)?>

    init(loop: any EventLoop) {
        self.loop = loop
        afterJobs = .makeEmptyBox(eventLoop: loop)
    }

    /// - Precondition: called on the loop.
    func setAfterJobs(_ body: (() -> Void)?) { afterJobs.value = body }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let mustSchedule = jobs.withLockedValue { jobs in
            jobs.queue.append(job)
            defer { jobs.isScheduled = true }
            return !jobs.isScheduled
        }
        if mustSchedule {
            loop.execute {
                self.runJobs()
                self.afterJobs.value?()
            }
        }
    }

    /// Runs all jobs that are queued, those included that they queue themselves. On the loop only.
    func runJobs() {
        while true {
            let batch = jobs.withLockedValue { jobs in
                defer { jobs.queue = [] }
                if jobs.queue.isEmpty { jobs.isScheduled = false }
                return jobs.queue
            }
            if batch.isEmpty { return }
            for job in batch { job.runSynchronously(on: asUnownedTaskExecutor()) }
        }
    }
}
