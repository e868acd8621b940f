import SteleBase
import SteleClock
import SteleEngine
import Testing

/// How mutation lists are applied, and refused.
@Suite struct ApplyTests {
    private let tablet = TabletID(3)
    private let replica = ReplicaID(4)

    private func applied(_ index: UInt64) -> AppliedState {
        AppliedState(tablet: tablet, replica: replica, index: index, term: 2)
    }

    @Test(arguments: EngineKind.allCases)
    func appliedStateGoesWithItsEffects(_ kind: EngineKind) throws {
        try withEngine(kind) { engine in
            #expect(try engine.appliedState(tablet: tablet, replica: replica) == nil)
            let first = mutations { $0.put(key("a"), [1], at: time(1), by: writerID) }
            let second = mutations { $0.put(key("a"), [2], at: time(2), by: writerID) }
            // The lists are slices of something bigger, as they are in a log.
            let log = [0, 0] + first + second + [9]
            let middle = 2 + first.count
            try engine.apply(
                [log[2..<middle], log[middle..<middle + second.count]], applied: applied(5))
            #expect(try engine.newestVersion(of: key("a"), at: .max)?.value == [2])
            #expect(try engine.appliedState(tablet: tablet, replica: replica) == applied(5))
            try engine.apply([], applied: applied(6))
            #expect(try engine.appliedState(tablet: tablet, replica: replica) == applied(6))
            try engine.apply([], applied: nil)
            #expect(try engine.appliedState(tablet: tablet, replica: ReplicaID(5)) == nil)
        }
    }

    @Test(arguments: EngineKind.allCases, [0, 1, 40, 300, 100_000])
    func partsLeadWhereTheWholeListDoes(_ kind: EngineKind, maxBytes: Int) throws {
        let list = mutations { list in
            for index: UInt8 in 0..<50 {
                list.put([index], [index], at: time(1), by: writerID)
                if index % 7 == 0 { list.delete([index], at: time(2), by: writerID) }
                if index % 5 == 0 { list.put([index], [index], in: .transactions) }
                if index % 20 == 0 {
                    list.clear(KeyRange(start: [index / 2], end: [index / 2 + 1]))
                }
            }
        }
        try withEngine(.memory) { whole in
            try whole.apply([list], applied: nil)
            try withEngine(kind) { engine in
                var offset = 0
                var turns = 0
                while offset < list.count {
                    let next = try engine.applyPart(of: list, from: offset, maxBytes: maxBytes)
                    #expect(next > offset)
                    // No more than one mutation, of 40 bytes at most here, beyond the limit.
                    #expect(next - offset <= maxBytes + 40)
                    offset = next
                    turns += 1
                }
                #expect(offset == list.count)
                #expect(turns == 1 || maxBytes < list.count)
                #expect(
                    try engine.applyPart(of: list, from: offset, maxBytes: maxBytes) == list.count)
                #expect(try engine.page().plainRows == whole.page().plainRows)
                #expect(
                    try engine.plainPairs(of: .all, in: .transactions)
                        == whole.plainPairs(of: .all, in: .transactions))
            }
        }
    }

    @Test(arguments: EngineKind.allCases)
    func partOfAnEmptyListIsDone(_ kind: EngineKind) throws {
        try withEngine(kind) { engine throws in
            let empty = mutations { _ in }
            #expect(try engine.applyPart(of: empty, from: 0, maxBytes: 10) == 1)
            #expect(try engine.applyPart(of: empty, from: 1, maxBytes: 10) == 1)
        }
    }

    @Test(arguments: EngineKind.allCases)
    func malformedListsLeaveNoTrace(_ kind: EngineKind) throws {
        let good = mutations { list in
            list.put(key("key"), key("value"), at: time(1), by: writerID)
            list.delete(key("key"), at: time(2), by: writerID)
            list.put(key("key"), key("value"), in: .local)
            list.delete(key("other"), in: .transactions)
            list.clear(KeyRange(start: key("x"), end: key("y")))
            list.put(intent([1, 2]), at: key("key"))
            list.put(intent(nil, anchor: []), at: key("other"))
            list.removeIntent(at: key("other"), of: writerID)
            list.resolveIntent(at: key("key"), of: writerID, committedAt: time(5))
            list.clear(KeyRange(start: key("x"), end: []), in: .locks)
            list.dropVersions(of: key("key"), upTo: time(1))
            list.raise(
                Watermark(timestamp: time(1), range: KeyRange(key: key("key"))), tablet: tablet,
                replica: replica)
        }
        var boundaries: Set<Int> = []
        var reader = try MutationReader(good)
        repeat { boundaries.insert(reader.offset) } while try reader.next() != nil

        var bad: [ArraySlice<UInt8>] = [[], [0], [2] + good.dropFirst(), good + [0], good + [99]]
        bad += [good + [3, 0, 0, 0, 0, 0, 0, 0, 0, 0], good + [4, 4, 0, 0, 0, 0]]
        bad += [
            good + [1, 255, 255, 255, 255, 255, 255, 255, 255] + [UInt8](repeating: 0, count: 20)
        ]
        // Intents and watermarks are no plain values, and intents have a form.
        let watermark = LocalKey(tablet: tablet, replica: replica, item: .watermark).bytes
        bad += [
            good + [3, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1], good + [4, 1, 1, 0, 0, 0, 1],
            good + [3, 3, 17, 0, 0, 0, 0, 0, 0, 0] + watermark,
            good + [6, 1, 0, 0, 0, 1, 0, 0, 0, 1, 1],
            good + [9, 4] + [UInt8](repeating: 0, count: 8),
        ]
        for byte in [0, 1] {
            var encoded = intent([1]).encoded
            encoded[byte] = 9
            bad.append(good + [6, 0, 0, 0, 0, UInt8(encoded.count), 0, 0, 0] + encoded)
        }
        for end in 1..<good.count where !boundaries.contains(end) { bad.append(good[..<end]) }

        try withEngine(kind) { engine in
            let before = engine.unflushedBytes
            for list in bad {
                expectInvalid { try engine.apply([list], applied: applied(1)) }
                expectInvalid { try engine.apply([good, list], applied: applied(1)) }
                expectInvalid {
                    _ = try engine.applyPart(of: list, from: 0, maxBytes: .max)
                }
            }
            expectInvalid { _ = try engine.applyPart(of: good, from: -1, maxBytes: .max) }
            expectInvalid {
                _ = try engine.applyPart(of: good, from: good.count + 1, maxBytes: .max)
            }
            #expect(try engine.page().count == 0)
            for family in PlainFamily.allCases {
                #expect(try engine.plainPairs(of: .all, in: family).isEmpty)
            }
            #expect(engine.unflushedBytes == before)
            try engine.apply([good], applied: applied(1))
            #expect(try engine.appliedState(tablet: tablet, replica: replica) == applied(1))
        }
    }

    @Test(arguments: EngineKind.allCases)
    func overlongKeysAndValuesAreRefused(_ kind: EngineKind) throws {
        let long = KeyBytes(repeating: 1, count: Limits.storedKeyBytes + 1)
        let big = [UInt8](repeating: 1, count: Limits.valueBytes + 1)
        let lists = [
            mutations { $0.put(long, [], at: time(1), by: writerID) },
            mutations { $0.put([], big, at: time(1), by: writerID) },
            mutations { $0.delete(long, at: time(1), by: writerID) },
            mutations { $0.put(intent([]), at: long) },
            mutations { $0.put(intent(big), at: []) },
            mutations { $0.put(intent([], anchor: long), at: []) },
            mutations { $0.put(long, [], in: .transactions) },
            mutations { $0.put([], big, in: .transactions) },
            mutations { $0.delete(long, in: .transactions) },
            mutations { $0.clear(KeyRange(start: long, end: [])) },
            mutations { $0.clear(KeyRange(start: [], end: long)) },
            mutations { $0.clear(KeyRange(start: long, end: []), in: .locks) },
            mutations { $0.clear(KeyRange(start: [], end: long), in: .transactions) },
            mutations { list in
                for range in [KeyRange(start: long, end: []), KeyRange(start: [], end: long)] {
                    let watermark = Watermark(timestamp: time(1), range: range)
                    list.raise(watermark, tablet: tablet, replica: replica)
                }
            },
            mutations { list in
                let watermark = Watermark(
                    timestamp: time(1), range: KeyRange(start: [], end: long))
                list.raise(watermark, tablet: tablet, replica: replica)
            },
        ]
        try withEngine(kind) { engine throws in
            for (index, list) in lists.enumerated() {
                let error = #expect(throws: EngineError.self) { try engine.apply([list]) }
                #expect(error?.code == .invalidArgument)
                let name =
                    [1, 4, 7].contains(index) ? "Limits.valueBytes" : "Limits.storedKeyBytes"
                #expect(error?.message.contains(name) == true)
            }
            // What is just long enough not to be.
            let bound = Array(long.dropLast())
            try engine.apply { list in
                for family in PlainFamily.allCases {
                    list.clear(KeyRange(start: bound, end: bound), in: family)
                }
                list.clear(KeyRange(start: bound, end: bound))
                let range = KeyRange(start: bound, end: bound)
                list.raise(
                    Watermark(timestamp: time(1), range: range), tablet: tablet, replica: replica)
            }
            #expect(try engine.page().count == 0)
            #expect(try engine.allIntents().isEmpty)
        }
    }

    private func expectInvalid(
        _ call: () throws -> Void, location: SourceLocation = #_sourceLocation
    ) {
        let error = #expect(throws: EngineError.self, sourceLocation: location) { try call() }
        #expect(error?.code == .invalidArgument, sourceLocation: location)
    }

    @Test(arguments: EngineKind.allCases)
    func unflushedBytesAreCounted(_ kind: EngineKind) throws {
        try withEngine(kind) { engine in
            #expect(engine.unflushedBytes == 0)
            let list = mutations { $0.put(key("a"), [1], at: time(1), by: writerID) }
            try engine.apply([list, list], applied: applied(1))
            #expect(engine.unflushedBytes >= 2 * list.count)
            try engine.flush()
            #expect(engine.unflushedBytes == 0)
            try engine.flush()
            #expect(try engine.page().keys == ["a"])
        }
    }

    @Test(arguments: EngineKind.allCases)
    func bigValuesFit(_ kind: EngineKind) throws {
        let value = [UInt8](repeating: 0xA5, count: Limits.valueBytes)
        let long = KeyBytes(repeating: 0xFF, count: Limits.storedKeyBytes)
        try withEngine(kind) { engine in
            try engine.apply { $0.put(long, value, at: time(1), by: writerID) }
            #expect(try engine.newestVersion(of: long, at: .max)?.value == value)
            for reverse in [false, true] {
                #expect(try engine.page(reverse: reverse).plainRows.first?.value == value)
            }
            try engine.apply { $0.clear(.all) }
            #expect(try engine.newestVersion(of: long, at: .max) == nil)
        }
    }
}
