import Glibc
import SteleBase
import SteleRaft
import Testing

@testable import SteleLog

/// The log with its thread.
@Suite struct RaftLogTests {
    /// Collects completions in the order in which they come.
    final class Outcomes: Sendable {
        let results = Locked<[(Int, Result<Void, LogError>)]>([])

        func note(_ number: Int) -> @Sendable (Result<Void, LogError>) -> Void {
            { result in self.results.withLock { $0.append((number, result)) } }
        }

        var numbers: [Int] { results.withLock { $0.map(\.0) } }

        var failures: [LogError] {
            results.withLock { results in
                results.compactMap { _, result in
                    if case .failure(let error) = result { error } else { nil }
                }
            }
        }
    }

    private func temporaryDirectory() throws -> String {
        var template = Array("/tmp/stele-log-XXXXXX".utf8CString)
        let path = try #require(mkdtemp(&template))
        return String(cString: path)
    }

    private func remove(_ directory: String) throws {
        let files = SystemFileSystem()
        for name in try files.list(directory) { try files.remove(directory + "/" + name) }
        rmdir(directory)
    }

    @Test func batchesShareSyncs() throws {
        let disk = SimulatedFileSystem(seed: 1)
        let (log, _) = try RaftLog.open(
            directory: "log", fileSystem: disk, options: smallOptions(segmentBytes: 1 << 20))
        let before = log.statistics.syncs
        let gate = Locked(())
        let outcomes = Outcomes()
        // The log thread hangs in the first completion while the others are queued.
        gate.withLock { _ in
            log.append(single(1, [0])) { _ in gate.withLock { _ in } }
            while log.statistics.appends == 0 { sched_yield() }
            for index in 2...100 {
                log.append(single(LogIndex(index), [1]), completion: outcomes.note(index))
            }
        }
        log.close()
        #expect(outcomes.numbers == Array(2...100))
        #expect(outcomes.failures.isEmpty)
        #expect(log.statistics.appends == 100)
        #expect(log.statistics.syncs - before <= 5)
        disk.crash()
        let (_, recovered) = try openWriter(disk)
        #expect(recovered.replicas.first?.lastIndex == 100)
    }

    /// Batches that share a record are as one after the other: the newest of each thing counts.
    @Test func batchesThatShareARecordKeepTheirOrder() throws {
        let disk = SimulatedFileSystem(seed: 1)
        let (log, _) = try RaftLog.open(
            directory: "log", fileSystem: disk, options: smallOptions(segmentBytes: 1 << 20))
        let gate = Locked(())
        let records = log.statistics.records
        gate.withLock { _ in
            log.append(single(1, [0])) { _ in gate.withLock { _ in } }
            while log.statistics.appends == 0 { sched_yield() }
            for number in 1...9 as ClosedRange<UInt8> {
                var batch = single(2, term: UInt64(number), [number])
                batch.parts[0].hardState = HardState(term: UInt64(number))
                // The last one says nothing of the node.
                if number < 9 { batch.nodeRecord = [number] }
                log.append(batch) { _ in }
            }
        }
        log.close()
        // One for the first batch, one for the others, and one for the end.
        #expect(log.statistics.records - records == 3)
        disk.crash()
        let (_, recovered) = try openWriter(disk)
        #expect(recovered.nodeRecord == [8])
        #expect(recovered.replicas.first?.hardState.term == 9)
        #expect(recovered.replicas.first?.tail.map(\.payload) == [[0], [9]])
    }

    @Test func theFirstFailedSyncIsFinal() throws {
        for operation in [FileError.Operation.sync, .write] {
            let disk = SimulatedFileSystem(seed: 1)
            let (log, _) = try RaftLog.open(
                directory: "log", fileSystem: disk, options: smallOptions())
            let outcomes = Outcomes()
            disk.inject(.init(operation, after: 4, code: EIO))
            for index in 1...50 {
                log.append(single(LogIndex(index), [1]), completion: outcomes.note(index))
                while outcomes.numbers.count < index { sched_yield() }
            }
            log.close()
            log.append(single(51, [1]), completion: outcomes.note(51))
            #expect(outcomes.numbers == Array(1...51))
            let failures = outcomes.failures
            #expect(failures.count > 40)
            #expect(Set(failures.dropLast()).count == 1)
            guard case .file(let error) = try #require(failures.first) else {
                Issue.record("not a file error")
                return
            }
            #expect(error.code == EIO)
            #expect(failures.last == .closed)
            disk.crash()
            let (_, recovered) = try openWriter(disk)
            #expect(recovered.replicas.first?.lastIndex ?? 0 >= UInt64(51 - failures.count))
        }
    }

    @Test func aFullDiskIsSaidToBeFull() throws {
        let disk = SimulatedFileSystem(seed: 1)
        let (log, _) = try RaftLog.open(
            directory: "log", fileSystem: disk, options: smallOptions())
        disk.limit(toBytes: 20 << 10)
        let outcomes = Outcomes()
        for index in 1...100 {
            let payload = [UInt8](repeating: 1, count: 500)
            log.append(single(LogIndex(index), payload), completion: outcomes.note(index))
        }
        log.close()
        guard case .file(let error) = try #require(outcomes.failures.first) else {
            Issue.record("not a file error")
            return
        }
        #expect(error.isNoSpace)
        disk.limit(toBytes: SimulatedFileSystem.unlimited)
        let (_, recovered) = try openWriter(disk)
        let good = UInt64(100 - outcomes.failures.count)
        #expect(recovered.replicas.first?.lastIndex ?? 0 >= good)
    }

    @Test func aDirectoryIsOpenedOnce() throws {
        let disk = SimulatedFileSystem(seed: 1)
        var writer: LogWriter? = try openWriter(disk).writer
        #expect(throws: LogError.locked(directory: "log")) { try openWriter(disk) }
        writer?.close()
        let again = try openWriter(disk).writer
        // What was given back is not given back once more.
        writer = nil
        #expect(throws: LogError.locked(directory: "log")) { try openWriter(disk) }
        again.close()
    }

    @Test func realFiles() throws {
        let directory = try temporaryDirectory()
        defer { try? remove(directory) }
        var options = RaftLog.Options(saltSeed: 1)
        options.segmentBytes = 256 << 10
        options.zeroedBytes = 64 << 10
        let payload = [UInt8](repeating: 3, count: 3000)
        for life in 0..<3 {
            let (log, recovered) = try RaftLog.open(directory: directory, options: options)
            #expect(recovered.replicas.first?.lastIndex ?? 0 == UInt64(life * 500))
            #expect(throws: LogError.locked(directory: directory)) {
                try RaftLog.open(directory: directory, options: options)
            }
            let outcomes = Outcomes()
            for index in life * 500 + 1...life * 500 + 500 {
                log.append(single(LogIndex(index), payload), completion: outcomes.note(index))
                if index % 100 == 50 {
                    let mark = LogBatch.Part(
                        tablet: TabletID(1), replica: ReplicaID(1),
                        compacted: LogPosition(index: LogIndex(index - 40), term: 1))
                    log.append(LogBatch(parts: [mark])) { _ in }
                }
            }
            while outcomes.numbers.count < 500 { usleep(500) }
            #expect(outcomes.failures.isEmpty)
            let entries = try log.entries(
                of: TabletID(1), replica: ReplicaID(1), from: LogIndex(life * 500 + 480),
                upTo: .max, maxBytes: .max)
            #expect(entries.count == 21)
            #expect(entries.allSatisfy { $0.payload == payload[...] })
            log.close()
            #expect(log.bytesOnDisk < 3 << 20)
        }
    }

    @Test func readersAndTheLogThreadTogether() throws {
        let disk = SimulatedFileSystem(seed: 1)
        let (log, _) = try RaftLog.open(
            directory: "log", fileSystem: disk, options: smallOptions())
        let outcomes = Outcomes()
        for index in 1...2000 {
            let payload = [UInt8](repeating: UInt8(truncatingIfNeeded: index), count: 50)
            log.append(single(LogIndex(index), payload), completion: outcomes.note(index))
            if index % 20 == 0 {
                let mark = LogBatch.Part(
                    tablet: TabletID(1), replica: ReplicaID(1),
                    compacted: LogPosition(index: LogIndex(index - 15), term: 1))
                log.append(LogBatch(parts: [mark])) { _ in }
            }
            let entries = try log.entries(
                of: TabletID(1), replica: ReplicaID(1), from: LogIndex(max(index - 10, 1)),
                upTo: .max, maxBytes: .max)
            for entry in entries {
                #expect(entry.payload.first == UInt8(truncatingIfNeeded: entry.index))
            }
        }
        log.close()
        #expect(outcomes.failures.isEmpty)
    }
}
