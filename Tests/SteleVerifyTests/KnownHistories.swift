import SteleVerify
import Testing

/// Histories with a known verdict, written down by hand.
struct KnownHistories {
    /// Begins and ends, in real-time order: (process, what).
    private enum Step {
        case invoke(Int, History.Operation)
        case ok(Int, History.Operation? = nil)
        case fail(Int)
        case info(Int)
    }

    private func verdict(_ steps: [Step]) -> RegisterChecker.Verdict {
        var history = History()
        for (time, step) in steps.enumerated() {
            let time = UInt64(time)
            switch step {
            case .invoke(let process, let operation):
                history.invoke(operation, process: process, time: time)
            case .ok(let process, let operation):
                history.complete(.ok, operation, process: process, time: time)
            case .fail(let process): history.complete(.fail, process: process, time: time)
            case .info(let process): history.complete(.info, process: process, time: time)
            }
        }
        return RegisterChecker().check(history)
    }

    private func write(_ value: Int, key: Int = 1) -> History.Operation {
        .write(key: key, value: value)
    }

    private func read(_ value: Int? = nil, key: Int = 1) -> History.Operation {
        .read(key: key, value: value)
    }

    private func swap(_ expected: Int?, _ new: Int) -> History.Operation {
        .compareAndSet(key: 1, expected: expected, new: new)
    }

    private func isRefused(_ steps: [Step]) -> Bool {
        if case .notLinearizable = verdict(steps) { return true }
        return false
    }

    @Test func emptyHistory() {
        #expect(verdict([]) == .linearizable)
    }

    @Test func readOfWhatWasWritten() {
        #expect(
            verdict([
                .invoke(1, read()), .ok(1, read(nil)),
                .invoke(1, write(5)), .ok(1), .invoke(2, read()), .ok(2, read(5)),
            ]) == .linearizable)
    }

    @Test func staleRead() {
        #expect(
            isRefused([
                .invoke(1, write(1)), .ok(1), .invoke(1, write(2)), .ok(1),
                .invoke(2, read()), .ok(2, read(1)),
            ]))
    }

    @Test func readDuringWriteMaySeeEither() {
        for seen in [nil, 1] as [Int?] {
            #expect(
                verdict([
                    .invoke(1, write(1)), .invoke(2, read()), .ok(2, read(seen)), .ok(1),
                ]) == .linearizable)
        }
    }

    @Test func newThenOldWithinOneWrite() {
        #expect(
            isRefused([
                .invoke(1, write(1)), .invoke(2, read()), .ok(2, read(1)),
                .invoke(3, read()), .ok(3, read(nil)), .ok(1),
            ]))
    }

    @Test func lostWrite() {
        #expect(
            isRefused([
                .invoke(1, write(1)), .ok(1), .invoke(2, read()), .ok(2, read(nil)),
            ]))
    }

    @Test func valueFromNowhere() {
        #expect(isRefused([.invoke(1, read()), .ok(1, read(7))]))
    }

    @Test func swapThatShouldHaveFailed() {
        #expect(
            isRefused([
                .invoke(1, write(1)), .ok(1), .invoke(2, swap(2, 3)), .ok(2),
            ]))
    }

    @Test func swapOfAnAbsentKey() {
        #expect(
            verdict([
                .invoke(2, swap(nil, 3)), .ok(2), .invoke(1, read()), .ok(1, read(3)),
            ]) == .linearizable)
    }

    @Test func twoSwapsFromOneValue() {
        #expect(
            isRefused([
                .invoke(1, write(1)), .ok(1),
                .invoke(1, swap(1, 2)), .invoke(2, swap(1, 3)), .ok(1), .ok(2),
            ]))
    }

    @Test func unknownWriteSeenLater() {
        #expect(
            verdict([
                .invoke(1, write(1)), .info(1), .invoke(2, read()), .ok(2, read(nil)),
                .invoke(2, write(2)), .ok(2), .invoke(2, read()), .ok(2, read(1)),
            ]) == .linearizable)
    }

    @Test func unknownWriteNeverSeen() {
        #expect(
            verdict([
                .invoke(1, write(1)), .info(1), .invoke(2, read()), .ok(2, read(nil)),
            ]) == .linearizable)
    }

    @Test func unknownWriteCannotBeUndone() {
        #expect(
            isRefused([
                .invoke(1, write(1)), .info(1), .invoke(2, read()), .ok(2, read(1)),
                .invoke(2, read()), .ok(2, read(nil)),
            ]))
    }

    @Test func unknownWriteCannotPrecedeItsInvocation() {
        #expect(
            isRefused([
                .invoke(2, read()), .ok(2, read(1)), .invoke(1, write(1)), .info(1),
            ]))
    }

    @Test func failedWriteIsNeverSeen() {
        #expect(
            isRefused([
                .invoke(1, write(1)), .fail(1), .invoke(2, read()), .ok(2, read(1)),
            ]))
    }

    @Test func writeThatNeverEnded() {
        #expect(
            verdict([
                .invoke(1, write(1)), .invoke(2, read()), .ok(2, read(1)),
            ]) == .linearizable)
    }

    @Test func keysAreIndependent() {
        #expect(
            verdict([
                .invoke(1, write(1)), .ok(1), .invoke(1, write(2, key: 2)), .ok(1),
                .invoke(2, read(key: 2)), .ok(2, read(2, key: 2)),
                .invoke(2, read()), .ok(2, read(1)),
            ]) == .linearizable)
        #expect(
            isRefused([
                .invoke(1, write(1)), .ok(1), .invoke(2, read(key: 2)), .ok(2, read(1, key: 2)),
            ]))
    }

    @Test func counterexampleNamesTheOperation() {
        let found = verdict([
            .invoke(1, write(1)), .ok(1), .invoke(2, read()), .ok(2, read(nil)),
        ])
        guard case .notLinearizable(let example) = found else {
            Issue.record("a lost write was not found")
            return
        }
        #expect(example.key == 1)
        #expect(example.operation.operation == read(nil))
        #expect(example.value == 1)
    }

    @Test func searchGivesUpAtItsLimit() {
        var history = History()
        for process in 0..<12 {
            history.invoke(write(process), process: process, time: 0)
        }
        history.invoke(read(), process: 20, time: 1)
        history.complete(.ok, read(99), process: 20, time: 2)
        #expect(RegisterChecker(limit: 100).check(history) == .undecided(key: 1))
    }
}
