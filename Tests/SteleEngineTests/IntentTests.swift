import SteleBase
import SteleClock
import SteleEngine
import SteleRocksDB
import Testing

/// What reads make of intents and of the uncertainty window.
@Suite struct IntentTests {
    private let own = TransactionID(11)
    private let other = TransactionID(12)

    private func conflict(
        _ transaction: TransactionID, at timestamp: Timestamp
    ) -> ReadConflict {
        .intent(
            IntentOwner(
                transaction: transaction, timestamp: timestamp, sequence: 3,
                anchor: key("anchor")))
    }

    /// a: a version at 10, another's intent at 20. b: versions at 10 and 30, an own intent at 25.
    /// c: an own deletion. d: nothing but another's intent at 20.
    private func fill(_ engine: some StorageEngine) throws {
        try engine.apply { list in
            for name in ["a", "b", "c"] { list.put(key(name), [1], at: time(10), by: writerID) }
            list.put(key("b"), [2], at: time(30), by: writerID)
            list.put(intent([20], by: other, at: time(20)), at: key("a"))
            list.put(intent([25], by: own, at: time(25)), at: key("b"))
            list.put(intent(nil, by: own, at: time(25)), at: key("c"))
            list.put(intent([21], by: other, at: time(20)), at: key("d"))
        }
    }

    @Test(arguments: EngineKind.allCases)
    func readsMeetIntents(_ kind: EngineKind) throws {
        try withEngine(kind) { engine in
            try fill(engine)
            func read(
                _ name: String, _ at: UInt64, limit: UInt64? = nil, by: TransactionID = .none
            ) throws -> ReadOutcome {
                let point = ReadPoint(
                    time(at), uncertaintyLimit: limit.map { time($0) }, transaction: by)
                let (outcome, value) = try engine.read(key(name), at: point)
                var many: [UInt8] = [0]
                let all = try engine.read([key("zzz"), key(name)], at: point, into: &many)
                #expect(all == [.none, outcome] && many == [0] + value)
                return outcome
            }
            let old = ReadOutcome.value(timestamp: time(10), transaction: writerID, count: 1)
            #expect(try read("a", 19) == old)
            #expect(try read("a", 20) == .conflict(conflict(other, at: time(20))))
            #expect(try read("a", 15, limit: 19) == old)
            #expect(try read("a", 15, limit: 20) == .conflict(conflict(other, at: time(20))))
            #expect(try read("a", 9) == .none)
            #expect(
                try read("a", 5, by: other)
                    == .value(timestamp: time(20), transaction: other, count: 1))
            #expect(
                try read("b", 12, by: own)
                    == .value(timestamp: time(25), transaction: own, count: 1))
            #expect(try read("b", 24) == old)
            #expect(try read("b", 24, limit: 30) == .conflict(conflict(own, at: time(25))))
            #expect(try read("c", 12, by: own) == .deletion(timestamp: time(25), transaction: own))
            #expect(try read("d", 19) == .none)
            #expect(try read("d", 20, by: own) == .conflict(conflict(other, at: time(20))))
            #expect(
                try read("d", 0, by: other)
                    == .value(timestamp: time(20), transaction: other, count: 1))
        }
    }

    @Test(arguments: EngineKind.allCases)
    func uncertainVersionsAreReported(_ kind: EngineKind) throws {
        try withEngine(kind) { engine in
            try engine.apply { list in
                for at: UInt64 in [10, 20, 30, 40] {
                    list.put(key("a"), [UInt8(at)], at: time(at), by: writerID)
                }
                list.delete(key("b"), at: time(22), by: writerID)
                list.put(key("c"), [1], at: time(5), by: writerID)
            }
            let point = ReadPoint(time(15), uncertaintyLimit: time(39))
            #expect(try engine.read(key("a"), at: point).0 == .conflict(.uncertain(time(30))))
            #expect(try engine.read(key("b"), at: point).0 == .conflict(.uncertain(time(22))))
            #expect(
                try engine.read(key("a"), at: ReadPoint(time(30), uncertaintyLimit: time(39))).0
                    == .value(timestamp: time(30), transaction: writerID, count: 1))
            for reverse in [false, true] {
                let page = try engine.page(at: point, reverse: reverse)
                let names = page.conflicts.map(\.key)
                #expect(names == (reverse ? [key("b"), key("a")] : [key("a"), key("b")]))
                #expect(page.conflicts[reverse ? 1 : 0].conflict == .uncertain(time(30)))
                #expect(page.keys == (reverse ? ["c"] : []))
                #expect(page.resumeKey == names[0])
            }
        }
    }

    @Test(arguments: EngineKind.allCases)
    func scansMergeIntents(_ kind: EngineKind) throws {
        try withEngine(kind) { engine in
            try fill(engine)
            let ours = try engine.page(at: ReadPoint(time(15), transaction: own))
            #expect(ours.plainRows.map(\.value) == [[1], [25]])
            #expect(ours.resumeKey == nil && ours.conflicts.isEmpty)
            let theirs = try engine.page(
                at: ReadPoint(time(15), transaction: other), reverse: true)
            #expect(theirs.keys == ["d", "c", "b", "a"])
            #expect(theirs.plainRows.map(\.value) == [[21], [1], [1], [20]])

            let now = try engine.page(at: ReadPoint(time(22), transaction: own))
            #expect(now.count == 0 && now.resumeKey == key("a"))
            #expect(now.conflicts.map(\.key) == [key("a"), key("d")])
            #expect(now.conflicts.allSatisfy { $0.conflict == conflict(other, at: time(20)) })
            let back = try engine.page(
                KeyRange(start: [], end: key("d")), at: ReadPoint(time(22), transaction: own),
                reverse: true)
            #expect(back.keys == ["b"] && back.resumeKey == key("a"))
            let one = try engine.page(at: ReadPoint(time(22)), limits: ScanLimits(conflicts: 1))
            #expect(one.conflicts.map(\.key) == [key("a")] && one.resumeKey == key("a"))
        }
    }

    @Test(arguments: EngineKind.allCases)
    func resolutionIsForTheOwnerOnly(_ kind: EngineKind) throws {
        try withEngine(kind) { engine in
            try fill(engine)
            func expectIntents(_ names: [String]) throws {
                #expect(try engine.allIntents().map(\.key) == names.map { key($0) })
            }
            try engine.apply { list in
                list.removeIntent(at: key("a"), of: own)
                list.resolveIntent(at: key("a"), of: own, committedAt: time(50))
                list.removeIntent(at: key("x"), of: own)
                list.resolveIntent(at: key("x"), of: own, committedAt: time(50))
            }
            try expectIntents(["a", "b", "c", "d"])
            let resolve = mutations { list in
                list.resolveIntent(at: key("a"), of: other, committedAt: time(50))
                list.resolveIntent(at: key("c"), of: own, committedAt: time(51))
                list.removeIntent(at: key("d"), of: other)
            }
            // Twice, as after a crash.
            for _ in 0..<2 {
                try engine.apply([resolve])
                try expectIntents(["b"])
                #expect(
                    try engine.newestVersion(of: key("a"), at: .max)
                        == Version(timestamp: time(50), transaction: other, value: [20]))
                #expect(
                    try engine.newestVersion(of: key("c"), at: .max)
                        == Version(timestamp: time(51), transaction: own, value: nil))
                #expect(try engine.newestVersion(of: key("d"), at: .max) == nil)
            }
            // A mutation depends on those before it in the same batch.
            let first = mutations { list in
                list.put(intent([7], by: other), at: key("e"))
                list.clear(KeyRange(start: key("b"), end: key("c")), in: .locks)
                list.put(intent([8], by: other), at: key("f"))
                list.removeIntent(at: key("f"), of: other)
            }
            let second = mutations { list in
                list.resolveIntent(at: key("e"), of: other, committedAt: time(60))
                list.resolveIntent(at: key("b"), of: own, committedAt: time(60))
                list.resolveIntent(at: key("f"), of: other, committedAt: time(60))
            }
            try engine.apply([first, second])
            try expectIntents([])
            #expect(try engine.newestVersion(of: key("e"), at: .max)?.value == [7])
            #expect(try engine.newestVersion(of: key("b"), at: .max)?.value == [2])
            #expect(try engine.newestVersion(of: key("f"), at: .max) == nil)
        }
    }

    @Test(arguments: EngineKind.allCases)
    func snapshotsKeepShowingTheirState(_ kind: EngineKind) throws {
        try withEngine(kind) { engine in
            try fill(engine)
            try engine.apply { $0.put(key("k"), [1], in: .transactions) }
            let snapshot = try engine.snapshot()
            try engine.apply { list in
                list.resolveIntent(at: key("a"), of: other, committedAt: time(20))
                list.removeIntent(at: key("d"), of: other)
                list.clear(KeyRange(start: key("b"), end: key("c")))
                list.put(intent([9], by: own), at: key("z"))
                list.put(key("y"), [9], at: time(1), by: writerID)
                list.delete(key("k"), in: .transactions)
            }
            try engine.flush()
            let later = try engine.snapshot()
            for _ in 0..<2 {
                #expect(
                    try snapshot.page(at: ReadPoint(time(20))).conflicts.map(\.key)
                        == [key("a"), key("d")])
                #expect(
                    try snapshot.read(key("a"), at: ReadPoint(time(20))).0
                        == .conflict(conflict(other, at: time(20))))
                #expect(try snapshot.page(at: time(12)).keys == ["a", "b", "c"])
                #expect(try snapshot.value(of: key("k"), in: .transactions) == [1])
                #expect(try snapshot.versions(of: key("b"), above: .zero, limit: 9).count == 2)
                #expect(try snapshot.allIntents().count == 4)
                for reader in [engine, later] as [any EngineReader] {
                    #expect(
                        try reader.page(at: ReadPoint(time(25), transaction: own)).keys
                            == ["a", "b", "y", "z"])
                    #expect(try reader.value(of: key("k"), in: .transactions) == nil)
                    #expect(try reader.firstChange(in: .all, above: time(11)) == key("a"))
                }
            }
        }
    }

    @Test func intentsAreThereAfterReopening() throws {
        try withTemporaryDirectory { directory in
            let engine = try RocksDBEngine(directory: directory + "/store", options: .small)
            try fill(engine)
            try engine.flush()
            try engine.apply { $0.removeIntent(at: key("a"), of: other) }
            engine.close()
            let again = try RocksDBEngine(directory: directory + "/store", options: .small)
            defer { again.close() }
            #expect(try again.allIntents().count == 4)
            let (outcome, _) = try again.read(key("a"), at: ReadPoint(time(20)))
            #expect(outcome == .conflict(conflict(other, at: time(20))))
        }
    }

    /// Behind a conflict rows are no longer taken, so the search for more of them must end.
    @Test(arguments: EngineKind.allCases)
    func searchForConflictsIsBounded(_ kind: EngineKind) throws {
        try withEngine(kind) { engine in
            try engine.apply { list in
                for index: UInt16 in 0..<3000 {
                    let name = [UInt8(index >> 8), UInt8(index & 0xFF)]
                    list.put(name, [], at: time(1), by: writerID)
                }
                list.put(intent([], by: other), at: [0, 5])
                list.put(intent([], by: other), at: [3, 0xFF])
                list.put(intent([], by: other), at: [10, 0])
            }
            let limits = ScanLimits(bytes: .max)
            let page = try engine.page(at: ReadPoint(time(9)), limits: limits)
            #expect(page.count == 5 && page.resumeKey == [0, 5])
            #expect(page.conflicts.map(\.key) == [[0, 5], [3, 0xFF]])
        }
    }
}
