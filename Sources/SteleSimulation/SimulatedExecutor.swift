/// Runs what waits on one node: its coordinators and whatever calls them, in the one thread of the
/// simulation, as events of its queue.
///
/// A job runs some microseconds after it became ready, so jobs overtake each other as the seed has
/// it; none runs while the node is paused or stands in the middle of a turn, as on the event loop
/// that a real node runs its jobs on. What a node's crash leaves behind goes on, but reaches nobody:
/// see ``SimulatedPort``.
///
/// Only tasks that prefer this executor, and their children, may be made in a simulation: `Task {}`
/// would take its work to threads of its own, which the executor finds out.
final class SimulatedExecutor: TaskExecutor, @unchecked Sendable {
    // Safety: used in the thread that runs the simulation only.
    private let cluster: SimulatedCluster
    private let node: SimulatedNode

    init(cluster: SimulatedCluster, node: SimulatedNode) {
        self.cluster = cluster
        self.node = node
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        cluster.checkThread()
        run(job, in: cluster.taskRandom.below(20), retry: 100)
    }

    /// - Parameter retry: how long to wait if the node is in the middle of a turn.
    private func run(_ job: UnownedJob, in delay: UInt64, retry: UInt64) {
        cluster.after(delay) { [self] in
            if node.pausedUntil > cluster.now {
                // A crash, or the end of all faults, may end the pause early.
                return run(
                    job, in: min(node.pausedUntil - cluster.now, 20_000), retry: retry)
            }
            if node.isTurnOpen { return run(job, in: retry, retry: min(retry * 2, 10_000)) }
            cluster.trace.fold(cluster.now << 8 | UInt64(node.place))
            job.runSynchronously(on: asUnownedTaskExecutor())
        }
    }
}

extension SimulatedCluster {
    /// Does `work` as a task on a node.
    @discardableResult
    func spawn(
        on node: SimulatedNode, _ work: @escaping @Sendable () async -> Void
    ) -> Task<Void, Never> {
        Task(executorPreference: node.executor(in: self), operation: work)
    }

    /// Waits for virtual time to pass.
    func sleep(_ microseconds: UInt64) async {
        await withUnsafeContinuation { continuation in
            after(microseconds) { continuation.resume() }
        }
    }
}
