import Foundation
import SteleBase
import SteleEngine
import SteleRocksDB
import Testing

/// What engines share, how they tell that they are behind, and what they count.
@Suite struct ResourceTests {
    private let workload = Workload()

    @Test func statisticsShowWhatAnEngineHolds() throws {
        let disk = try RocksDBDisk()
        let engine = try RocksDBEngine(directory: storePath, options: .on(disk))
        defer { engine.close() }
        try workload.apply(1...100, to: engine, padding: 1000)
        let before = try engine.statistics()
        #expect(before.memtableBytes > 100_000)
        #expect(before.estimatedVersions >= 200)
        #expect(before.pressure == .normal)
        try engine.flush()
        let after = try engine.statistics()
        #expect(after.memtableBytes < before.memtableBytes)
        #expect(after.levels.map(\.files).reduce(0, +) >= 4)
        let tableBytes = after.levels.map(\.bytes).reduce(0, +)
        #expect(tableBytes > 50_000)
        #expect(after.tableBytesOnDisk >= tableBytes)
        for _ in 1...3 { try workload.expectContent(through: 100, in: engine) }
        let read = try engine.statistics()
        #expect(read.cacheMisses > after.cacheMisses)
        #expect(read.cacheHits > after.cacheHits)
        #expect(read.cacheBytes > 0 && read.cacheBytes <= read.cacheCapacity)
    }

    @Test func enginesShareACacheAndABudgetOfWrites() throws {
        let resources = try RocksDBResources(
            cacheBytes: 4 << 20, writeBufferBytes: 2 << 20,
            backgroundBytesPerSecond: 200 << 20)
        let flushes = Locked(0)
        var options = RocksDBEngine.Options(
            writeBufferBytes: 64 << 20, resources: resources,
            observer: { if $0 == .flushed { flushes.withLock { $0 += 1 } } })
        let engines = try (0..<2).map { _ in
            options.disk = try RocksDBDisk()
            return try RocksDBEngine(directory: storePath, options: options)
        }
        defer { for engine in engines { engine.close() } }
        // What they were created with is flushed by now.
        let before = flushes.withLock { $0 }
        for index in UInt64(1)...120 {
            for engine in engines {
                while true {
                    do {
                        try workload.apply(index...index, to: engine, padding: 40_000)
                        break
                    } catch let error as EngineError where error.code == .busy {
                        Thread.sleep(forTimeInterval: 0.002)
                    }
                }
            }
        }
        // Nobody asked for a flush, and no engine filled its own buffers.
        #expect(flushes.withLock { $0 } > before)
        for engine in engines { try workload.expectContent(through: 120, in: engine) }
        let statistics = try engines.map { try $0.statistics() }
        #expect(statistics.allSatisfy { $0.cacheCapacity == 4 << 20 })
        // The budget begins flushes; once those have ended, 9.6 MB of writes are no longer in
        // memory, but the budget, and the filter and the first block of two empty memtables.
        var inMemory = try engines.map { try $0.statistics().memtableBytes }
        for _ in 0..<1000 where inMemory.reduce(0, +) >= 6 << 20 {
            Thread.sleep(forTimeInterval: 0.01)
            inMemory = try engines.map { try $0.statistics().memtableBytes }
        }
        #expect(inMemory.reduce(0, +) < 6 << 20)
        // Flushes and compactions fill the cache as long as they go on: what one engine says of it
        // counts if it has not changed by the time that the other one has said the same.
        var said: [Int] = []
        for _ in 0..<1000 where said.isEmpty || said[0] != said[2] {
            said = try [0, 1, 0].map { try engines[$0].statistics().cacheBytes }
        }
        #expect(said[0] == said[2] && said[0] == said[1])
    }

    /// A disk so slow that flushes cannot keep up: writes are refused, and nobody waits.
    @Test func anEngineThatIsBehindAnswersBusy() throws {
        let seen = Locked<Set<WritePressure>>([])
        let resources = try RocksDBResources(
            cacheBytes: 1 << 20, backgroundBytesPerSecond: 1 << 20)
        let engine = try RocksDBEngine(
            directory: storePath,
            options: RocksDBEngine.Options(
                writeBufferBytes: 1 << 20, resources: resources,
                observer: { event in
                    if case .pressure(let pressure) = event {
                        seen.withLock { _ = $0.insert(pressure) }
                    }
                }, disk: RocksDBDisk()))
        defer { engine.close() }
        var index: UInt64 = 0
        var error: EngineError?
        let clock = ContinuousClock()
        var longest = Duration.zero
        while error == nil, index < 400 {
            let start = clock.now
            do {
                try workload.apply(index + 1...index + 1, to: engine, padding: 50_000)
                index += 1
            } catch let found as EngineError {
                error = found
            }
            longest = max(longest, clock.now - start)
        }
        #expect(error?.code == .busy)
        #expect(error?.isFatal == false)
        #expect(engine.pressure > .normal)
        #expect(seen.withLock { !$0.isDisjoint(with: [.delayed, .stopped]) })
        // Far below the seconds that the disk needs.
        #expect(longest < .seconds(1))
        #expect(try workload.expectConsistent(engine) == index)
    }

    @Test func aFailedCompactionIsToldAndFinal() throws {
        let disk = try RocksDBDisk()
        let told = Locked<[EngineError]>([])
        let engine = try RocksDBEngine(
            directory: storePath,
            options: .on(
                disk,
                observer: { event in
                    if case .failed(let error) = event { told.withLock { $0.append(error) } }
                }))
        defer { engine.close() }
        var index: UInt64 = 0
        // Overlapping files at level 0 call for a compaction, which has to read what is rotten.
        for _ in 0..<3 {
            try workload.apply(index + 1...index + 5, to: engine, padding: 300)
            index += 5
            try engine.flush()
        }
        disk.fail([.read], with: .ioError, permanently: true)
        let deadline = ContinuousClock().now + .seconds(20)
        while told.withLock({ $0.isEmpty }), ContinuousClock().now < deadline {
            do {
                try workload.apply(index + 1...index + 5, to: engine, padding: 300)
                index += 5
                try engine.flush()
            } catch { break }
        }
        #expect(told.withLock { $0.count } == 1)
        #expect(throws: EngineError.self) { try workload.apply(99...99, to: engine) }
        disk.heal()
        #expect(try workload.appliedIndex(in: engine) == index)
    }
}
