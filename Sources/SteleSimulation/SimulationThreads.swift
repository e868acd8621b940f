import Foundation

/// Runs tasks on threads of its own, one per processor.
///
/// A simulation is seconds of work without a pause. On the threads that all tasks share it would
/// keep everything else from running, tests that wait for a real clock among it:
///
/// ```swift
/// await withTaskExecutorPreference(SimulationThreads.shared) {
///     Simulation.run(seed: 1, scenario: scenario)
/// }
/// ```
public final class SimulationThreads: TaskExecutor {
    /// The one of the process.
    public static let shared = SimulationThreads()

    private let queue: OperationQueue

    private init() {
        queue = OperationQueue()
        queue.maxConcurrentOperationCount = ProcessInfo.processInfo.activeProcessorCount
    }

    /// Runs a job on one of the threads, as soon as one is free.
    public func enqueue(_ job: UnownedJob) {
        queue.addOperation { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}
