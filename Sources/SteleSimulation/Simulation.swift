import SteleAPI
import SteleBase
import SteleTransaction
import SteleVerify

/// A whole cluster on virtual time, in one thread, from one seed.
///
/// A run sets up some accounts, lets clients work while faults happen, ends all faults, and then
/// demands that the cluster works again: everything can be read and written, all replicas agree,
/// nothing acknowledged is missing, and what the clients saw is linearizable.
public enum Simulation {
    /// Runs one seed in one scenario.
    ///
    /// - Parameter observer: is told every event, as a line of text.
    public static func run(
        seed: UInt64, scenario: Scenario, observer: ((String) -> Void)? = nil
    ) -> SimulationResult {
        run(seed: seed, scenario: scenario, defect: .none, observer: observer)
    }

    /// The same, with a defect planted into the simulated host.
    package static func run(
        seed: UInt64, scenario: Scenario, defect: HostDefect,
        observer: ((String) -> Void)? = nil
    ) -> SimulationResult {
        let cluster = SimulatedCluster(
            seed: seed, scenario: scenario, defect: defect, observer: observer)
        cluster.begin()
        cluster.runToEnd()
        cluster.judge()
        return cluster.result
    }
}

extension SimulatedCluster {
    /// How long the cluster may take to come up, or to work again after the last fault.
    private static let patience: UInt64 = 10_000_000
    /// How long clients go on once all faults have ended.
    private static let loadAfterFaults: UInt64 = 500_000

    func begin() {
        spoilStartClocks()
        watchClocks()
        startDiskImages()
        for node in nodes {
            after(nodeRandom.below(100_000)) { [self] in start(node) }
        }
        after(50_000) { [self] in openAccounts() }
        watchStart(since: 0)
    }

    /// Fails if the cluster does not come up although the disks of a majority have synced since then.
    ///
    /// Faults of links and nodes begin with the load, but disks may hang before: two of three for
    /// half a minute leave nothing to come up with.
    private func watchStart(since start: UInt64) {
        guard !workload.isRunning, !isHealed else { return }
        let syncing = nodes.filter { $0.diskStallsUntil <= now }
        let isMajority = descriptors.allSatisfy { descriptor in
            descriptor.replicas.count { replica in syncing.contains { $0.id == replica.node } }
                > descriptor.replicas.count / 2
        }
        let start = isMajority ? start : now
        if now - start > Self.patience { return fail("liveness: the cluster never came up") }
        after(50_000) { [self] in watchStart(since: start) }
    }

    /// Writes the opening balances; load and faults begin once that is done.
    private func openAccounts() {
        let node = nodes[Int(clientRandom.below(UInt64(nodes.count)))]
        spawn(on: node) { [self] in
            do {
                // A node whose disk hangs from the start serves nobody: another one is asked then.
                let options = TransactionOptions(timeout: .seconds(2))
                try await node.database(.user, in: self).write(options) { transaction in
                    for account in WorkloadKeys.allAccounts {
                        try await transaction.put(account, WorkloadKeys.openingBalance)
                    }
                }
            } catch {
                return after(20_000) { [self] in openAccounts() }
            }
            if defect == .slowMonotonicClock { slowDownLeaders() }
            workload.end = now + scenario.duration + Self.loadAfterFaults
            startClients()
            for front in fronts { front.start(self) }
            startAttack()
            startFaults()
            watchHealth()
            after(scenario.duration) { [self] in finish() }
        }
    }

    private func slowDownLeaders() {
        for node in nodes where node.core?.tablets.contains(where: { $0.isServing }) ?? false {
            node.clock.slowDown(3, at: now)
        }
    }

    // MARK: The end

    private func finish() {
        heal()
        let deadline = now + Self.patience
        after(Self.patience) { [self] in
            guard !isDone else { return }
            let logs = longLog.map { ", and \($0)" } ?? ""
            let history = nodes.first { $0.isUp && !isHistoryShort($0) }
            if let history { return fail("\(history.id) keeps old versions") }
            fail(
                "liveness: \(workload.busyClients) clients, \(finalTasks) final tasks and requests "
                    + "\(outstanding.keys.sorted().prefix(9)) are not done "
                    + "\(Self.patience / 1_000_000) s after the last fault\(logs)")
        }
        after(Self.loadAfterFaults) { [self] in
            workload.isRunning = false
            startFinalTasks()
            waitForAgreement(until: deadline)
        }
    }

    /// The nodes that hold replicas.
    private var holders: [SimulatedNode] {
        nodes.filter { node in
            descriptors.contains { $0.replica(on: node.id) != nil }
        }
    }

    /// The run is over when everything is done, all replicas have applied the same, but for those
    /// that were outrun and are known to be, and the logs are as short as they have to be.
    private func waitForAgreement(until deadline: UInt64) {
        let whole = nodes.filter { node in
            !node.isAbsent && descriptors.indices.allSatisfy { !isOutrun(node, $0) }
        }
        let isAgreed = descriptors.indices.allSatisfy { tablet in
            let able = holders.filter { !$0.isAbsent && !isOutrun($0, tablet) }
            let replicas = able.map { $0.replica(of: descriptors[tablet].id) }
            // A commit may have been answered that its leader has not applied yet.
            let committed = replicas.compactMap { $0?.group.committed }.max()
            return replicas.count > holders.count / 2
                && replicas.allSatisfy { $0 != nil && $0?.applied.index == committed }
                && outrunAreMarked(tablet)
        }
        if isAgreed, longLog == nil, whole.allSatisfy(isHistoryShort), finalTasks == 0,
            workload.busyClients == 0, outstanding.isEmpty
        {
            isDone = true
            for node in nodes where node.port?.memory.held ?? 0 != 0 {
                fail("transactions of \(node.id) that have ended still hold memory")
            }
        } else {
            after(20_000) { [self] in waitForAgreement(until: deadline) }
        }
    }

    // MARK: The verdict

    /// Judges what can only be judged at the end.
    func judge() {
        guard result.failure == nil else { return }
        guard isDone else { return fail("the run came to a stop") }
        for (transaction, outcome) in workload.outcomes {
            let timestamp = checks.commitTimestamp(of: transaction)
            switch outcome {
            case .committed(let told) where timestamp != told:
                return fail(
                    "\(transaction) was acknowledged at \(told), but is "
                        + "\(timestamp.map { "at \($0)" } ?? "nowhere") in the log")
            case .failed where timestamp != nil:
                return fail("\(transaction) was reported as failed, but is in the log")
            default: break
            }
        }
        if let node = nodes.first(where: { $0.properDisk != nil }) {
            return fail("\(node.id) runs with an old copy of its disk, and nobody noticed")
        }
        let whole = holders.filter { node in
            !node.isAbsent && descriptors.indices.allSatisfy { !isOutrun(node, $0) }
        }
        if let failure = checks.finalFailure(whole) { return fail(failure) }
        switch RegisterChecker().check(result.history) {
        case .linearizable: break
        case .notLinearizable(let example): return fail("not linearizable: \(example)")
        case .undecided(let key): return fail("the history of key \(key) is too long to check")
        }
        // Each snapshot is a fresh one and lies in one tablet, so all levels keep real time.
        for level in AppendChecker.Level.allCases {
            let checker = AppendChecker(level: level, order: .realTime)
            guard case .violated(let anomalies) = checker.check(result.lists[level] ?? History())
            else { continue }
            let text = anomalies.map(\.description).joined(separator: "\n")
            return fail("not \(level): \(text)")
        }
        for front in fronts {
            if let failure = front.failure() { return fail(failure) }
        }
        if result.counts.commits < 5 || result.counts.commits + result.counts.reads < 12 {
            return fail("too little was acknowledged: \(result.counts)")
        }
        if scenario.hasFaults, result.counts.faults == 0 { return fail("no fault happened") }
    }
}
