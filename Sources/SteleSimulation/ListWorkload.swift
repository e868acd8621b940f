import SteleAPI
import SteleBase
import SteleVerify

/// Transactions that append to lists and read them, at one isolation level for each set of lists;
/// what they saw is judged by ``AppendChecker``.
extension ClientOperation {
    private enum Plan {
        case append(Int, Int)
        case read(Int)
        /// Reads all lists of a window at once.
        case scan(ClosedRange<Int>)

        var steps: [History.Step] {
            switch self {
            case .append(let key, let value): [.append(key: key, value: value)]
            case .read(let key): [.readList(key: key, values: nil)]
            case .scan(let keys): keys.map { .readList(key: $0, values: nil) }
            }
        }
    }

    func changeLists(_ level: AppendChecker.Level) async {
        let plans = (0...below(4)).map { _ -> Plan in
            let key = cluster.keyOfWindow()
            switch below(7) {
            case 0: return .scan(key...key + 1)
            case 1, 2, 3: return .read(key)
            default: return .append(key, cluster.newValue())
            }
        }
        for case .append(let key, _) in plans {
            cluster.workload.lists[level, default: []].insert(key)
        }
        invoke(.transaction(plans.flatMap(\.steps)), at: level)
        do {
            let steps =
                level == .readCommitted
                ? try await runStatements(plans) : try await runTransaction(plans, level)
            cluster.result.counts.lists += 1
            complete(.ok, .transaction(steps), at: level)
        } catch {
            complete(ending(error), at: level)
        }
    }

    /// Runs again after conflicts, as users' closures do.
    private func runTransaction(
        _ plans: [Plan], _ level: AppendChecker.Level
    ) async throws -> [History.Step] {
        let isolation: Isolation = level == .snapshotIsolation ? .snapshot : .serializable
        return try await database.write(options(isolation)) { transaction in
            var steps: [History.Step] = []
            for plan in plans {
                if oneIn(4) { await pause() }
                switch plan {
                case .append(let key, let value):
                    let bytes = WorkloadKeys.list(key, level)
                    let old =
                        oneIn(4)
                        ? try await transaction.getForUpdate(bytes, as: String.self)
                        : try await transaction.get(bytes, as: String.self)
                    try await transaction.put(bytes, (old ?? "") + " \(value)")
                    steps.append(.append(key: key, value: value))
                case .read(let key):
                    let list = try await transaction.get(
                        WorkloadKeys.list(key, level), as: String.self)
                    steps.append(.readList(key: key, values: WorkloadKeys.values(list)))
                case .scan(let keys):
                    var lists: [KeyBytes: String] = [:]
                    for try await entry in transaction.scan(
                        from: WorkloadKeys.list(keys.lowerBound, level),
                        to: WorkloadKeys.list(keys.upperBound + 1, level), reverse: oneIn(2))
                    {
                        lists[entry.key] = try entry.value(as: String.self)
                    }
                    steps += keys.map { key in
                        let list = lists[WorkloadKeys.list(key, level)]
                        return .readList(key: key, values: WorkloadKeys.values(list))
                    }
                }
            }
            return steps
        }
    }

    /// Each step a statement with a snapshot of its own, as under SQL's read committed.
    private func runStatements(_ plans: [Plan]) async throws -> [History.Step] {
        let level = AppendChecker.Level.readCommitted
        let transaction = try begin(options(.readCommitted))
        do {
            var steps: [History.Step] = []
            for plan in plans {
                transaction.beginStatement()
                switch plan {
                case .append(let key, let value):
                    let bytes = WorkloadKeys.list(key, level)
                    let old = try await transaction.lock([bytes], .exclusive, .wait)[0].value
                    let list = WorkloadKeys.values(try old.map(String.init(steleBytes:))) + [value]
                    try transaction.write(bytes, WorkloadKeys.text(list).steleBytes)
                    steps.append(.append(key: key, value: value))
                case .read(let key):
                    let list = try await transaction.get([WorkloadKeys.list(key, level)])[0]
                    steps.append(
                        .readList(
                            key: key,
                            values: WorkloadKeys.values(try list.map(String.init(steleBytes:)))))
                case .scan(let keys):
                    let found = try await transaction.get(
                        keys.map { WorkloadKeys.list($0, level) })
                    for (key, list) in zip(keys, found) {
                        steps.append(
                            .readList(
                                key: key,
                                values: WorkloadKeys.values(
                                    try list.map(String.init(steleBytes:)))))
                    }
                }
            }
            try await transaction.commit()
            return steps
        } catch {
            abandon(transaction)
            throw error
        }
    }
}

extension WorkloadKeys {
    static func list(_ number: Int, _ level: AppendChecker.Level) -> KeyBytes {
        Key("list", level.rawValue, number).keyBytes
    }

    static func values(_ text: String?) -> [Int] {
        (text ?? "").split(separator: " ").compactMap { Int($0) }
    }

    static func text(_ values: [Int]) -> String {
        values.map { " \($0)" }.joined()
    }
}
