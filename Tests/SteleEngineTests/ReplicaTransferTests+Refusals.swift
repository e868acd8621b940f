import SteleBase
import SteleClock
import SteleEngine
import Testing

/// What an import refuses, and that it changes nothing then.
extension ReplicaTransferTests {
    /// Whatever is wrong with the chunks is found, and the engine stays as it was.
    @Test(arguments: EngineKind.allCases)
    func damagedChunksAreRefusedAndChangeNothing(kind: EngineKind) throws {
        try withEngine(kind) { engine in
            try source.apply(1...6, to: engine)
            let good = try chunks(of: source.scope, in: engine, maxBytes: 250)
            try #require(good.count > 3)
            func expectRefusal(_ chunks: [[UInt8]], _ comment: Comment) throws {
                let error = #expect(throws: EngineError.self, comment) {
                    try bring(chunks, to: source.scope, of: engine)
                }
                #expect(error?.code == .invalidArgument, comment)
                #expect(error?.isFatal == false, comment)
            }
            for place in good.indices {
                // The frame, which is the same for both engines, is checked byte by byte on one.
                for offset in stride(
                    from: 0, to: good[place].count, by: kind == .memory ? 1 : 11)
                {
                    var damaged = good
                    damaged[place][offset] ^= 1 << UInt8(offset % 8)
                    try expectRefusal(damaged, "byte \(offset) of chunk \(place) flipped")
                }
                for count in stride(from: 0, to: good[place].count, by: kind == .memory ? 1 : 37) {
                    var damaged = good
                    damaged[place].removeLast(good[place].count - count)
                    try expectRefusal(damaged, "chunk \(place) cut to \(count) bytes")
                }
                var damaged = good
                damaged.remove(at: place)
                try expectRefusal(damaged, "chunk \(place) left out")
                damaged = good
                damaged.insert(good[place], at: place)
                try expectRefusal(damaged, "chunk \(place) twice")
            }
            try source.apply(7...7, to: engine)
            let later = try chunks(of: source.scope, in: engine, maxBytes: 250)
            try expectRefusal([good[0]] + later.dropFirst(), "chunks of two exports")
            #expect(try source.expectConsistent(engine) == 7)
            #expect(try bring(good, to: source.scope, of: engine).index == 6)
            #expect(try source.expectConsistent(engine) == 6)
        }
    }

    /// With good checksums around them.
    @Test(arguments: EngineKind.allCases)
    func badPairsAreRefused(kind: EngineKind) throws {
        func pair(_ family: UInt8, _ key: [UInt8], _ value: [UInt8]) -> [UInt8] {
            var writer = ByteWriter(reserving: 32)
            writer.write(family)
            writer.write(UInt32(key.count))
            writer.write(UInt32(value.count))
            writer.writeRaw(key)
            writer.writeRaw(value)
            return writer.bytes
        }
        func long(_ count: Int) -> [UInt8] { [UInt8](repeating: 0, count: count) }
        func watermark(_ start: [UInt8], _ end: [UInt8]) -> [UInt8] {
            Watermark(timestamp: time(1), range: KeyRange(start: start, end: end)).encoded
        }
        let tooMany = Limits.storedKeyBytes + 1
        let version: [UInt8] = [1, 0, 0, 0, 0, 0, 0, 0, 0]
        let stamp: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 1]
        let later: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 2]
        let a = key("a/1")
        let cases: [(String, [UInt8])] = [
            ("unknown family", pair(5, a, [])),
            ("families out of order", pair(3, [9], []) + pair(2, a, [])),
            ("keys out of order", pair(2, key("a/2"), []) + pair(2, a, [])),
            ("a key twice", pair(2, a, []) + pair(2, a, [])),
            ("older version first", pair(4, a + later, version) + pair(4, a + stamp, version)),
            ("below the range", pair(1, key("Z"), intent([1]).encoded)),
            ("no intent", pair(1, a, [1, 2, 3])),
            ("no watermark", pair(3, [3], [1, 2, 3])),
            ("a watermark of too long a start", pair(3, [3], watermark(long(tooMany), []))),
            ("a watermark of too long an end", pair(3, [3], watermark([], long(tooMany)))),
            ("above the range", pair(4, key("b/") + stamp, version)),
            ("no timestamp", pair(4, a, version)),
            ("no version", pair(4, a + stamp, [1])),
            ("unknown kind", pair(4, a + stamp, [3] + version.dropFirst())),
            ("cut off", Array(pair(1, a, [1, 2]).dropLast())),
            ("cut off early", [1, 2]),
            ("too long a key", pair(4, a + long(Limits.storedKeyBytes) + stamp, version)),
            ("too long a value", pair(4, a + stamp, version + long(Limits.valueBytes + 1))),
            ("too long a record's key", pair(2, a + long(Limits.storedKeyBytes), [])),
            ("too long a record", pair(2, a, long(Limits.valueBytes + 1))),
            ("too long an item", pair(3, [9], long(Limits.valueBytes + 1))),
            (
                "too long a locked key",
                pair(1, a + long(Limits.storedKeyBytes), intent([1]).encoded)
            ),
        ]
        try withEngine(kind) { engine in
            try source.apply(1...3, to: engine)
            for (name, pairs) in cases {
                var writer = ReplicaChunk.Writer(
                    .init(tablet: source.tablet, range: source.range, index: 9, term: 1))
                let chunk = pairs.withUnsafeBufferPointer { writer.frame($0, isLast: true) }
                let build = try engine.makeImport(of: source.scope)
                let error = #expect(throws: EngineError.self, "\(name)") {
                    try build.add(chunk[...])
                }
                #expect(error?.code == .invalidArgument, "\(name)")
                #expect(throws: EngineError.self) { try build.finish() }
            }
            #expect(try source.expectConsistent(engine) == 3)
            let stranger = ReplicaScope(
                tablet: source.tablet, replica: ReplicaID(77), range: source.range)
            #expect(throws: EngineError.self) { try engine.export(stranger) }
        }
    }

    /// The log would go on behind one index, and a restarted node behind another.
    @Test(arguments: EngineKind.allCases)
    func anAppliedStateOtherThanTheChunksSayIsRefused(kind: EngineKind) throws {
        func state(_ index: UInt64, term: UInt64) -> [UInt8] {
            AppliedState(
                tablet: source.tablet, replica: source.replica, index: index, term: term
            ).localValue
        }
        func item(_ number: UInt8, _ value: [UInt8]) -> [UInt8] {
            [3, 1, 0, 0, 0, UInt8(value.count), 0, 0, 0, number] + value
        }
        let cases: [(name: String, pairs: [UInt8], says: String?)] = [
            ("nothing", [], "is missing"),
            ("another item", item(2, state(9, term: 1)), "is missing"),
            ("another index", item(1, state(77, term: 1)), "says index 77 and term 1"),
            ("another term", item(1, state(9, term: 2)), "says index 9 and term 2"),
            ("rubbish", item(1, [7, 7]), "unknown version"),
            ("too little", item(1, Array(state(9, term: 1).dropLast())), "cannot be read"),
            ("too much", item(1, state(9, term: 1) + [0]), "cannot be read"),
            ("the same", item(1, state(9, term: 1)), nil),
        ]
        try withEngine(kind) { engine in
            for (name, pairs, says) in cases {
                try source.apply(1...3, to: engine)
                var writer = ReplicaChunk.Writer(
                    .init(tablet: source.tablet, range: source.range, index: 9, term: 1))
                let chunks = [
                    pairs.withUnsafeBufferPointer { writer.frame($0, isLast: false) },
                    [].withUnsafeBufferPointer { writer.frame($0, isLast: true) },
                ]
                guard let says else {
                    let applied = try bring(chunks, to: source.scope, of: engine)
                    #expect(applied.index == 9 && applied.term == 1)
                    #expect(try source.appliedIndex(in: engine) == 9)
                    continue
                }
                let build = try engine.makeImport(of: source.scope)
                for chunk in chunks { try build.add(chunk[...]) }
                let error = #expect(throws: EngineError.self, "\(name)") { try build.finish() }
                #expect(error?.code == .invalidArgument && error?.isFatal == false, "\(name)")
                let message = error?.message ?? ""
                #expect(message.contains(says), "\(name): \(message)")
                #expect(message.contains("of tablet \(source.tablet)"), "\(name): \(message)")
                #expect(throws: EngineError.self, "\(name)") { try build.finish() }
                #expect(try source.expectConsistent(engine, "\(name)") == 3)
            }
        }
    }
}
