import Foundation
import SteleBase
import SteleClock
import SteleEngine
import SteleRocksDB
import Synchronization
import Testing

/// Moving a replica from engine to engine, and removing one.
@Suite struct ReplicaTransferTests {
    let source = Workload()
    private let target = Workload(replica: ReplicaID(8))
    private let before = Workload(tablet: TabletID(3), replica: ReplicaID(9), prefix: "Z/")
    private let behind = Workload(tablet: TabletID(4), replica: ReplicaID(10), prefix: "b/")

    static let pairs = EngineKind.allCases.flatMap { from in
        EngineKind.allCases.map { (from, $0) }
    }

    func chunks(
        of scope: ReplicaScope, in engine: any StorageEngine, maxBytes: Int = 600
    ) throws -> [[UInt8]] {
        let export = try engine.export(scope)
        var chunks: [[UInt8]] = []
        while let chunk = try export.nextChunk(maxBytes: maxBytes) { chunks.append(chunk) }
        #expect(try export.nextChunk(maxBytes: maxBytes) == nil)
        return chunks
    }

    func bring(
        _ chunks: [[UInt8]], to scope: ReplicaScope, of engine: any StorageEngine
    ) throws -> AppliedState {
        let build = try engine.makeImport(of: scope)
        for chunk in chunks { try build.add(chunk[...]) }
        return try build.finish()
    }

    /// Each sync takes so long that there would be few reads if they waited for the import.
    @Test func readsDoNotWaitForAnImport() throws {
        let disk = try RocksDBDisk()
        let engine = try RocksDBEngine(directory: storePath, options: .on(disk))
        defer { engine.close() }
        let names = [key("a/1"), key("a/2")]
        try source.apply(1...1, to: engine)
        try engine.apply { list in
            for name in names { list.put(name, [2], at: time(100), by: writerID) }
        }
        let chunks = try chunks(of: source.scope, in: engine)
        try engine.apply { list in
            list.put(names[0], [3], at: time(200), by: writerID)
            list.put(intent([3], at: time(200)), at: names[1])
        }
        let build = try engine.makeImport(of: source.scope)
        for chunk in chunks { try build.add(chunk[...]) }
        try engine.flush()
        disk.slowSyncs(milliseconds: 50)
        let isDone = Atomic(false)
        let seen = Locked<(before: Int, parts: [String])>((0, []))
        let threads = (0..<4).map { number in
            Thread.start {
                if number == 0 {
                    #expect(throws: Never.self) { try build.finish() }
                    isDone.store(true, ordering: .releasing)
                }
                while !isDone.load(ordering: .acquiring) {
                    let page = try? engine.page(source.scope.range)
                    let newest = try? engine.newestVersion(of: names[0], at: .max)
                    // Rows end before the first conflict, which is that of the second name if any.
                    let value = page?.plainRows.first?.value
                    let hasIntent = page?.conflicts.contains { $0.key == names[1] }
                    seen.withLock { seen in
                        switch (value, hasIntent) {
                        case ([3], true) where newest != nil: seen.before += 1
                        case ([2], false) where newest?.value == [2]: break
                        default: seen.parts.append("\(value ?? []), \(hasIntent ?? false)")
                        }
                    }
                }
            }
        }
        for thread in threads { thread.wait() }
        let (before, parts) = seen.withLock { $0 }
        #expect(parts.isEmpty, "\(parts.count) of them, such as \(parts.prefix(3))")
        #expect(before > 100)
        #expect(try engine.newestVersion(of: names[0], at: .max)?.value == [2])
        #expect(try engine.read(names[0], at: ReadPoint(.max)).1 == [2])
        #expect(try engine.read(names[1], at: ReadPoint(.max)).1 == [2])
        disk.slowSyncs(milliseconds: 0)
    }

    @Test(arguments: pairs)
    func importReplacesWhatTheReplicaHadAndNothingElse(
        from: EngineKind, to: EngineKind
    ) throws {
        try withEngine(from) { sender in
            try source.apply(1...60, to: sender, padding: 40)
            try behind.apply(1...3, to: sender)
            try sender.apply { $0.delete(key("a/row/x"), at: time(7), by: writerID) }
            let export = try sender.export(source.scope)
            try source.apply(61...70, to: sender)
            var chunks: [[UInt8]] = []
            while let chunk = try export.nextChunk(maxBytes: 600) {
                #expect(chunk.count <= 600)
                chunks.append(chunk)
            }
            #expect(chunks.count > 10)
            #expect(export.applied.index == 60)

            try withEngine(to) { receiver in
                for neighbour in [before, behind] { try neighbour.apply(1...5, to: receiver) }
                try receiver.flush()
                try target.apply(1...20, to: receiver)
                try receiver.apply { $0.put(key("a/zzz"), [1], at: time(90), by: writerID) }
                try receiver.apply { $0.put(intent([1]), at: key("a/zzz")) }
                for neighbour in [before, behind] { try neighbour.apply(6...8, to: receiver) }
                let applied = try bring(chunks, to: target.scope, of: receiver)
                #expect(
                    applied
                        == AppliedState(
                            tablet: target.tablet, replica: target.replica, index: 60, term: 1))
                try target.expectContent(through: 60, in: receiver)
                #expect(try target.appliedIndex(in: receiver) == 60)
                #expect(try receiver.newestVersion(of: key("a/zzz"), at: .max) == nil)
                #expect(try receiver.newestVersion(of: key("a/row/x"), at: .max)?.value == nil)
                #expect(
                    try receiver.versions(of: key("a/row/x"), above: .zero, limit: 9).count == 1)
                for neighbour in [before, behind] {
                    #expect(try neighbour.expectConsistent(receiver) == 8)
                }
                #expect(
                    try receiver.persistedFrontier().map(\.index) == [60, 8, 8])
                try target.replay(through: 70, to: receiver)
                #expect(
                    try self.chunks(of: target.scope, in: receiver).count >= chunks.count)
            }
        }
    }

    @Test(arguments: pairs)
    func intentsAndWatermarksComeAlong(from: EngineKind, to: EngineKind) throws {
        let held = key("a/held")
        try withEngine(from) { sender in
            try source.apply(1...1, to: sender)
            try sender.apply { list in
                list.put(intent([7], at: time(5)), at: held)
                list.raise(
                    Watermark(timestamp: time(3), range: source.range), tablet: source.tablet,
                    replica: source.replica)
            }
            let chunks = try chunks(of: source.scope, in: sender)
            try withEngine(to) { receiver in
                try receiver.apply { $0.put(intent([1], by: TransactionID(8)), at: key("a/old")) }
                _ = try bring(chunks, to: target.scope, of: receiver)
                let error = #expect(throws: EngineError.self) {
                    try receiver.page(source.range, at: time(2))
                }
                #expect(error?.code == .belowWatermark)
                let page = try receiver.page(KeyRange(prefix: key("a/h")), at: time(9))
                #expect(page.conflicts.map(\.key) == [held])
                try receiver.apply { list in
                    list.resolveIntent(at: held, of: writerID, committedAt: time(6))
                    list.resolveIntent(
                        at: key("a/old"), of: TransactionID(8), committedAt: time(6))
                }
                #expect(try receiver.newestVersion(of: held, at: .max)?.value == [7])
                #expect(try receiver.newestVersion(of: key("a/old"), at: .max) == nil)
                try receiver.remove(target.scope)
                #expect(try receiver.page(source.range, at: time(2)).count == 0)
            }
        }
    }

    @Test(arguments: pairs) func emptyKeysComeAlong(from: EngineKind, to: EngineKind) throws {
        for range in [KeyRange.all, KeyRange(start: [], end: key("m"))] {
            let scope = ReplicaScope(tablet: TabletID(2), replica: ReplicaID(8), range: range)
            try withEngine(from) { sender in
                try target.apply(1...1, to: sender)
                try sender.apply { list in
                    list.put(intent([9]), at: [])
                    list.put([], [5], in: .transactions)
                    list.put(key("a"), [6], in: .transactions)
                    list.put([], [1], at: time(7), by: writerID)
                }
                let chunks = try chunks(of: scope, in: sender, maxBytes: 1 << 20)
                try withEngine(to) { receiver in
                    _ = try bring(chunks, to: scope, of: receiver)
                    #expect(try self.chunks(of: scope, in: receiver, maxBytes: 1 << 20) == chunks)
                    _ = try bring(chunks, to: scope, of: receiver)
                    #expect(try self.chunks(of: scope, in: receiver, maxBytes: 1 << 20) == chunks)
                }
            }
        }
    }

    /// What is collected after an export began is still in it: its receiver answers reads there.
    @Test(arguments: pairs) func anExportIsNotCollectedFrom(from: EngineKind, to: EngineKind) throws
    {
        try withEngine(from) { sender in
            try source.apply(1...1, to: sender)
            let counter = key("a/counted")
            try sender.apply { list in
                for at in [5, 10] as [UInt64] {
                    list.put(counter, [UInt8(at)], at: time(at), by: writerID)
                }
            }
            try sender.flush()
            let export = try sender.export(source.scope)
            try sender.apply {
                $0.raise(
                    Watermark(timestamp: time(12), range: source.range),
                    tablet: source.scope.tablet, replica: source.scope.replica)
            }
            try sender.flush()
            if let sender = sender as? RocksDBEngine {
                try sender.compact(.all)
                #expect(try sender.storedVersions(of: counter).count == 1)
            }
            var chunks: [[UInt8]] = []
            while let chunk = try export.nextChunk(maxBytes: 100) { chunks.append(chunk) }
            try withEngine(to) { receiver in
                _ = try bring(chunks, to: source.scope, of: receiver)
                #expect(try receiver.newestVersion(of: counter, at: time(7))?.value == [5])
            }
        }
    }

    /// What the replica that was there before allowed to be collected is not collected from what
    /// an import brings with a lower watermark, or none.
    @Test(arguments: pairs) func anImportIsCollectedFromUpToItsOwnWatermark(
        from: EngineKind, to: EngineKind
    ) throws {
        try withEngine(from) { sender in
            try source.apply(1...1, to: sender)
            let counter = key("a/counted")
            try sender.apply { list in
                for at in [5, 10] as [UInt64] {
                    list.put(counter, [UInt8(at)], at: time(at), by: writerID)
                }
            }
            let chunks = try chunks(of: source.scope, in: sender)
            for isRemoved in [false, true] {
                try withEngine(to) { receiver in
                    try source.apply(1...1, to: receiver)
                    try receiver.apply {
                        $0.raise(
                            Watermark(timestamp: time(12), range: source.range),
                            tablet: source.scope.tablet, replica: source.scope.replica)
                    }
                    try receiver.flush()
                    if isRemoved { try receiver.remove(source.scope) }
                    _ = try bring(chunks, to: source.scope, of: receiver)
                    if let receiver = receiver as? RocksDBEngine { try receiver.compact(.all) }
                    #expect(try receiver.newestVersion(of: counter, at: time(7))?.value == [5])
                }
            }
        }
    }

    @Test(arguments: EngineKind.allCases)
    func importIntoTheWholeKeyspaceClearsToItsEnd(kind: EngineKind) throws {
        let all = ReplicaScope(tablet: TabletID(2), replica: ReplicaID(1), range: .all)
        try withEngine(kind) { sender in
            try source.apply(1...5, to: sender)
            let chunks = try chunks(of: all, in: sender)
            for entry in 1...3 as ClosedRange<UInt64> {
                try withEngine(kind) { receiver in
                    try receiver.apply { list in
                        list.put(key("zz"), [1], at: time(entry), by: writerID)
                        list.put([0xFF, 0xFF], [1], at: .max, by: writerID)
                        list.put(intent([1]), at: [0xFF, 0xFF])
                    }
                    if entry == 2 { try receiver.flush() }
                    _ = try bring(chunks, to: all, of: receiver)
                    try source.expectContent(through: 5, in: receiver)
                    for stale in [key("zz"), [0xFF, 0xFF]] {
                        #expect(try receiver.newestVersion(of: stale, at: .max) == nil)
                    }
                    #expect(try receiver.plainPairs(of: .all, in: .locks).count == 5)
                }
            }
        }
    }

    @Test(arguments: EngineKind.allCases)
    func removalClearsExactlyOneReplica(kind: EngineKind) throws {
        try withEngine(kind) { engine in
            for workload in [before, source, behind] { try workload.apply(1...9, to: engine) }
            try engine.flush()
            try source.apply(10...12, to: engine)
            try engine.remove(source.scope)
            try source.expectContent(through: 0, in: engine)
            #expect(try source.appliedIndex(in: engine) == 0)
            for neighbour in [before, behind] {
                #expect(try neighbour.expectConsistent(engine) == 9)
            }
            // Again, as a restart does, and over what comes later.
            try engine.remove(source.scope)
            let last = ReplicaScope(
                tablet: behind.tablet, replica: behind.replica,
                range: KeyRange(start: key("b/"), end: []))
            try engine.remove(last)
            try behind.expectContent(through: 0, in: engine)
            try source.replay(through: 4, to: engine)
            #expect(try before.expectConsistent(engine) == 9)
            try engine.flush()
            #expect(try engine.persistedFrontier().map(\.index) == [4, 9])
        }
    }

    /// What a crash would bring back is in the frontier, so that its log is kept.
    @Test(arguments: EngineKind.allCases)
    func frontierNamesAReplicaUntilItsRemovalIsDurable(_ kind: EngineKind) throws {
        try withEngine(kind) { engine in
            let workload = Workload()
            try workload.apply(1...5, to: engine)
            try engine.flush()
            try engine.remove(workload.scope)
            #expect(try engine.persistedFrontier().map(\.index) == [5])
            try engine.flush()
            #expect(try engine.persistedFrontier().isEmpty)
        }
    }

    @Test(arguments: EngineKind.allCases, EngineKind.allCases)
    func aBigReplicaTakesSeveralFiles(_ from: EngineKind, _ to: EngineKind) throws {
        let workload = Workload()
        try withEngine(from) { sender in
            try workload.apply(1...3, to: sender)
            for at: UInt64 in 1...25 {
                try sender.apply {
                    $0.put(
                        key("a/big"), [UInt8](repeating: UInt8(at), count: 4 << 20), at: time(at),
                        by: writerID)
                }
                try sender.flush()
            }
            for i: UInt8 in 1...12 {
                try sender.apply {
                    $0.put(
                        key("a/c") + [i], [UInt8](repeating: i, count: 4 << 20), in: .transactions)
                }
                try sender.flush()
            }
            try withEngine(to) { receiver in
                for at: UInt64 in 1...30 {
                    try receiver.apply {
                        $0.put(key("a/big"), [1], at: time(at * 2), by: writerID)
                        $0.put(key("a/z"), [1], at: time(at * 2), by: writerID)
                    }
                }
                let build = try receiver.makeImport(of: workload.scope)
                let export = try sender.export(workload.scope)
                while let chunk = try export.nextChunk(maxBytes: 1 << 20) {
                    try build.add(chunk[...])
                }
                _ = try build.finish()
                #expect(
                    try receiver.versions(of: key("a/big"), above: .zero, limit: .max).map(
                        \.timestamp.rawValue) == (1...25).reversed())
                #expect(try receiver.versions(of: key("a/z"), above: .zero, limit: .max).isEmpty)
                #expect(try receiver.plainPairs(of: workload.range, in: .transactions).count == 15)
            }
        }
    }
}
