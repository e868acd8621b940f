import SteleAPI
import SteleBase
import SteleTransaction
import SteleVerify

/// What must be possible once all faults have ended.
extension SimulatedCluster {
    /// Every node reaches every tablet; every register and list can be read, every invariant holds,
    /// and every lock is free.
    func startFinalTasks() {
        for node in nodes where !node.isAbsent {
            for keyspace in [Keyspace.system, .user] {
                finally(on: node) { cluster in
                    try await node.database(keyspace, in: cluster).put(Key("probe", node.place), 1)
                }
            }
        }
        for register in usedRegisters {
            let node = present[register % present.count]
            finally(on: node) { try await $0.readFinally(register, on: node) }
        }
        for level in AppendChecker.Level.allCases where workload.lists[level] != nil {
            finally(on: randomNode()) { try await $0.readListsFinally(level) }
        }
        for keyspace in [Keyspace.system, .user] {
            finally(on: randomNode()) { try await $0.lockFinally(keyspace) }
        }
        for place in fronts.indices {
            finally(on: nil) { try await $0.fronts[place].finish($0) }
        }
        let operation = ClientOperation(
            cluster: self, client: SimulatedClient(number: newProcess()), node: randomNode(),
            timeout: .seconds(1))
        finally(on: operation.node) { _ in
            await operation.checkTotal()
            await operation.checkGroup()
            await operation.checkDuty()
            try await operation.checkFamilies()
        }
    }

    private var present: [SimulatedNode] { nodes.filter { !$0.isAbsent } }

    private func randomNode() -> SimulatedNode {
        present[Int(clientRandom.below(UInt64(present.count)))]
    }

    /// Does something on a node, or outside of all, as often as it takes to succeed.
    private func finally(
        on node: SimulatedNode?,
        _ work: @escaping @Sendable (SimulatedCluster) async throws -> Void
    ) {
        finalTasks += 1
        let attempts: @Sendable () async -> Void = { [self] in
            while true {
                do {
                    try await work(self)
                    finalTasks -= 1
                    return
                } catch {
                    await sleep(50_000)
                }
            }
        }
        if let node { spawn(on: node, attempts) } else { spawn(attempts) }
    }

    private func readFinally(_ register: Int, on node: SimulatedNode) async throws {
        let process = newProcess()
        result.history.invoke(
            .read(key: register, value: nil), process: process, time: now * 1_000)
        do {
            let value = try await node
                .database(WorkloadKeys.keyspace(ofRegister: register), in: self)
                .get(WorkloadKeys.register(register), as: Int.self)
            result.history.complete(
                .ok, .read(key: register, value: value), process: process, time: now * 1_000)
        } catch {
            result.history.complete(.fail, process: process, time: now * 1_000)
            throw error
        }
    }

    /// Shows which appends are there in the end.
    private func readListsFinally(_ level: AppendChecker.Level) async throws {
        let process = newProcess()
        let keys = (workload.lists[level] ?? []).sorted()
        record(level) { [now] history in
            history.invoke(
                .transaction(keys.map { .readList(key: $0, values: nil) }), process: process,
                time: now * 1_000)
        }
        do {
            let transaction = try randomNode().backend(.user, in: self).begin(
                TransactionOptions(isolation: .snapshot, isReadOnly: true))
            let lists = try await transaction.get(keys.map { WorkloadKeys.list($0, level) })
            let steps = try zip(keys, lists).map { key, list in
                History.Step.readList(
                    key: key, values: WorkloadKeys.values(try list.map(String.init(steleBytes:))))
            }
            record(level) { [now] in
                $0.complete(.ok, .transaction(steps), process: process, time: now * 1_000)
            }
        } catch {
            record(level) { [now] in $0.complete(.fail, process: process, time: now * 1_000) }
            throw error
        }
    }

    /// Locks what was locked at once, the newest of it, to find any lock that was forgotten.
    private func lockFinally(_ keyspace: Keyspace) async throws {
        var keys = usedRegisters.suffix(40)
            .filter { WorkloadKeys.keyspace(ofRegister: $0) == keyspace }
            .map(WorkloadKeys.register)
        if keyspace == .user {
            keys += WorkloadKeys.allAccounts + (0..<2).map { Key("parent", $0).keyBytes }
            for level in AppendChecker.Level.allCases {
                keys += (workload.lists[level] ?? []).sorted().suffix(20)
                    .map { WorkloadKeys.list($0, level) }
            }
        }
        let transaction = try randomNode().backend(keyspace, in: self).begin(
            TransactionOptions(isolation: .readCommitted, lockTimeout: .seconds(1)))
        defer { transaction.rollback() }
        _ = try await transaction.lock(keys, .exclusive, .wait)
    }
}
