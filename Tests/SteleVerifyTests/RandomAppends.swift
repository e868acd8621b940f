import SteleBase
import SteleVerify
import Testing

/// Histories drawn from a store that really keeps a level must pass at it; those of a weaker store,
/// and most mutations, must not.
struct RandomAppends {
    private enum Store {
        case strict, snapshot, readCommitted
    }

    private struct Running {
        var steps: [History.Step]
        var results: [History.Step] = []
        var snapshot: [Int: [Int]]
        var own: [Int: [Int]] = [:]
    }

    /// Transactions of several processes whose steps take turns at random.
    private func history(
        _ store: Store, seed: UInt64, transactions: Int, processes: Int = 5, keys: UInt64 = 4,
        rotation: Int = 40
    ) -> History {
        var random = SeededRandom(seed: seed)
        var history = AppendHistory()
        var lists: [Int: [Int]] = [:]
        var running = [Running?](repeating: nil, count: processes)
        var names = Array(0..<processes)
        var started = 0
        var nextValue = 1
        while started < transactions || running.contains(where: { $0 != nil }) {
            let process = Int(random.below(UInt64(processes)))
            guard var current = running[process] else {
                guard started < transactions else { continue }
                started += 1
                // Keys move on, so that lists stay short.
                let base = started / rotation * 2
                let steps = (0...random.below(4)).map { _ -> History.Step in
                    let key = base + Int(random.below(keys))
                    nextValue += 1
                    return random.oneIn(2) ? .append(key, nextValue) : .read(key, [])
                }
                history.begin(names[process], steps)
                running[process] = Running(steps: steps, snapshot: lists)
                continue
            }
            var isRefused = false
            if current.results.count < current.steps.count {
                if store == .readCommitted, isBlocked(current, process, by: running) {
                    // It waits, or gives up so that those that wait for each other get on.
                    guard random.oneIn(10) else { continue }
                    isRefused = true
                } else if store == .strict {
                    // All at once; the end comes later.
                    current.snapshot = lists
                    while current.results.count < current.steps.count {
                        step(&current, lists)
                    }
                    for (key, values) in current.own { lists[key, default: []] += values }
                    current.own = [:]
                    running[process] = current
                    continue
                } else {
                    step(&current, store == .readCommitted ? lists : current.snapshot)
                    running[process] = current
                    continue
                }
            }
            running[process] = nil
            if store == .snapshot {
                isRefused = current.own.contains { lists[$0.key] != current.snapshot[$0.key] }
            }
            if isRefused || store != .strict && random.oneIn(20) {
                history.end(names[process], .fail)
                continue
            }
            for (key, values) in current.own { lists[key, default: []] += values }
            if random.oneIn(20) {
                history.end(names[process], .info)
                names[process] += processes
            } else {
                history.end(names[process], .ok, current.results)
            }
        }
        return history.history
    }

    /// Whether the next step appends to a list that another transaction has appended to.
    private func isBlocked(_ current: Running, _ process: Int, by running: [Running?]) -> Bool {
        guard case .append(let key, _) = current.steps[current.results.count] else { return false }
        return running.enumerated().contains { $0.offset != process && $0.element?.own[key] != nil }
    }

    private func step(_ running: inout Running, _ lists: [Int: [Int]]) {
        switch running.steps[running.results.count] {
        case .readList(let key, _):
            let seen = (lists[key] ?? []) + (running.own[key] ?? [])
            running.results.append(.read(key, seen))
        case .append(let key, let value):
            running.own[key, default: []].append(value)
            running.results.append(.append(key, value))
        default: break
        }
    }

    private func verdict(
        _ history: History, _ level: AppendChecker.Level, _ order: AppendChecker.Order? = nil
    ) -> AppendChecker.Verdict {
        AppendChecker(level: level, order: order).check(history)
    }

    @Test(arguments: 1...50 as ClosedRange<UInt64>)
    func aStrictStorePassesEverywhere(seed: UInt64) {
        let history = history(.strict, seed: seed, transactions: 120)
        for level in AppendChecker.Level.allCases {
            for order in AppendChecker.Order.allCases {
                #expect(verdict(history, level, order) == .consistent)
            }
        }
    }

    @Test(arguments: 1...50 as ClosedRange<UInt64>)
    func aSnapshotStorePassesAsOne(seed: UInt64) {
        let history = history(.snapshot, seed: seed, transactions: 120)
        #expect(verdict(history, .snapshotIsolation, .realTime) == .consistent)
        #expect(verdict(history, .readCommitted, .realTime) == .consistent)
    }

    @Test func mostSnapshotHistoriesAreNotSerializable() {
        let found = (1...100 as ClosedRange<UInt64>).count { seed in
            let history = history(.snapshot, seed: seed, transactions: 120)
            return verdict(history, .serializable).kinds.contains(.g2Item)
        }
        #expect(found > 90, "only \(found) of 100 histories with write skew were found")
    }

    @Test func readCommittedPassesAsOneAndFailsAsMore() {
        var found = 0
        for seed in 1...100 as ClosedRange<UInt64> {
            let history = history(.readCommitted, seed: seed, transactions: 120)
            #expect(verdict(history, .readCommitted, .realTime) == .consistent)
            if verdict(history, .snapshotIsolation) != .consistent { found += 1 }
        }
        #expect(found > 95, "only \(found) of 100 histories with skewed reads were found")
    }

    // MARK: Mutations

    private enum Mutation: CaseIterable {
        /// A read misses its last value, so it is stale.
        case stale
        /// A value in the middle of a read is left out.
        case hole
        /// Two neighbours of a read change places.
        case swap
        /// A read shows a value twice.
        case double
        /// A read shows what was never written.
        case invented
        /// A transaction that was read of is said to have failed.
        case failed
        /// An append shows in no read any more.
        case erased
    }

    /// Nil if the history has no place for the mutation.
    private func mutated(
        _ history: History, _ mutation: Mutation, _ random: inout SeededRandom
    ) -> History? {
        var places: [(event: Int, step: Int)] = []
        for event in history.events where event.type == .ok {
            guard case .transaction(let steps) = event.operation else { continue }
            for (place, step) in steps.enumerated() {
                guard case .readList(_, let values?) = step else { continue }
                let isShort = [.stale, .failed, .double, .invented, .erased].contains(mutation)
                if values.count >= (isShort ? 1 : 2) { places.append((event.index, place)) }
            }
        }
        guard !places.isEmpty else { return nil }
        let victim = places[Int(random.below(UInt64(places.count)))]
        guard case .transaction(let steps) = history.events[victim.event].operation,
            case .readList(let key, let values?) = steps[victim.step]
        else { return nil }
        var changed = values
        switch mutation {
        case .stale: changed.removeLast()
        case .hole: changed.remove(at: Int(random.below(UInt64(values.count - 1))))
        case .swap: changed.swapAt(0, 1)
        case .double: changed.append(values[0])
        case .invented: changed.append(-1)
        case .failed, .erased: break
        }
        var mutant = History()
        for event in history.events {
            var operation = event.operation
            var type = event.type
            if case .transaction(var steps) = operation {
                if event.index == victim.event { steps[victim.step] = .read(key, changed) }
                if mutation == .failed, type != .invoke,
                    steps.contains(.append(key, values[0]))
                {
                    type = .fail
                }
                if mutation == .erased {
                    steps = steps.map { step in
                        guard case .readList(key, let seen?) = step else { return step }
                        return .read(key, seen.filter { $0 != values[0] })
                    }
                }
                operation = .transaction(steps)
            }
            if type == .invoke {
                mutant.invoke(operation, process: event.process, time: event.time)
            } else {
                mutant.complete(type, operation, process: event.process, time: event.time)
            }
        }
        return mutant
    }

    /// What is found of 100 mutations each. A write that is read of may have been of unknown outcome,
    /// or its key may never be read again: some mutants are histories that could have been.
    @Test func mutationsAreFound() {
        let least: [Mutation: Int] = [
            .stale: 75, .hole: 95, .swap: 95, .double: 100, .invented: 100, .failed: 95,
            .erased: 80,
        ]
        for mutation in Mutation.allCases {
            var random = SeededRandom(seed: 4711)
            var found = 0
            for seed in 1...100 as ClosedRange<UInt64> {
                let original = history(.strict, seed: seed, transactions: 120)
                guard let mutant = mutated(original, mutation, &random) else { continue }
                if verdict(mutant, .strictSerializable) != .consistent { found += 1 }
            }
            #expect(found >= least[mutation] ?? 0, "\(mutation): \(found)")
        }
    }

    /// The time grows with the history and not faster; a release build takes well below a second.
    @Test func manyTransactions() {
        let history = history(.strict, seed: 1, transactions: 10_000, processes: 20, keys: 10)
        #expect(history.transactions().count { $0.outcome == .ok } > 9_000)
        #expect(verdict(history, .strictSerializable) == .consistent)
    }
}
