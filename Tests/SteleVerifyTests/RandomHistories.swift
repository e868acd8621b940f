import SteleBase
import SteleVerify
import Testing

/// Histories drawn from a register that really is one must pass; most mutations of them must not.
struct RandomHistories {
    /// Operations that overlap at random, each taking effect at one moment within its span.
    private func history(seed: UInt64, processes: Int, operations: Int) -> History {
        var random = SeededRandom(seed: seed)
        var history = History()
        var registers: [Int?] = [nil, nil]
        var nextValue = 1
        /// What each process is doing: its operation, and the result once it took effect.
        var running = [(operation: History.Operation, result: History.Operation?, ok: Bool)?](
            repeating: nil, count: processes)
        var names = Array(0..<processes)
        var started = 0
        var time: UInt64 = 0
        while started < operations || running.contains(where: { $0 != nil }) {
            time += 1
            let process = Int(random.below(UInt64(processes)))
            guard let current = running[process] else {
                guard started < operations else { continue }
                started += 1
                let key = Int(random.below(2))
                let operation: History.Operation
                switch random.below(3) {
                case 0: operation = .read(key: key, value: nil)
                case 1: operation = .write(key: key, value: nextValue)
                default:
                    let expected = random.oneIn(3) ? Int(random.below(9)) : registers[key]
                    operation = .compareAndSet(key: key, expected: expected, new: nextValue)
                }
                nextValue += 1
                history.invoke(operation, process: names[process], time: time)
                running[process] = (operation, nil, true)
                continue
            }
            if random.oneIn(12) {
                history.complete(.info, process: names[process], time: time)
                names[process] += processes
                running[process] = nil
            } else if let result = current.result {
                history.complete(
                    current.ok ? .ok : .fail, result, process: names[process], time: time)
                running[process] = nil
            } else {
                running[process] = applied(current.operation, to: &registers)
            }
        }
        return history
    }

    private func applied(
        _ operation: History.Operation, to registers: inout [Int?]
    ) -> (operation: History.Operation, result: History.Operation?, ok: Bool) {
        switch operation {
        case .read(let key, _):
            return (operation, .read(key: key, value: registers[key]), true)
        case .write(let key, let value):
            registers[key] = value
            return (operation, operation, true)
        case .compareAndSet(let key, let expected, let new):
            guard registers[key] == expected else { return (operation, operation, false) }
            registers[key] = new
            return (operation, operation, true)
        case .transaction: return (operation, operation, false)
        }
    }

    @Test(arguments: 1...200 as ClosedRange<UInt64>)
    func realRegister(seed: UInt64) {
        let history = history(
            seed: seed, processes: 3 + Int(seed % 6), operations: 60 + Int(seed % 50))
        #expect(RegisterChecker().check(history) == .linearizable)
    }

    /// Replaces the result of one read by another value of the register, mostly an old one.
    private func mutated(_ history: History, _ random: inout SeededRandom) -> History {
        let reads = history.events.filter {
            guard $0.type == .ok, case .read(_, .some) = $0.operation else { return false }
            return true
        }
        let victim = reads[Int(random.below(UInt64(reads.count)))].index
        var mutant = History()
        for event in history.events {
            var operation = event.operation
            if event.index == victim, case .read(let key, let value) = operation {
                operation = .read(key: key, value: max(1, (value ?? 9) - 7))
            }
            switch event.type {
            case .invoke: mutant.invoke(operation, process: event.process, time: event.time)
            default:
                mutant.complete(event.type, operation, process: event.process, time: event.time)
            }
        }
        return mutant
    }

    @Test func mostMutationsAreFound() {
        var random = SeededRandom(seed: 4711)
        var found = 0
        for seed in 1...200 as ClosedRange<UInt64> {
            let mutant = mutated(history(seed: seed, processes: 4, operations: 80), &random)
            if case .notLinearizable = RegisterChecker().check(mutant) { found += 1 }
        }
        #expect(found > 160, "only \(found) of 200 wrong histories were found")
    }
}
