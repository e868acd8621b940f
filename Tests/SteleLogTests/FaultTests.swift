import Glibc
import SteleBase
import SteleRaft
import Testing

@testable import SteleLog

/// Disks that fail, fill up, rot and stall, between crashes and while the log recovers.
/// `STELE_LOG_SEEDS=5000 swift test --filter FaultTests` tries more than the suite does.
@Suite struct FaultTests {
    /// What befalls a disk in one life of the log.
    private static func draw(_ random: inout SeededRandom) -> SimulatedFileSystem.Fault {
        let operations: [FileError.Operation] = [
            .write, .write, .write, .sync, .sync, .syncDirectory, .rename, .remove, .open, .read,
            .inspect, .list, .lock, .createDirectory,
        ]
        let operation = operations[Int(random.below(UInt64(operations.count)))]
        let isRare = operation == .write || operation == .sync
        return SimulatedFileSystem.Fault(
            operation, after: Int(random.below(isRare ? 40 : 4)),
            code: random.oneIn(2) ? EIO : ENOSPC, isPermanent: random.oneIn(2))
    }

    @Test(arguments: 0..<longRun("STELE_LOG_SEEDS", otherwise: 30))
    func acknowledgedSurvivesFaultsAndCrashes(seed: UInt64) throws {
        let disk = SimulatedFileSystem(seed: seed)
        var source = BatchSource(seed: seed &* 31)
        var random = SeededRandom(seed: seed ^ 0x5EED)
        var failures = 0
        for life in 0..<12 {
            var states = [source.model]
            var acknowledged = 0
            for _ in 0...random.below(2) { disk.inject(Self.draw(&random)) }
            if random.oneIn(4) { disk.limit(toBytes: Int(random.uniform(8 << 10...60 << 10))) }
            do throws(LogError) {
                try Self.live(disk, &source, &states, &acknowledged, &random)
            } catch {
                guard case .file(let cause) = error else {
                    Issue.record("seed \(seed) life \(life): \(error)")
                    return
                }
                #expect(cause.code == EIO || cause.isNoSpace)
                failures += 1
            }
            if random.oneIn(3) { disk.killProcess() } else { disk.crash() }
            // An opening that fails leaves all as it was for the next one.
            if random.oneIn(2) {
                do throws(LogError) {
                    _ = try LogWriter.open(
                        directory: "log", fileSystem: disk, options: smallOptions())
                } catch {
                    guard case .file = error else {
                        Issue.record("seed \(seed) life \(life), opening: \(error)")
                        return
                    }
                }
                disk.crash()
            }
            disk.clearFaults()
            disk.limit(toBytes: SimulatedFileSystem.unlimited)
            let (again, log) = try openWriter(disk, smallOptions(seed: random.next()))
            let kept = try ModelLog(log, again)
            guard let position = states.lastIndex(of: kept) else {
                Issue.record("seed \(seed) life \(life): a state that never was")
                return
            }
            #expect(position >= acknowledged, "seed \(seed) life \(life)")
            source.model = kept
            if random.oneIn(2) { again.close() } else { disk.killProcess() }
        }
        #expect(failures > 0)
    }

    /// Opens the log and writes until it fails or has had enough.
    private static func live(
        _ disk: SimulatedFileSystem, _ source: inout BatchSource, _ states: inout [ModelLog],
        _ acknowledged: inout Int, _ random: inout SeededRandom
    ) throws(LogError) {
        let (writer, _) = try LogWriter.open(
            directory: "log", fileSystem: disk, options: smallOptions(seed: random.next()))
        defer { if random.oneIn(2) { rot(disk, writer, &random) } }
        do throws(LogError) {
            for _ in 0..<random.below(60) {
                for _ in 0...random.below(3) {
                    let batch = source.next()
                    states.append(source.model)
                    try writer.encode(batch)
                }
                try writer.write()
                try writer.sync()
                acknowledged = states.count - 1
                _ = try writer.upkeep(isIdle: random.oneIn(2))
            }
        } catch {
            // The first failure is final, also once the disk has recovered.
            disk.clearFaults()
            disk.limit(toBytes: SimulatedFileSystem.unlimited)
            let later = #expect(throws: LogError.self) { try writer.commit(single(1, [1])) }
            #expect(later == error)
            throw error
        }
    }

    /// Damages what no log may rely on: bytes that were not synced, and files to be used again.
    private static func rot(
        _ disk: SimulatedFileSystem, _ writer: LogWriter, _ random: inout SeededRandom
    ) {
        var regions: [(path: String, from: Int)] = []
        // After a failure its name may not be durable: a crash makes such a file a segment again.
        let spares = writer.failure == nil ? disk.paths.filter { $0.hasSuffix(".spare") } : []
        regions += spares.map { ($0, 0) }
        let (newest, synced) = writer.catalog.state.withLock {
            ($0.segments.segments.last, $0.synced)
        }
        if let newest { regions.append((newest.path, Int(max(synced, newest.base) - newest.base))) }
        for (path, from) in regions {
            let count = disk.content(of: path)?.count ?? 0
            for _ in 0..<random.below(8) where from < count {
                // Mostly near the start, where records are.
                let end = random.oneIn(2) ? count : min(from + 2_000, count)
                let offset = from + Int(random.below(UInt64(end - from)))
                disk.rot(path, at: offset, mask: UInt8(1 + random.below(255)))
            }
        }
    }

    /// Stalls of all kinds, with the log's thread, and crashes in the middle of them.
    @Test(arguments: 0..<longRun("STELE_LOG_SEEDS", otherwise: 30) / 3)
    func acknowledgedSurvivesStalls(seed: UInt64) throws {
        let disk = SimulatedFileSystem(seed: seed)
        var source = BatchSource(seed: seed &* 37)
        var random = SeededRandom(seed: seed ^ 0x57A11)
        for life in 0..<4 {
            var states = [source.model]
            let outcomes = RaftLogTests.Outcomes()
            let (log, _) = try RaftLog.open(
                directory: "log", fileSystem: disk, options: smallOptions(seed: random.next()))
            for _ in 0..<random.below(12) {
                let kinds: [FileError.Operation] = [.sync, .write, .rename, .syncDirectory, .read]
                disk.stall(kinds[Int(random.below(UInt64(kinds.count)))])
                for _ in 0...random.below(12) {
                    let batch = source.next()
                    states.append(source.model)
                    log.append(batch, completion: outcomes.note(states.count - 1))
                }
                usleep(UInt32(random.below(2_000)))
                if random.oneIn(2) { disk.resume() }
            }
            let isCrash = random.oneIn(2)
            if isCrash { disk.crash() }
            disk.resume()
            log.close()
            #expect(outcomes.numbers == Array(1..<states.count))
            let acknowledged = outcomes.numbers.count - outcomes.failures.count
            #expect(isCrash || acknowledged == states.count - 1)
            disk.crash()
            let (again, recovered) = try openWriter(disk, smallOptions(seed: random.next()))
            let kept = try ModelLog(recovered, again)
            let position = try #require(states.lastIndex(of: kept), "seed \(seed) life \(life)")
            #expect(position >= acknowledged, "seed \(seed) life \(life)")
            source.model = kept
            disk.killProcess()
        }
    }

    /// What hangs is not acknowledged, neither before nor after the crash that ends it.
    @Test(arguments: [FileError.Operation.sync, .write])
    func aDiskThatHangs(operation: FileError.Operation) throws {
        for isCrash in [false, true] {
            let disk = SimulatedFileSystem(seed: 8)
            let (log, _) = try RaftLog.open(
                directory: "log", fileSystem: disk, options: smallOptions())
            let before = RaftLogTests.Outcomes()
            for index in 1...3 {
                log.append(single(LogIndex(index), [1]), completion: before.note(index))
            }
            while before.numbers.count < 3 { sched_yield() }
            let outcomes = RaftLogTests.Outcomes()
            disk.stall(operation)
            for index in 4...9 {
                log.append(single(LogIndex(index), [2]), completion: outcomes.note(index))
            }
            usleep(5_000)
            #expect(outcomes.numbers.isEmpty)
            // Readers do not wait for the disk that the writer waits for.
            let durable = try log.entries(
                of: TabletID(1), replica: ReplicaID(1), from: 1, upTo: .max, maxBytes: .max)
            #expect(durable.map(\.index) == [1, 2, 3])
            if isCrash { disk.crash() }
            disk.resume()
            log.close()
            #expect(outcomes.numbers == Array(4...9))
            #expect(outcomes.failures.count == (isCrash ? 6 : 0))
            if !isCrash { disk.crash() }
            let (_, recovered) = try openWriter(disk)
            let last = try #require(recovered.replicas.first).lastIndex
            #expect(isCrash ? last >= 3 : last == 9)
        }
    }
}
