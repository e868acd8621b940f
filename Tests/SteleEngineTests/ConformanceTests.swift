import SteleBase
import SteleClock
import SteleEngine
import Testing

/// What every engine must do, one property a test.
@Suite struct ConformanceTests {
    @Test(arguments: EngineKind.allCases)
    func newestVersionIsTheLastOneAtOrBelow(_ kind: EngineKind) throws {
        try withEngine(kind) { engine in
            try engine.apply { list in
                list.put(key("a"), [1], at: time(10), by: writerID)
                list.put(key("a"), [3], at: time(30), by: writerID)
                list.put(key("a"), [2], at: time(20), by: TransactionID(9))
            }
            #expect(try engine.newestVersion(of: key("a"), at: time(9)) == nil)
            #expect(try engine.newestVersion(of: key("a"), at: time(10))?.value == [1])
            #expect(
                try engine.newestVersion(of: key("a"), at: time(29))
                    == Version(timestamp: time(20), transaction: TransactionID(9), value: [2]))
            #expect(try engine.newestVersion(of: key("a"), at: .max)?.value == [3])
            #expect(try engine.newestVersion(of: key("b"), at: .max) == nil)
            #expect(try engine.newestVersion(of: [], at: .max) == nil)
        }
    }

    @Test(arguments: EngineKind.allCases)
    func deletionIsAVersionButNoRow(_ kind: EngineKind) throws {
        try withEngine(kind) { engine in
            try engine.apply { list in
                list.put(key("a"), [1], at: time(10), by: writerID)
                list.delete(key("a"), at: time(20), by: writerID)
                list.put(key("b"), [], at: time(10), by: writerID)
            }
            #expect(
                try engine.newestVersion(of: key("a"), at: time(20))
                    == Version(timestamp: time(20), transaction: writerID, value: nil))
            for reverse in [false, true] {
                #expect(try engine.page(at: time(20), reverse: reverse).keys == ["b"])
                #expect(
                    try engine.page(at: time(19), reverse: reverse).keys
                        == (reverse ? ["b", "a"] : ["a", "b"]))
            }
            #expect(try engine.newestVersion(of: key("b"), at: .max)?.value == [])
        }
    }

    @Test(arguments: EngineKind.allCases)
    func versionsComeNewestFirst(_ kind: EngineKind) throws {
        try withEngine(kind) { engine in
            try engine.apply { list in
                for step: UInt64 in 1...9 {
                    list.put(key("a"), [UInt8(step)], at: time(step), by: writerID)
                }
                list.delete(key("a"), at: .max, by: writerID)
                list.put(key("a\0"), [99], at: time(9), by: writerID)
            }
            let above = try engine.versions(of: key("a"), above: time(6), limit: 10)
            #expect(above.map(\.timestamp) == [.max, time(9), time(8), time(7)])
            #expect(above.map(\.value) == [nil, [9], [8], [7]])
            #expect(try engine.versions(of: key("a"), above: .zero, limit: 2).count == 2)
            #expect(try engine.versions(of: key("a"), above: .zero, limit: 0).isEmpty)
            #expect(try engine.versions(of: key("a"), above: .max, limit: 9).isEmpty)
            #expect(try engine.versions(of: key("x"), above: .zero, limit: 9).isEmpty)
        }
    }

    @Test(arguments: EngineKind.allCases)
    func keysSortBytewiseWhateverFollows(_ kind: EngineKind) throws {
        let keys: [KeyBytes] = [
            [], [0], [0, 0], [0, 0xFF], [0x61], [0x61, 0], [0x61, 0, 0, 0, 0, 0, 0, 0, 0],
            [0x61, 0xFF], [0x62], [0xFF], [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF],
        ]
        try withEngine(kind) { engine in
            try engine.apply { list in
                for (index, key) in keys.enumerated().reversed() {
                    list.put(key, [UInt8(index)], at: .max, by: writerID)
                    list.put(key, [UInt8(index)], at: .zero, by: writerID)
                }
            }
            #expect(try engine.page(at: time(5)).plainRows.map(\.key) == keys)
            #expect(
                try engine.page(at: .max, reverse: true).plainRows.map(\.key) == keys.reversed())
            for (index, key) in keys.enumerated() {
                #expect(try engine.newestVersion(of: key, at: time(5))?.value == [UInt8(index)])
                let before = KeyRange(start: [], end: key)
                let expected = key.isEmpty ? keys : Array(keys[..<index])
                #expect(
                    try engine.page(before, reverse: true).plainRows.map(\.key).reversed()
                        == expected)
                #expect(try engine.page(before).plainRows.map(\.key) == expected)
            }
        }
    }

    @Test(arguments: EngineKind.allCases, [false, true])
    func scanStopsAtLimitsAndGoesOn(_ kind: EngineKind, reverse: Bool) throws {
        try withEngine(kind) { engine in
            try engine.apply { list in
                for index: UInt8 in 0..<10 {
                    list.put(
                        [index], [UInt8](repeating: index, count: 83), at: time(1), by: writerID)
                }
            }
            let all = try engine.page(reverse: reverse)
            #expect(all.count == 10 && all.resumeKey == nil)
            let two = try engine.page(limits: ScanLimits(rows: 2), reverse: reverse)
            #expect(two.plainRows == Array(all.plainRows[..<2]))
            #expect(two.resumeKey == all.plainRows[2].key)
            // A row takes up 100 bytes.
            let bytes = try engine.page(limits: ScanLimits(bytes: 399), reverse: reverse)
            #expect(bytes.count == 3 && bytes.resumeKey == all.plainRows[3].key)
            #expect(try engine.page(limits: ScanLimits(bytes: 400), reverse: reverse).count == 4)
            #expect(try engine.page(limits: ScanLimits(bytes: 0), reverse: reverse).count == 1)
            #expect(try engine.page(limits: ScanLimits(rows: 0), reverse: reverse).count == 1)
            #expect(
                try engine.page(limits: ScanLimits(rows: 10), reverse: reverse).resumeKey == nil)
            for limits in [ScanLimits(rows: 3), ScanLimits(bytes: 250), ScanLimits(rows: 1)] {
                let rows = try engine.rows(.all, at: .max, limits: limits, reverse: reverse)
                #expect(rows == all.plainRows)
            }
        }
    }

    @Test(arguments: EngineKind.allCases)
    func scanAppendsToThePage(_ kind: EngineKind) throws {
        try withEngine(kind) { engine in
            try engine.apply { list in
                for name in ["a", "b", "c"] { list.put(key(name), [1], at: time(1), by: writerID) }
            }
            var page = ScanPage(resumeKey: key("z"))
            let limits = ScanLimits(rows: 1)
            for name in ["c", "a", "x"] {
                let range = KeyRange(start: key(name), end: [])
                try engine.scan(range, at: .max, limits: limits, reverse: false, into: &page)
            }
            #expect(page.keys == ["c", "a"])
            #expect(page.resumeKey == nil)
            let empty = KeyRange(start: key("b"), end: key("a"))
            for reverse in [false, true] {
                #expect(try engine.page(empty, reverse: reverse).count == 0)
            }
        }
    }

    /// Many versions make the engine seek instead of stepping.
    @Test(arguments: EngineKind.allCases, [false, true])
    func scanPassesManyVersions(_ kind: EngineKind, reverse: Bool) throws {
        try withEngine(kind) { engine in
            try engine.apply { list in
                for name in ["a", "b", "c"] {
                    for step: UInt64 in 1...40 {
                        list.put(key(name), [UInt8(step)], at: time(step), by: writerID)
                    }
                }
            }
            for now: UInt64 in [1, 3, 5, 20, 37, 40, 41] {
                let rows = try engine.page(at: time(now), reverse: reverse).plainRows
                #expect(rows.map(\.value) == .init(repeating: [UInt8(min(now, 40))], count: 3))
            }
            #expect(try engine.page(at: time(0), reverse: reverse).count == 0)
        }
    }

    @Test(arguments: EngineKind.allCases)
    func firstChangeFindsTheFirstKeyWrittenSince(_ kind: EngineKind) throws {
        try withEngine(kind) { engine in
            try engine.apply { list in
                for step: UInt64 in 1...20 { list.put(key("a"), [1], at: time(step), by: writerID) }
                list.delete(key("b"), at: time(30), by: writerID)
                list.put(key("c"), [1], at: time(40), by: writerID)
            }
            #expect(try engine.firstChange(in: .all, above: time(0)) == key("a"))
            #expect(try engine.firstChange(in: .all, above: time(19)) == key("a"))
            #expect(try engine.firstChange(in: .all, above: time(20)) == key("b"))
            #expect(try engine.firstChange(in: .all, above: time(30)) == key("c"))
            #expect(try engine.firstChange(in: .all, above: time(40)) == nil)
            let tail = KeyRange(start: key("b\0"), end: key("c"))
            #expect(try engine.firstChange(in: tail, above: .zero) == nil)
            let empty = KeyRange(start: key("c"), end: key("a"))
            #expect(try engine.firstChange(in: empty, above: .zero) == nil)
        }
    }

    @Test(arguments: EngineKind.allCases)
    func plainFamiliesAreSeparate(_ kind: EngineKind) throws {
        let families: [PlainFamily] = [.transactions, .local]
        try withEngine(kind) { engine in
            try engine.apply { list in
                for (index, family) in families.enumerated() {
                    for name in ["", "j", "l"] { list.put(key(name), [], in: family) }
                    list.put(key("k"), [UInt8(index)], in: family)
                }
                list.put(intent([5]), at: key("k"))
            }
            for (index, family) in families.enumerated() {
                #expect(try engine.value(of: key("k"), in: family) == [UInt8(index)])
                #expect(try engine.value(of: key("l"), in: family) == [])
                #expect(try engine.value(of: key("m"), in: family) == nil)
            }
            #expect(try engine.value(of: key("k"), in: .locks) == intent([5]).encoded)
            #expect(try engine.plainPairs(of: .all, in: .locks).count == 1)
            #expect(
                try engine.plainPairs(of: KeyRange(key: key("k")), in: .local)
                    == [PlainPair(key: key("k"), value: [1])])
            try engine.apply { list in
                list.delete(key("k"), in: .transactions)
                list.delete(key("unknown"), in: .transactions)
            }
            #expect(try engine.value(of: key("k"), in: .transactions) == nil)
            #expect(try engine.value(of: key("k"), in: .local) == [1])
            #expect(try engine.page().count == 0)
            let empty = KeyRange(start: key("z"), end: key("a"))
            #expect(try engine.plainPairs(of: empty, in: .local).isEmpty)

            func names(_ family: PlainFamily) throws -> [KeyBytes] {
                try engine.plainPairs(of: .all, in: family).map(\.key)
            }
            try engine.apply { $0.clear(KeyRange(start: key("j"), end: key("l")), in: .local) }
            #expect(try names(.local) == [[], key("l")])
            try engine.apply { list in
                list.put(key("z"), [], in: .transactions)
                list.clear(empty, in: .transactions)
                list.clear(KeyRange(start: key("j"), end: []), in: .transactions)
                list.put(key("y"), [], in: .transactions)
            }
            #expect(try names(.transactions) == [[], key("y")])
            #expect(try names(.locks) == [key("k")])
            try engine.apply { $0.clear(.all, in: .locks) }
            #expect(try names(.locks).isEmpty)
        }
    }

    /// Pairs take up 100 bytes each, intents some more.
    @Test(arguments: EngineKind.allCases)
    func rawScansStopAtLimitsAndGoOn(_ kind: EngineKind) throws {
        let keys = (0..<10).map { [UInt8($0)] }
        try withEngine(kind) { engine in
            try engine.apply { list in
                for key in keys {
                    list.put(key, [UInt8](repeating: 1, count: 99), in: .transactions)
                    list.put(key, [UInt8](repeating: 2, count: 99), in: .local)
                    list.put(intent([UInt8](repeating: 3, count: 99)), at: key)
                }
            }
            let snapshot = try engine.snapshot()
            try engine.apply { list in
                for family in PlainFamily.allCases { list.clear(.all, in: family) }
                list.put([2], [], in: .transactions)
            }
            for family in PlainFamily.allCases {
                func page(
                    _ limits: PairLimits, _ range: KeyRange = .all
                ) throws -> (keys: [[UInt8]], resumeKey: [UInt8]?) {
                    let page = try snapshot.pairs(of: range, in: family, limits: limits)
                    return (page.pairs.map(\.key), page.resumeKey)
                }
                #expect(try page(.none) == (keys, nil))
                #expect(try page(PairLimits(pairs: 10)) == (keys, nil))
                #expect(try page(PairLimits(pairs: 3)) == (Array(keys[..<3]), [3]))
                let tail = KeyRange(start: [8], end: [9, 0])
                #expect(try page(PairLimits(pairs: 2), tail) == (Array(keys[8...]), nil))
                #expect(try page(PairLimits(pairs: 1), tail) == ([[8]], [9]))
                // One in any case.
                for limits in [PairLimits(pairs: 0), PairLimits(bytes: 0), PairLimits(pairs: -1)] {
                    #expect(try page(limits) == ([[0]], [1]))
                }
                let size = 1 + (try snapshot.value(of: [0], in: family)?.count ?? 0)
                #expect(try page(PairLimits(bytes: 4 * size)) == (Array(keys[..<4]), [4]))
                #expect(try page(PairLimits(bytes: 4 * size - 1)) == (Array(keys[..<3]), [3]))
                for limits in [PairLimits(pairs: 3), PairLimits(bytes: 2 * size)] {
                    let pairs = try snapshot.plainPairs(of: .all, in: family, limits: limits)
                    #expect(pairs.map(\.key) == keys)
                }
                let empty = KeyRange(start: [5], end: [4])
                #expect(try page(PairLimits(pairs: 0), empty) == ([], nil))
            }
            let some = try snapshot.intents(in: .all, limits: PairLimits(pairs: 4))
            #expect(some.intents.map(\.key) == Array(keys[..<4]) && some.resumeKey == [4])
            #expect(some.intents.allSatisfy { $0.intent.value?.count == 99 })
            #expect(try engine.plainPairs(of: .all, in: .transactions).map(\.key) == [[2]])
        }
    }

    @Test(arguments: EngineKind.allCases)
    func clearDropsAllVersionsOfItsRangeOnly(_ kind: EngineKind) throws {
        let names = ["a", "b", "b\0", "c", "d"]
        try withEngine(kind) { engine in
            func fill() throws {
                try engine.apply { list in
                    for name in names {
                        for at in [.zero, time(5), .max] as [Timestamp] {
                            list.put(key(name), [1], at: at, by: writerID)
                        }
                        list.put(key(name), [1], in: .transactions)
                    }
                }
            }
            func expectKeys(_ expected: [String]) throws {
                #expect(try engine.page().keys == expected)
                #expect(try engine.page(reverse: true).keys == expected.reversed())
                for name in names {
                    let count = expected.contains(name) ? 2 : 0
                    #expect(
                        try engine.versions(of: key(name), above: .zero, limit: 9).count == count)
                }
            }
            try fill()
            try expectKeys(names)
            try engine.apply { $0.clear(KeyRange(start: key("b"), end: key("c"))) }
            try expectKeys(["a", "c", "d"])
            try fill()
            try expectKeys(names)
            try engine.apply { $0.clear(KeyRange(start: key("c"), end: key("b"))) }
            try expectKeys(names)
            try engine.apply { $0.clear(KeyRange(start: key("b\0"), end: [])) }
            try expectKeys(["a", "b"])
            try engine.apply { $0.clear(.all) }
            try expectKeys([])
            try engine.apply { $0.clear(.all) }
            #expect(try engine.plainPairs(of: .all, in: .transactions).count == names.count)
        }
    }

    @Test(arguments: EngineKind.allCases)
    func clearKeepsTheOrderOfItsList(_ kind: EngineKind) throws {
        try withEngine(kind) { engine in
            try engine.apply { list in
                list.put([0xFF, 0xFF], [1], at: time(1), by: writerID)
                list.put(key("a"), [1], at: time(1), by: writerID)
                list.clear(.all)
                list.put(key("b"), [2], at: time(1), by: writerID)
                list.put([0xFF, 0xFF, 0xFF], [2], at: time(1), by: writerID)
            }
            #expect(try engine.page().plainRows.map(\.key) == [key("b"), [0xFF, 0xFF, 0xFF]])
        }
    }
}
