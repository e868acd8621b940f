/// Clients of a front that stands on the database, beside the usual ones.
///
/// All calls come from the thread that runs the simulation. What the clients do runs as tasks, see
/// ``SimulatedCluster/spawn(on:_:)``.
protocol SimulatedWorkload: AnyObject {
    /// Begins to work, until the cluster's workload does not run any more.
    func start(_ cluster: SimulatedCluster)

    /// Looks at everything once more, after all faults have ended.
    func finish(_ cluster: SimulatedCluster) async throws

    /// What is wrong with what the clients saw; nil if nothing is.
    func failure() -> String?
}
