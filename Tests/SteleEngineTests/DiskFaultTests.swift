import SteleBase
import SteleClock
import SteleEngine
import SteleRocksDB
import Testing

/// A disk that fails at any one of its operations ends writing for good, loses nothing that was
/// durable, and never ends the process.
@Suite struct DiskFaultTests {
    private let workload = Workload()

    /// What an engine told its owner.
    final class Witness: Sendable {
        private let events = Locked<[EngineEvent]>([])

        var failures: [EngineError] {
            events.withLock { events in
                events.compactMap { if case .failed(let error) = $0 { error } else { nil } }
            }
        }

        func note(_ event: EngineEvent) { events.withLock { $0.append(event) } }
    }

    /// A disk with a store of ten durable entries.
    private func filledDisk() throws -> RocksDBDisk {
        let disk = try RocksDBDisk()
        let engine = try RocksDBEngine(directory: storePath, options: .on(disk))
        try workload.apply(1...10, to: engine)
        try engine.flush()
        engine.close()
        return disk
    }

    /// Lets each operation of a scenario fail in turn, or each one in `step`, until it runs through
    /// unharmed.
    private func forEachFault(
        _ fault: RocksDBDisk.Fault, permanently: Bool, on operations: RocksDBDisk.Operations,
        step: Int = 1, from base: RocksDBDisk, _ scenario: (RocksDBDisk, _ arm: () -> Void) throws -> Void
    ) throws {
        var number = 0
        while true {
            let disk = try base.afterCrash()
            try scenario(disk) {
                disk.fail(operations, with: fault, after: number, permanently: permanently)
            }
            if disk.failures == 0 { break }
            number += step
        }
        #expect(number > 5)
    }

    @Test(arguments: [RocksDBDisk.Fault.ioError, .noSpace], [false, true])
    func failedFlushIsFinal(fault: RocksDBDisk.Fault, permanently: Bool) throws {
        try forEachFault(
            fault, permanently: permanently, on: [.space, .change], from: filledDisk()
        ) { disk, arm in
            let witness = Witness()
            let engine = try RocksDBEngine(
                directory: storePath, options: .on(disk, observer: witness.note))
            try workload.apply(11...20, to: engine)
            arm()
            do {
                try engine.flush()
                #expect(try engine.persistedFrontier().map(\.index) == [20])
            } catch let error as EngineError {
                #expect(error.isFatal)
                #expect(!error.isCorruption)
                #expect(error.code == (fault == .noSpace ? .noSpace : .io), "\(error)")
                #expect(throws: EngineError.self) { try workload.apply(21...21, to: engine) }
                #expect(throws: EngineError.self) { try engine.flush() }
                #expect(witness.failures.count == 1)
                #expect(try workload.expectConsistent(engine) == 20)
                #expect(try engine.persistedFrontier().map(\.index).first ?? 0 <= 20)
            }
            engine.close()
            let again = try RocksDBEngine(
                directory: storePath, options: .on(disk.afterCrash(seed: 3)))
            let index = try workload.expectConsistent(again)
            #expect(index == 10 || index == 20)
            if witness.failures.isEmpty { #expect(index == 20) }
            try workload.replay(through: 20, to: again)
            again.close()
        }
    }

    @Test(arguments: [RocksDBDisk.Fault.ioError, .noSpace], [false, true])
    func failedImportChangesNothing(fault: RocksDBDisk.Fault, permanently: Bool) throws {
        let sender = MemoryEngine()
        try workload.apply(1...30, to: sender)
        let neighbour = Workload(tablet: TabletID(3), replica: ReplicaID(9), prefix: "b/")
        try forEachFault(
            fault, permanently: permanently, on: [.space, .change], from: filledDisk()
        ) { disk, arm in
            let engine = try RocksDBEngine(directory: storePath, options: .on(disk))
            try neighbour.apply(1...5, to: engine)
            arm()
            var isImported = false
            do {
                let build = try engine.makeImport(of: workload.scope)
                let export = try sender.export(workload.scope)
                while let chunk = try export.nextChunk(maxBytes: 1000) { try build.add(chunk[...]) }
                _ = try build.finish()
                isImported = true
            } catch let error as EngineError {
                #expect(error.isFatal)
                #expect(error.code == (fault == .noSpace ? .noSpace : .io), "\(error)")
                #expect(throws: EngineError.self) { try workload.apply(11...11, to: engine) }
            }
            let index = try workload.expectConsistent(engine)
            #expect(index == 30 || index == 10 && !isImported)
            #expect(try neighbour.expectConsistent(engine) == 5)
            engine.close()
            let again = try RocksDBEngine(
                directory: storePath, options: .on(disk.afterCrash(seed: 3)))
            let left = try workload.expectConsistent(again)
            #expect(left == 30 || left == 10 && !isImported)
            try workload.replay(through: 31, to: again)
            try neighbour.replay(through: 6, to: again)
            again.close()
        }
    }

    /// Opening and creating: every operation fails once, or all from one on.
    @Test(arguments: [
        (RocksDBDisk.Fault.ioError, false), (.ioError, true), (.noSpace, true), (.readOnly, true),
    ])
    func failedOpeningIsAnErrorAndLosesNothing(
        fault: RocksDBDisk.Fault, permanently: Bool
    ) throws {
        var kinds: [(RocksDBDisk.Operations, step: Int)] = [([.space, .change], step: 1)]
        if fault == .ioError { kinds.append(([.read], step: 7)) }
        for base in [try RocksDBDisk(), try filledDisk()] {
            let entries: UInt64 = try base.files().isEmpty ? 0 : 10
            for (operations, step) in kinds {
                try forEachFault(
                    fault, permanently: permanently, on: operations, step: step, from: base
                ) { disk, arm in
                    arm()
                    do {
                        let engine = try RocksDBEngine(directory: storePath, options: .on(disk))
                        #expect(try workload.expectConsistent(engine) == entries)
                        engine.close()
                    } catch let error as EngineError {
                        #expect(!error.message.isEmpty)
                        #expect(error.isFatal)
                    }
                    let again = try RocksDBEngine(
                        directory: storePath, options: .on(disk.afterCrash(seed: 5)))
                    #expect(try workload.expectConsistent(again) == entries)
                    try workload.replay(through: 12, to: again)
                    try again.flush()
                    again.close()
                }
            }
        }
    }

    /// A read that fails at any one of its operations is an error, and never an end or an answer.
    @Test(arguments: [0, 1, 2, 3, 4, 5, 6])
    func failedReadIsAnError(kind: Int) throws {
        let base = try RocksDBDisk()
        let first = try RocksDBEngine(directory: storePath, options: .on(base))
        let workload = Workload()
        try workload.apply(1...1, to: first)
        for at: UInt64 in 2...30 {
            try first.apply { list in
                for name in ["a/b", "a/c"] {
                    list.put(
                        key(name), [UInt8](repeating: UInt8(at), count: 9000), at: time(at),
                        by: writerID)
                }
            }
            if at % 10 == 0 { try first.flush() }
        }
        first.close()
        let range = KeyRange(start: key("a/b"), end: key("a/d"))
        var number = 0
        while true {
            let disk = try base.afterCrash()
            let engine = try RocksDBEngine(
                directory: storePath, options: .init(cacheBytes: 0, disk: disk))
            defer { engine.close() }
            disk.fail([.read], with: .ioError, after: number, permanently: false)
            do {
                switch kind {
                case 0, 1:
                    for at: UInt64 in [5, 15, 28] {
                        let page = try engine.page(range, at: time(at), reverse: kind == 1)
                        #expect(page.plainRows.map(\.timestamp) == [time(at), time(at)])
                    }
                case 2:
                    #expect(try engine.read(key("a/b"), at: ReadPoint(time(12))).1.first == 12)
                case 3:
                    #expect(try engine.versions(of: key("a/b"), above: time(1), limit: 99).count == 29)
                case 4:
                    #expect(try engine.firstChange(in: range, above: time(29)) == key("a/b"))
                case 5:
                    let export = try engine.export(workload.scope)
                    var bytes = 0
                    while let chunk = try export.nextChunk(maxBytes: 10_000) { bytes += chunk.count }
                    #expect(bytes > 58 * 9000)
                default:
                    try engine.compact(.all)
                    #expect(try engine.versions(of: key("a/b"), above: time(1), limit: 99).count == 29)
                }
            } catch let error as EngineError {
                #expect(error.code == .io && error.isFatal, "\(error)")
            }
            if disk.failures == 0 { break }
            number += 1
        }
        #expect(number > 0)
    }

    /// After an import that failed, reads show the old state or the new one, or fail.
    @Test func failedImportIsNotHalfSeen() throws {
        let workload = Workload()
        let sender = MemoryEngine()
        try workload.apply(1...3, to: sender)
        try sender.apply { list in
            list.put(key("a/x"), [2], at: time(9), by: writerID)
            // Several blocks of them.
            for number: UInt8 in 0..<9 {
                list.put(
                    intent([UInt8](repeating: number, count: 20_000)), at: key("a/lock/") + [number])
            }
        }
        var chunks: [[UInt8]] = []
        let export = try sender.export(workload.scope)
        while let chunk = try export.nextChunk(maxBytes: 100_000) { chunks.append(chunk) }
        var number = 0
        var half = 0
        while true {
            let disk = try RocksDBDisk()
            let engine = try RocksDBEngine(directory: storePath, options: .on(disk))
            defer { engine.close() }
            try workload.apply(1...1, to: engine)
            try engine.apply { $0.put(intent([1], by: TransactionID(99), at: time(5)), at: key("a/x")) }
            let build = try engine.makeImport(of: workload.scope)
            for chunk in chunks { try build.add(chunk[...]) }
            disk.fail([.read], with: .ioError, after: number, permanently: true)
            do {
                _ = try build.finish()
            } catch {
                #expect(error.code == .io && error.isFatal, "\(error)")
            }
            let failures = disk.failures
            disk.heal()
            if let index = try? workload.appliedIndex(in: engine),
                let found = try? engine.read(key("a/x"), at: ReadPoint(time(20)))
            {
                let isNew = found.1 == [2]
                if (index == 3) != isNew { half += 1 }
            }
            if failures == 0 { break }
            number += 1
        }
        #expect(number > 5)
        #expect(half == 0, "of \(number)")
    }
}
